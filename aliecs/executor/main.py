"""`aliecs-executor`: the program beside the tasks, one for each host.

There are two ways in. Started by the core for its embedded hosts, it detaches itself at once (own
session, nobody's child, output to a bounded log file) and then belongs to no core in particular: it
looks for whoever listens on the socket. Options in, one line of JSON out: the process id of the
detached executor and the start time by which it is recognised later.

Started by a Mesos agent, it finds in its environment what it needs to know, and stays the agent's
process, with its output where the agent puts it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aliecs.errors import InvalidInput
from aliecs.executor.start import MesosStart
from aliecs.protocol.infologger import DAEMON
from aliecs.protocol.local import process_start_time

LOG_BYTES = 10 * 1024 * 1024
LOG_INTERVAL_S = 10.0
OPEN_FILES = 65536
_LOCAL = ("socket", "host", "executor_id", "framework_id", "token_file", "directory")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="aliecs-executor",
        description="Starts, drives and ends the tasks of one host. It is usually started by a"
        " Mesos agent, whose environment variables (MESOS_*) tell it the rest, or by a core that"
        " listens on a Unix socket.",
    )
    local = parser.add_argument_group("started by a core, with all of these")
    local.add_argument("--socket", type=Path, help="the core's local socket")
    local.add_argument("--host", help="the name of this host in workflows")
    local.add_argument("--executor-id")
    local.add_argument("--framework-id")
    local.add_argument("--token-file", type=Path, help="file with what proves us to the core")
    local.add_argument("--directory", type=Path, help="sandbox: logs, task files")
    parser.add_argument("--shell", default="/bin/sh", help="shell of tasks (default: %(default)s)")
    parser.add_argument(
        "--shm-cleaner", default="", help="command that cleans shared memory, when it is asked for"
    )
    parser.add_argument(
        "--recovery-timeout-s",
        type=float,
        default=900.0,
        help="end everything after so many seconds without a core (default: %(default)s); a Mesos"
        " agent has its own word for it",
    )
    parser.add_argument(
        "--stream-bytes",
        type=int,
        default=10 * 1024 * 1024,
        help="bound of the log of one output stream of a task (default: %(default)s)",
    )
    parser.add_argument(
        "--total-bytes",
        type=int,
        default=5 * 1024 * 1024 * 1024,
        help="bound of the logs of all tasks (default: %(default)s)",
    )
    parser.add_argument(
        "--claim",
        type=int,
        metavar="DESCRIPTOR",
        help="an open descriptor that claims the ports of the host: it is kept as long as tasks may"
        " listen on them, also without a core",
    )
    parser.add_argument(
        "--infologger",
        default=DAEMON,
        metavar="SOCKET",
        help="socket of InfoLogger's daemon on this host, a path or @ and a name; empty: none"
        " (default: %(default)s)",
    )
    parser.add_argument("--detach", action="store_true", help="leave the terminal and the parent")
    options = parser.parse_args(arguments)
    missing = [f"--{name.replace('_', '-')}" for name in _LOCAL if not getattr(options, name)]
    if options.socket and missing:
        parser.error(f"--socket needs {', '.join(missing)} too")
    if not options.socket and len(missing) < len(_LOCAL):
        parser.error("--socket is missing: without it, the environment of a Mesos agent is used")
    if options.detach and not options.socket:
        parser.error("--detach is for a core with its --socket: a Mesos agent keeps its processes")
    for name in ("socket", "token_file", "directory"):
        if getattr(options, name):
            setattr(options, name, getattr(options, name).absolute())
    if not Path(options.shell).is_absolute():
        parser.error(f"--shell needs an absolute path, not {options.shell!r}")
    try:
        shlex.split(options.shm_cleaner)
    except ValueError as error:
        parser.error(f"--shm-cleaner {options.shm_cleaner!r}: {error}")
    return options


class LogFile:
    """Standard output and standard error in one file that is turned over at half of its bound."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes

    def open(self) -> None:
        """Let both descriptors lead to the file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)

    def turn_over(self) -> None:
        """Begin a new file where this one has become large, keeping one older."""
        if os.fstat(2).st_size > self._limit_bytes // 2:
            self._path.replace(self._path.with_name(f"{self._path.name}.older"))
            self.open()


def detach() -> None:
    """Continue as a process that is nobody's child, in a session of its own. The caller's process
    ends here, once it has told who continues."""
    sys.stdout.flush()
    read, write = os.pipe()
    middle = os.fork()
    if middle:
        os.close(write)
        os.waitpid(middle, 0)
        with os.fdopen(read) as told:
            sys.stdout.write(told.read())
            sys.stdout.flush()
        os._exit(0)
    os.setsid()
    child = os.fork()
    if child:
        identity = {"pid": child, "start_time": process_start_time(child)}
        os.write(write, f"{json.dumps(identity)}\n".encode())
        os._exit(0)
    os.close(read)
    os.close(write)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def raise_open_files() -> int:
    """Allow us as many descriptors as we may have: every task takes some. What the limit was, which
    tasks keep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    environment = dict(os.environ)
    options = parse(arguments)
    try:
        start = MesosStart.read(environment) if options.socket is None else None
        if start is not None:
            adopt(options, start)
        token = options.token_file.read_text().strip() if start is None else ""
        options.directory.mkdir(parents=True, exist_ok=True)
    except (OSError, InvalidInput) as error:
        sys.exit(f"aliecs-executor: {error}")
    if options.claim is not None:
        # Ours alone: a task that inherited it would hold the claim for ever.
        os.set_inheritable(options.claim, False)
    if options.detach:
        detach()
    log_file = None
    if options.detach:
        log_file = LogFile(options.directory / "executor.log", LOG_BYTES)
        log_file.open()
    os.chdir(options.directory)
    live(options, start, token, environment, log_file)


def adopt(options: argparse.Namespace, start: MesosStart) -> None:
    """What an agent says takes the place of what a core says on the command line."""
    options.host = socket.gethostname()
    options.executor_id = start.executor_id
    options.framework_id = start.framework_id
    options.directory = start.directory
    options.recovery_timeout_s = start.patience_s


def live(
    options: argparse.Namespace,
    start: MesosStart | None,
    token: str,
    environment: dict[str, str],
    log_file: LogFile | None,
) -> None:
    """Run the executor to its end. The reactor and gRPC are loaded only now, after forking."""
    from twisted.internet import asyncioreactor

    asyncioreactor.install()

    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import LoopingCall
    from twisted.logger import Logger

    from aliecs.executor.agent import LocalTransport, Transport
    from aliecs.executor.executor import Executor, ExecutorSettings
    from aliecs.executor.mesos import AgentTransport
    from aliecs.infologger import InfoLogger
    from aliecs.log import begin, levels_for, make_observer
    from aliecs.protocol.local import Hello

    begin(make_observer(sys.stderr))
    infologger = None
    if options.infologger:
        infologger = InfoLogger(options.infologger, levels_for(verbose=True), "executor")
        infologger.start()
    log = Logger("aliecs.executor")
    transport: Transport
    if start is not None:
        transport = AgentTransport(reactor, start)
    else:
        hello = Hello(
            host=options.host, executor_id=options.executor_id, token=token, pid=os.getpid()
        )
        transport = LocalTransport(reactor, options.socket, hello)
    settings = ExecutorSettings(
        host=options.host,
        executor_id=options.executor_id,
        framework_id=options.framework_id,
        directory=options.directory,
        shell=options.shell,
        shared_memory_cleaner=options.shm_cleaner,
        recovery_timeout_s=options.recovery_timeout_s,
        stream_bytes=options.stream_bytes,
        total_bytes=options.total_bytes,
        environment=environment,
        open_files=raise_open_files(),
    )
    executor = Executor(reactor, settings, transport, adopts_orphans=True)

    loop: Any = reactor
    finished: Deferred[None] = Deferred()

    async def run() -> None:
        if log_file is not None:
            LoopingCall(log_file.turn_over).start(LOG_INTERVAL_S)
        try:
            await executor.run()
        except Exception:
            log.failure("the executor failed")
        if infologger is not None:
            infologger.stop()
        finished.callback(None)
        loop.stop()

    def stop() -> Deferred[None]:
        """A signal stops the reactor, but not before everything is ended."""
        executor.end("the executor was told to stop")
        return finished

    loop.callLater(0, lambda: Deferred.fromCoroutine(run()))
    loop.addSystemEventTrigger("before", "shutdown", stop)
    loop.run()


if __name__ == "__main__":
    main()
