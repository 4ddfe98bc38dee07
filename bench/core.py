"""A real core for measurements: the service in a process of its own, with embedded hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.stub import Stub

MARK = "BENCH_OF_ALIECS"
CALL_DEADLINE_S = 60.0
START_DEADLINE_S = 30.0


@contextmanager
def running_core(
    folder: Path, mark: str, hosts: Sequence[Any], holds: Path | None = None, **settings: Any
) -> Iterator[tuple[int, Any]]:
    """The service in a folder of its own, which all its processes carry the mark of: its process
    id, and a stub of the control API. With `holds` it writes there when its reactor was held."""
    working_dir = folder / "core"
    written = {
        "coreWorkingDir": str(working_dir),
        "controlPort": 0,
        "restPort": 0,
        "apricotPort": 0,
        "apricotHttpPort": 0,
        "metrics.port": 0,
        "metricsEndpoint": "",
        "infoLoggerSocket": "",
        "hosts": list(hosts),
        "integrationPlugins": ["testplugin"],
        "recoveryTimeout": "10s",
        **settings,
    }
    (folder / "settings.yaml").write_text(json.dumps(written))
    command = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "--reactor=asyncio"]
    command += ["aliecs"]
    if holds is not None:
        command = [sys.executable, "-m", "bench.watched", str(holds)]
    command += ["--config", str(folder / "settings.yaml")]
    with (folder / "core.log").open("wb") as log:
        core = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), MARK: mark},
        )
    try:
        said = working_dir / "core.json"
        deadline = time.monotonic() + START_DEADLINE_S
        while not said.exists():
            if core.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the core did not start:\n{(folder / 'core.log').read_text()}")
            time.sleep(0.05)
        with BlockingChannel(addresses(folder)["grpc"]) as channel:
            control = Stub(channel, o2control_pb2.DESCRIPTOR.services_by_name["Control"])
            yield core.pid, control
            control.Teardown(
                o2control_pb2.TeardownRequest(reason="measured"), deadline_s=CALL_DEADLINE_S
            )
        core.wait(CALL_DEADLINE_S)
    finally:
        for pid in processes(mark):
            os.kill(pid, signal.SIGKILL)
        core.wait()


def addresses(folder: Path) -> dict[str, str]:
    """Where a core that runs in a folder can be reached."""
    said: dict[str, str] = json.loads((folder / "core" / "core.json").read_text())
    return said


def processes(mark: str) -> list[int]:
    """Every living process that the core started, and the core."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
