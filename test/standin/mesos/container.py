"""The process of an executor: a sandbox, an environment, and an end told as wait(2) has it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from attrs import define, field
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from aliecs.protocol.mesos_pb2 import CommandInfo

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_FOUND = 127 << 8
"""What a shell says of a command that there is not, as a wait status."""


@implementer(IReadDescriptor)
@define(eq=False)
class Container:
    """A process in a session of its own; `ended` is called with its wait status."""

    reactor: Any
    sandbox: Path
    ended: Callable[[int], None]
    pid: int = field(default=0, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _descriptor: int = field(default=-1, init=False)

    def start(self, command: CommandInfo, environment: Mapping[str, str]) -> None:
        """Fetch what the command needs, and run it."""
        self.sandbox.mkdir(parents=True)
        self._fetch(command)
        surroundings = {
            **environment,
            "PATH": PATH,
            **{one.name: one.value for one in command.environment.variables},
        }
        # Mesos' own default: with a shell.
        in_shell = not command.HasField("shell") or command.shell
        line = ["/bin/sh", "-c", command.value] if in_shell else list(command.arguments)
        if not in_shell and not line:
            line = [command.value]
        out_path, err_path = self.sandbox / "stdout", self.sandbox / "stderr"
        with out_path.open("wb") as out, err_path.open("wb") as err:
            try:
                self._process = subprocess.Popen(
                    line, executable=line[0] if in_shell else command.value, cwd=self.sandbox,
                    env=surroundings, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                err.write(f"{error}\n".encode())
                self.reactor.callLater(0, self.ended, NOT_FOUND)
                return
        self.pid = self._process.pid
        self._descriptor = os.pidfd_open(self.pid)
        self.reactor.addReader(self)

    def _fetch(self, command: CommandInfo) -> None:
        for uri in command.uris:
            source = Path(urlparse(uri.value).path)
            target = self.sandbox / (uri.output_file or source.name)
            shutil.copyfile(source, target)
            if uri.executable:
                target.chmod(0o755)

    @property
    def is_running(self) -> bool:
        """True until the process has ended."""
        return self._descriptor >= 0

    def kill(self) -> None:
        """Kill it, and what it has started in its own session."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the process itself."""
        if self.is_running:
            os.kill(self.pid, number)

    def reap(self) -> None:
        """Kill it and wait for that; nobody is told."""
        if self.is_running:
            self.kill()
            self._leave()

    def _leave(self) -> int:
        self.reactor.removeReader(self)
        os.close(self._descriptor)
        self._descriptor = -1
        assert self._process is not None
        code = self._process.wait()
        # What is left of its session does not outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return -code if code < 0 else code << 8

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._descriptor

    def doRead(self) -> None:
        """See `IReadDescriptor`: a pidfd can be read when the process has ended."""
        if self.is_running:
            self.ended(self._leave())

    def connectionLost(self, reason: Any) -> None:
        """See `IReadDescriptor`."""

    def logPrefix(self) -> str:
        """See `IReadDescriptor`."""
        return "container"
