"""What docs/tasks.md shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from aliecs.txgrpc.blocking import BlockingChannel
from test.ports import free_ports

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "tasks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_first_task_does_what_is_written(tmp_path: Path) -> None:
    program = tmp_path / "counter.py"
    program.write_text(blocks("python")[0])
    (port,) = free_ports(1)
    task = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OCC_CONTROL_PORT": str(port)},
    )
    try:
        with BlockingChannel(f"127.0.0.1:{port}") as channel:
            channel.ready(15)
        (console,) = blocks("console")
        conversation = re.findall(r"^\$ peanut (.*)\n([^$]*)", console, re.MULTILINE)
        assert len(conversation) == 8
        peanut = [sys.executable, "-c", "from aliecs.cli.peanut import main; main()"]
        for command, expected in conversation:
            done = subprocess.run(
                [*peanut, "-addr", f"127.0.0.1:{port}", *command.split()],
                capture_output=True,
                text=True,
                timeout=20,
            )
            assert done.stdout + done.stderr == expected
        output, _ = task.communicate(timeout=10)
        assert task.returncode == 0
        assert re.fullmatch(r"run 17 begins\nrun 17 ends, at [1-9]\d*[05]\n", output)
    finally:
        task.kill()
        task.communicate(timeout=10)


def test_the_templates_are_yaml() -> None:
    names = re.findall(r"^name: (?:!public )?(\w+)$", "\n".join(blocks("yaml")), re.MULTILINE)
    assert names == ["counter", "counting"]
    assert yaml.safe_load(blocks("yaml")[0])["command"]["arguments"] == ["/opt/tasks/counter.py"]
