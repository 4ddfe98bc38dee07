"""The small child of the executor that starts every process of the tasks, and buries them.

It stays single-threaded and knows neither gRPC nor Twisted, so forking is safe here and the
parent-death signal of each task is bound to a thread that lives as long as we do. It is a child
subreaper: what a task leaves behind becomes our child. It talks to the executor alone, over a
socket on descriptor 3, in frames (four bytes of length, then JSON):

    from the executor   {"launch": key, "arguments": [...], "environment": {...}, "directory": path,
                         "mark": text, "path": folders, "account": null or [uid, gid, [groups...]]}
                        {"signal": number, "key": key, "pid": 0 for the whole group}
    to the executor     {"started": key, "pid": pid}, with the read ends of standard output and
                        standard error; {"refused": key, "reason": text};
                        {"ended": key, "status": wait status}

At end of file from the executor it kills every group and every descendant, and ends. Imports
nothing but the standard library: it is run by its file's path, without site packages.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

CONTROL_DESCRIPTOR = 3
MAXIMUM_FRAME_BYTES = 16 * 1024 * 1024
BURIAL_DEADLINE_S = 10.0
SWEEP_S = 1.0
SWEEP_INTERVAL_S = 0.05
MARK = "ALIECS_TASK_ID"
"""Environment variable by which the descendants of a task are recognised, whatever session they
have moved to."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_LENGTH = struct.Struct(">I")


class Starting:
    """A child between fork and exec: what it will be known by, and the pipe that tells whether it
    got through. Somebody's network file system may keep it there for long."""

    def __init__(self, key: int, pid: int, trouble: int, outputs: tuple[int, int]) -> None:
        self.key = key
        self.pid = pid
        self.trouble = trouble
        self.outputs = outputs

    def fileno(self) -> int:
        """For `select`: readable when exec has happened or failed."""
        return self.trouble


class Launcher:
    """The children, and the connection to the executor. `open_files` is the soft limit that tasks
    get, 0 for that of the executor."""

    def __init__(self, control: socket.socket, open_files: int = 0) -> None:
        self._control = control
        self._open_files = open_files
        self._buffer = bytearray()
        self._leaders: dict[int, tuple[int, str]] = {}
        """Processes that we started and have not buried: pid to key and mark."""
        self._pids: dict[int, int] = {}
        """Key to pid, of the same."""
        self._starting: dict[int, Starting] = {}
        """By pid, of the same: those that have not reached exec."""
        self._ended: dict[tuple[int, str], float] = {}
        """Session and mark of processes that ended and may have left something behind; until when
        (monotonic, seconds) to look for it."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._pid = os.getpid()

    def run(self) -> None:
        """Serve until the executor goes away, or until SIGTERM; then leave nothing alive."""
        self._prctl(PR_SET_CHILD_SUBREAPER, 1)
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _note)
        signal.signal(signal.SIGTERM, _note)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            while True:
                waiting: list[Any] = [self._control, wake_read, *self._starting.values()]
                pause_s = SWEEP_INTERVAL_S if self._ended else None
                readable, _, _ = select.select(waiting, [], [], pause_s)
                if wake_read in readable and signal.SIGTERM in os.read(wake_read, 4096):
                    break
                for starting in readable:
                    if isinstance(starting, Starting):
                        self._settle(starting)
                if self._control in readable and not self._receive():
                    break
                self._bury()
        except ConnectionError:
            pass
        finally:
            self._kill_everything()

    # --- talking to the executor -----------------------------------------------------------------

    def _receive(self) -> bool:
        data = self._control.recv(65536)
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAXIMUM_FRAME_BYTES:
                raise ConnectionError(f"a frame of {length} bytes")
            if len(self._buffer) < _LENGTH.size + length:
                break
            frame = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            self._handle(json.loads(frame))
        return bool(data)

    def _handle(self, order: dict[str, Any]) -> None:
        if "launch" in order:
            try:
                self._launch(order)
            except OSError as error:
                self._send({"refused": order["launch"], "reason": str(error)})
        else:
            self._signal(order["key"], order["signal"], order["pid"])

    def _send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        body = json.dumps(message).encode()
        frame = _LENGTH.pack(len(body)) + body
        if descriptors:
            sent = socket.send_fds(self._control, [frame], list(descriptors))
            frame = frame[sent:]
        self._control.sendall(frame)

    # --- starting --------------------------------------------------------------------------------

    def _launch(self, order: dict[str, Any]) -> None:
        """Fork one process; whether it came through is told later."""
        opened: list[int] = []
        try:
            for _ in range(3):
                opened += os.pipe()
            output_read, output_write, error_read, error_write, trouble_read, trouble_write = opened
            pid = os.fork()
            if pid == 0:
                self._become(order, output_write, error_write, trouble_write)
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        for descriptor in (output_write, error_write, trouble_write):
            os.close(descriptor)
        key = order["launch"]
        self._leaders[pid] = (key, order["mark"])
        self._pids[key] = pid
        self._starting[pid] = Starting(key, pid, trouble_read, (output_read, error_read))

    def _settle(self, starting: Starting) -> None:
        """Exec has happened, or failed: tell the executor."""
        del self._starting[starting.pid]
        trouble = os.read(starting.trouble, 4096)
        try:
            if trouble:
                del self._leaders[starting.pid], self._pids[starting.key]
                reason = trouble.decode(errors="replace")
                self._send({"refused": starting.key, "reason": reason})
            else:
                self._send({"started": starting.key, "pid": starting.pid}, starting.outputs)
        finally:
            for descriptor in (starting.trouble, *starting.outputs):
                os.close(descriptor)

    def _become(self, order: dict[str, Any], output: int, error: int, trouble: int) -> None:
        """In the child: turn into the task. Never returns; trouble goes down the pipe."""
        step = "cannot prepare the process"
        try:
            signal.set_wakeup_fd(-1)
            for number in (
                signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ
            ):  # fmt: skip
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(output, 1)
            os.dup2(error, 2)
            if self._open_files:
                _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, hard))
            step = f"cannot enter {order['directory']}"
            os.chdir(order["directory"])
            if order["account"] is not None:
                user, group, groups = order["account"]
                step = f"cannot switch to user id {user}, group id {group}"
                os.setgroups(groups)
                os.setgid(group)
                os.setuid(user)
            # The kernel forgets the parent-death signal when the user changes: hence only now.
            self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._pid:
                os._exit(1)
            arguments = order["arguments"]
            step = f"cannot execute {arguments[0]}"
            environment = {**order["environment"], MARK: order["mark"]}
            _execute(arguments, environment, order["path"])
        except OSError as fault:
            os.write(trouble, f"{step}: {fault.strerror}".encode())
        except Exception as fault:
            os.write(trouble, f"{step}: {fault}".encode())
        finally:
            os._exit(127)

    # --- ending ----------------------------------------------------------------------------------

    def _signal(self, key: int, number: int, pid: int) -> None:
        """Signal one process of a task, or its whole group. Only ever what belongs to it: a pid
        that a task told us may be anybody's."""
        leader = self._pids.get(key)
        if leader is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if leader in self._starting:
                os.kill(leader, number)
            elif pid and _session(pid) == leader:
                os.kill(pid, number)
            else:
                os.killpg(leader, number)

    def _bury(self) -> None:
        """Wait for whatever has ended, kill what it left behind, tell the executor."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if ended is None:
                break
            if ended.si_pid in self._starting:
                self._settle(self._starting[ended.si_pid])
            leader = self._leaders.pop(ended.si_pid, None)
            if leader is not None:
                # Before the burial, while the group cannot be another's.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            if leader is not None:
                key, mark = leader
                del self._pids[key]
                self._ended[ended.si_pid, mark] = time.monotonic() + SWEEP_S
                self._sweep()
                self._send({"ended": key, "status": status})
        self._sweep()

    def _sweep(self) -> None:
        """Kill what ended tasks left to us.

        Repeated for some time: what is found may have children that come to us only at its own
        end, and a process in the middle of exec cannot be recognised.
        """
        if not self._ended:
            return
        now = time.monotonic()
        living = {mark for _, mark in self._leaders.values()}
        sessions = {owner[0]: owner for owner in self._ended if owner[0] not in self._leaders}
        marks = {owner[1]: owner for owner in self._ended if owner[1] not in living}
        for child in self._children():
            if child in self._leaders:
                continue
            owner = sessions.get(_session(child)) or marks.get(_mark(child))
            if owner is not None:
                self._ended[owner] = now + SWEEP_S
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
        self._ended = {owner: until for owner, until in self._ended.items() if until > now}

    def _children(self) -> list[int]:
        with open(f"/proc/{self._pid}/task/{self._pid}/children") as file:  # noqa: PTH123
            return [int(text) for text in file.read().split()]

    def _kill_everything(self) -> None:
        """Kill the groups of all tasks, then every child that comes to us, until there is none."""
        for leader in self._leaders:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, signal.SIGKILL)
        deadline = time.monotonic() + BURIAL_DEADLINE_S
        while time.monotonic() < deadline:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            for child in self._children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.01)

    def _prctl(self, option: int, value: int) -> None:
        if self._libc.prctl(option, value, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _execute(arguments: list[str], environment: dict[str, str], path: str) -> None:
    """Become the program, which may be in the task's own PATH or else in `path`. Returns never;
    raises `OSError`."""
    try:
        os.execvpe(arguments[0], arguments, environment)  # noqa: S606
    except FileNotFoundError:
        for folder in path.split(":"):
            if folder and "/" not in arguments[0]:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.execve(f"{folder}/{arguments[0]}", arguments, environment)  # noqa: S606
        raise


def _note(number: int, frame: object) -> None:
    """The wake-up descriptor has told the loop already."""


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _mark(pid: int) -> str:
    """The mark that a process was started under, empty where it cannot be read."""
    prefix = f"{MARK}=".encode()
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            for entry in file.read().split(b"\0"):
                if entry.startswith(prefix):
                    return entry.removeprefix(prefix).decode(errors="replace")
    except OSError:
        pass
    return ""


def raise_locked_memory() -> None:
    """Devices lock their shared memory: allow them all of it, or as much as we may allow."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    for limit in (resource.RLIM_INFINITY, hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
            return


def main() -> None:
    """Entry point: serve on the control descriptor until the executor is gone."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    raise_locked_memory()
    os.set_inheritable(CONTROL_DESCRIPTOR, False)
    with socket.socket(fileno=CONTROL_DESCRIPTOR) as control:
        Launcher(control, int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
