"""A real configuration service on its own for tests: `twistd apricot` in a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from test.end_to_end.core import BIN, outer_environment

START_DEADLINE_S = 30.0
END_DEADLINE_S = 30.0


class RunningApricot:
    """`twistd --reactor=asyncio apricot` with its working folder in `folder`; `variables` are its
    settings in the environment, without their prefix, `outer` further variables. A context
    manager."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        variables: Mapping[str, str] | None = None,
        outer: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.working_dir = folder / "apricot"
        self.options = options
        self.outer = dict(outer or {})
        self.variables = {
            "LISTENPORT": "0",
            "HTTPLISTENPORT": "0",
            "WORKINGDIR": str(self.working_dir),
            "BACKENDURI": "sqlite://",
            **(variables or {}),
        }
        self.process: subprocess.Popen[bytes]
        self.addresses: dict[str, Any] = {}

    def __enter__(self) -> RunningApricot:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it serves."""
        self.launch()
        said = self.working_dir / "apricot.json"
        deadline = time.monotonic() + START_DEADLINE_S
        while not said.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"apricot does not serve:\n{self.log()}")
            time.sleep(0.02)
        self.addresses = json.loads(said.read_text())

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [BIN / "twistd", "-n", "--pidfile=", "--reactor=asyncio", "apricot"]
        mine = {f"APRICOT_{name}": value for name, value in self.variables.items()}
        with (self.folder / "apricot.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**outer_environment(), **self.outer, **mine},
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(END_DEADLINE_S)

    def log(self) -> str:
        """All that it wrote."""
        return (self.folder / "apricot.log").read_text(errors="replace")

    @property
    def uri(self) -> str:
        """Its address for clients."""
        return f"apricot://{self.addresses['grpc']}"


def coconut(uri: str, *arguments: str, code: int = 0) -> str:
    """Run the real `coconut configuration`; gives what it wrote to both streams."""
    done = subprocess.run(
        [BIN / "coconut", "configuration", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "CONFIG_ENDPOINT": uri},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
