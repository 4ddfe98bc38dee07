"""The processes of the reference's executor: how they are made, and what is read of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from attrs import define, field

_libc = ctypes.CDLL(None)
_SET_PARENT_DEATH_SIGNAL = 1


class LaunchError(Exception):
    """A process cannot be built or started."""


def arguments_of(payload: Mapping[str, Any]) -> list[str]:
    """The final command line: through a shell in one piece, without quoting."""
    value, arguments = payload["value"], payload.get("arguments") or []
    if payload["shell"]:
        return ["/bin/sh", "-c", " ".join([value, *arguments])]
    return [value, *arguments]


def environment_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """The executor's own, and over it what the payload says; the last of a name wins."""
    entries = (entry.partition("=") for entry in payload.get("env") or [])
    return {**os.environ, **{name: value for name, _, value in entries}}


def account_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Whom to run as, as `Popen` wants it."""
    user = payload.get("user") or ""
    if not user:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise LaunchError(f"user: unknown user {user}") from None
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def _die_with_parent() -> None:
    # After the switch of the user, which clears it.
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


@define(eq=False)
class Process:
    """One process in a group of its own. `ended` is called on the reactor, once it was waited
    for and all of its output was read."""

    reactor: Any
    payload: Mapping[str, Any]
    ended: Callable[[Process], None]
    account: Mapping[str, Any]
    popen: subprocess.Popen[bytes] = field(init=False)
    output: dict[str, bytes] = field(factory=dict, init=False)
    exit_code: int | None = field(default=None, init=False)
    """As Go has it: -1 for a signal."""

    @property
    def pid(self) -> int:
        """Of the process that was started: with a shell it may be the shell."""
        return self.popen.pid

    def start(self) -> None:
        """Start it. Raises `LaunchError`."""
        try:
            self.popen = subprocess.Popen(
                arguments_of(self.payload), env=environment_of(self.payload),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                process_group=0, preexec_fn=_die_with_parent, **self.account,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise LaunchError(str(error)) from None
        threading.Thread(target=self._attend, daemon=True).start()
        limit_s = (self.payload.get("timeout") or 0) / 1e9
        if limit_s > 0:
            # Only the process itself: what a shell has started lives on.
            self.reactor.callLater(limit_s, self.signal, signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Signal the process itself."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _attend(self) -> None:
        readers = []
        for name, stream in (("stdout", self.popen.stdout), ("stderr", self.popen.stderr)):
            assert stream is not None
            readers.append(threading.Thread(target=self._read, args=(name, stream), daemon=True))
            readers[-1].start()
        for reader in readers:
            reader.join()
        code = self.popen.wait()
        self.reactor.callFromThread(self._over, code)

    def _read(self, name: str, stream: BinaryIO) -> None:
        lines = []
        for line in stream:
            lines.append(line)
            if self.payload.get(name) in ("stdout", "all"):
                print(f"task-{name} {line.decode(errors='replace').rstrip()}", flush=True)
        self.output[name] = b"".join(lines)

    def _over(self, code: int) -> None:
        self.exit_code = code if code >= 0 else -1
        self.ended(self)


def exists(pid: int) -> bool:
    """True where a process, or for a negative number a group, can be signalled."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
