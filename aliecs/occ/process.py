"""A task as a process of its own: options, gRPC server, signals, exit status.

`run` is the last line of a task's program. The server listens on loopback, where the executor
of the same host is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NoReturn

from attrs import frozen

from aliecs.errors import AliecsError
from aliecs.occ.codec import REASON_KEY, SERVICE
from aliecs.occ.machine import Machine
from aliecs.occ.task import Task
from aliecs.occ.worker import Caller, Worker
from aliecs.protocol.protos.occ_pb2 import (
    STATE_STABLE,
    DeviceEvent,
    EventStreamReply,
    EventStreamRequest,
    GetStateReply,
    GetStateRequest,
    StateStreamReply,
    StateStreamRequest,
    TransitionReply,
    TransitionRequest,
)
from aliecs.txgrpc.native import NativeServer
from aliecs.txgrpc.route import ServerCall, service_routes

DEFAULT_PORT = 47100
DEFAULT_ROLE = "default-role"
# Long enough for the answer to EXIT to leave, and for the streams to end by themselves.
CLOSING_GRACE_S = 0.5


@frozen
class Options:
    """Where a task listens, and who it is."""

    port: int
    role: str


def options(
    arguments: Sequence[str], environment: Mapping[str, str], port: int | None = None
) -> Options:
    """From the caller, the command line (`--control-port`, `--o2-role`; others are the task's own),
    the environment (`OCC_CONTROL_PORT`, `O2_ROLE`) and the defaults, in this order. `ValueError`
    where a port is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--control-port")
    parser.add_argument("--o2-role")
    given, _ = parser.parse_known_args(arguments)
    if port is None:
        if given.control_port is not None:
            port = _port(given.control_port, "--control-port")
        elif environment.get("OCC_CONTROL_PORT"):
            port = _port(environment["OCC_CONTROL_PORT"], "OCC_CONTROL_PORT")
        else:
            port = DEFAULT_PORT
    return Options(port, given.o2_role or environment.get("O2_ROLE") or DEFAULT_ROLE)


def _port(text: str, source: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"{source} is {text!r}, which is no port (1 to 65535)")
    return int(text)


class Servicer:
    """The service `occ_pb.Occ` over one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def GetState(  # noqa: N802
        self, request: GetStateRequest, call: ServerCall
    ) -> GetStateReply:
        """Answers at once, also while a transition is under way."""
        return GetStateReply(state=self._machine.state, pid=os.getpid())

    async def Transition(  # noqa: N802
        self, request: TransitionRequest, call: ServerCall
    ) -> TransitionReply:
        """Answers when the step is over."""
        arguments = {entry.key: entry.value for entry in request.arguments}
        outcome = await self._machine.transition(
            request.srcState, request.transitionEvent, arguments
        )
        if outcome.reason:
            call.trailing[REASON_KEY] = outcome.reason[:2000].encode()
        return TransitionReply(
            trigger=outcome.trigger,
            state=outcome.state,
            transitionEvent=request.transitionEvent,
            ok=outcome.ok,
        )

    def StateStream(  # noqa: N802
        self, request: StateStreamRequest, call: ServerCall
    ) -> AsyncIterator[StateStreamReply]:
        """From the call on, until DONE."""
        return _each(
            self._machine.states.listen(),
            lambda state: StateStreamReply(type=STATE_STABLE, state=state),
        )

    def EventStream(  # noqa: N802
        self, request: EventStreamRequest, call: ServerCall
    ) -> AsyncIterator[EventStreamReply]:
        """From the call on, until DONE."""
        return _each(
            self._machine.events.listen(),
            lambda kind: EventStreamReply(event=DeviceEvent(type=kind)),
        )


async def _each(items: AsyncIterator[Any], make: Any) -> AsyncIterator[Any]:
    async for item in items:
        yield make(item)


async def serve(
    task: Task, port: int, host: str = "127.0.0.1", caller: Callable[[], Caller] = Worker
) -> int:
    """Be controllable until the end; gives the exit status: 0 after EXIT, otherwise as a shell
    reports the signal that was sent. `caller` is what runs the callbacks. `Unavailable` where the
    port is taken."""
    machine = Machine(task, caller())
    server = NativeServer(f"{host}:{port}", service_routes(SERVICE, Servicer(machine)), _report)
    await server.start()
    machine.start()
    signals: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        return await _until_the_end(machine, signals)
    finally:
        await server.stop(CLOSING_GRACE_S)
        machine.stop()


async def _until_the_end(machine: Machine, signals: asyncio.Queue[int]) -> int:
    """SIGTERM lets the task run its `exit` first, SIGINT does not."""
    done = asyncio.ensure_future(machine.done.wait())
    status = 0
    ending = []  # a loop does not keep what runs on it
    while not done.done():
        signalled = asyncio.ensure_future(signals.get())
        await asyncio.wait({done, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if not signalled.done():
            signalled.cancel()
            break
        status = 128 + signalled.result()
        if signalled.result() == signal.SIGINT:
            done.cancel()
            break
        ending.append(asyncio.ensure_future(machine.terminate()))
    return status


def _report(path: str, error: BaseException) -> None:
    print(f"{path} failed: {error!r}", file=sys.stderr, flush=True)


def run(task: Task, port: int | None = None, arguments: Sequence[str] | None = None) -> NoReturn:
    """Be controllable, then end the process.

    `port` is the control port, else `--control-port` in `arguments` (the process's own), else
    `OCC_CONTROL_PORT`, else 47100. The exit status is 0 after EXIT, 1 where the task cannot listen,
    143 after SIGTERM, 130 after SIGINT.
    """
    run_until(lambda chosen: asyncio.run(serve(task, chosen)), task, port, arguments)


def run_until(
    end: Callable[[int], int], task: Task, port: int | None, arguments: Sequence[str] | None
) -> NoReturn:
    """Be controllable as long as `end` takes, which is given the control port and gives the exit
    status; then end the process."""
    try:
        chosen = options(sys.argv[1:] if arguments is None else arguments, os.environ, port)
        task.role = chosen.role
        status = end(chosen.port)
    except (AliecsError, ValueError) as error:
        print(f"{task.name}: {error}", file=sys.stderr)
        status = 1
    end_process(status)


def end_process(status: int) -> NoReturn:
    """Not `sys.exit`: whatever threads the task has left must not hold the process back."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
