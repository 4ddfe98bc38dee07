"""A FairMQ device with the OCC plugin: state machine, properties, control port, real data.

    python fairmq.py StfBuilder --id 2oDvieFrVTi -S ... -P OCClite --control-port 31000 ...

`StfBuilder` takes from its pull channel and passes on to its push channel, if it has one;
`StfSender` takes and keeps. The transport `shmem` is a socket here. Speaks the JSON dialect, or
protobuf for `-P OCC`. See `fault` for how it can misbehave and `report` for what it tells of a run.
SIGUSR1 takes it to ERROR, as a device goes there by itself; its process lives on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run by its path, the folder of the stand-ins hides the package that they are in.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from aliecs.errors import AliecsError
from aliecs.occ.codec import Codec
from aliecs.occ.example.flow import Channels, Relay
from aliecs.occ.properties import Properties
from aliecs.protocol.protos.occ_pb2 import (
    DEVICE_ERROR,
    DEVICE_INTENTIONAL,
    EXECUTOR,
    NULL_DEVICE_EVENT,
    STATE_INTERMEDIATE,
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
from aliecs.txgrpc.route import Route, ServerCall
from test.standin.fault import Fault, fault_of
from test.standin.report import report

# event -> (states that it is possible in, state on the way, state reached)
TRANSITIONS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "INIT DEVICE": (("IDLE",), "", "INITIALIZING DEVICE"),
    "COMPLETE INIT": (("INITIALIZING DEVICE",), "", "INITIALIZED"),
    "BIND": (("INITIALIZED",), "BINDING", "BOUND"),
    "CONNECT": (("BOUND",), "CONNECTING", "DEVICE READY"),
    "INIT TASK": (("DEVICE READY",), "INITIALIZING TASK", "READY"),
    "RUN": (("READY",), "", "RUNNING"),
    "STOP": (("RUNNING",), "", "READY"),
    "RESET TASK": (("READY",), "RESETTING TASK", "DEVICE READY"),
    "RESET DEVICE": (("INITIALIZED", "BOUND", "DEVICE READY"), "RESETTING DEVICE", "IDLE"),
    "END": (("IDLE",), "", "EXITING"),
}
INTERMEDIATE = ("INITIALIZING TASK", "RESETTING", "BINDING", "CONNECTING")
"""What the names of states hold in which a device does not stay."""
INTEGERS = ("rateLogging", "rcvBufSize", "sndBufSize", "linger", "rcvKernelSize", "sndKernelSize")


class Cancelled(AliecsError):
    """What the OCClite plugin makes of every error: no text."""

    grpc_status = "CANCELLED"

    def __init__(self) -> None:
        super().__init__("")


class BadSource(AliecsError):
    """What the legacy plugin says of a wrong source state."""

    grpc_status = "INVALID_ARGUMENT"


class NoControl(AliecsError):
    """What the plugins say once they have let go of the device."""

    grpc_status = "INTERNAL"


class UnknownEvent(AliecsError):
    """What becomes of an exception inside either plugin."""

    grpc_status = "UNKNOWN"

    def __init__(self) -> None:
        super().__init__("Unexpected error in RPC handling")


class Device:
    """The state machine, and the data that it moves. `program` decides what becomes of it."""

    def __init__(self, program: str, fault: Fault) -> None:
        self.program = program
        self.state = "IDLE"
        self.properties: dict[str, str] = {}
        self.states: list[str] = []
        """All that it has been in, for whoever follows."""
        self.changed = asyncio.Condition()
        self._fault = fault
        self._lock = asyncio.Lock()
        self._channels = Channels()
        self._flow: Relay | None = None
        self._pump: asyncio.Task[None] | None = None
        self._stopping = False

    async def transition(
        self, source: str, event: str, arguments: Mapping[str, str]
    ) -> TransitionReply:
        """One step, to its end. `KeyError` for an event that does not exist, `BadSource` where the
        device is elsewhere."""
        async with self._lock:
            if event == "ERROR FOUND":
                goal = "ERROR"
                self._enter("ERROR")
            else:
                possible, on_the_way, goal = TRANSITIONS[event]
                if self.state == "EXITING":
                    raise NoControl("no device control")
                if source != self.state:
                    raise BadSource(f"the device is in {self.state}, not in {source}")
                if self.state in possible:
                    await self._step(event, on_the_way, goal, arguments)
        if self.state == "ERROR":
            trigger = DEVICE_ERROR
        else:
            trigger = EXECUTOR if self.state == goal else DEVICE_INTENTIONAL
        return TransitionReply(
            trigger=trigger, state=self.state, transitionEvent=event, ok=self.state == goal
        )

    async def _step(
        self, event: str, on_the_way: str, goal: str, arguments: Mapping[str, str]
    ) -> None:
        before = self.state
        match self._fault.at(event):
            case "die":
                os._exit(3)
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await asyncio.sleep(self._fault.seconds)
            case "error":
                self._enter("ERROR")
                return
            case "stick":
                self._enter(before)
                return
        if on_the_way:
            self._enter(on_the_way)
        try:
            await self._work(event, arguments)
        except AliecsError as error:
            print(f"{event}: {error.message}", file=sys.stderr, flush=True)
            self._enter("ERROR")
            return
        self._enter(goal)

    async def _work(self, event: str, arguments: Mapping[str, str]) -> None:
        match event:
            case "INIT DEVICE":
                for key, value in arguments.items():
                    self._set(key, value)
            case "BIND":
                await self._channels.open(self.properties, "bind")
            case "CONNECT":
                await self._channels.open(self.properties, "connect")
            case "INIT TASK":
                output = self._channels.optional("push")
                self._flow = Relay(self._channels.only("pull"), output)
            case "RUN":
                self.properties.update(arguments)
                await self._begin()
            case "STOP":
                self.properties.update(arguments)
                await self._end()
            case "RESET DEVICE":
                await self._channels.close()
                self.properties.clear()

    def _set(self, key: str, value: str) -> None:
        """Set one property, of its type; one that cannot be is told and forgotten."""
        kind, last = "string", key.rpartition(".")[2]
        if key.startswith("__ptree__:"):
            kind = "tree" if Properties({key: value}).tree else ""
        elif key.startswith("chans.") and last in INTEGERS:
            kind = "int" if value.lstrip("-").isdecimal() else ""
        elif key.startswith("chans.") and last == "autoBind":
            kind = "bool" if value in ("0", "1", "true", "false") else ""
        if not kind:
            print(f"property {key}={value} is not set", file=sys.stderr, flush=True)
            return
        print(f"property {key}={value} ({kind})", flush=True)
        self.properties[key] = value

    async def _begin(self) -> None:
        assert self._flow is not None
        await self._flow.begin(int(self.properties.get("runNumber", "0")))
        self._stopping = False
        self._pump = asyncio.create_task(self._move(self._flow))

    async def _move(self, flow: Relay) -> None:
        while not self._stopping and await flow.step():
            pass

    async def _end(self) -> None:
        assert self._flow is not None and self._pump is not None
        # Not cancelled: a block that is on its way would be lost.
        self._stopping = True
        await self._pump
        report(self.program, await self._flow.end())

    def _enter(self, state: str) -> None:
        self.state = state
        self.states.append(state)
        print(f"state {state}", flush=True)
        self._telling = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def break_down(self) -> None:
        """Go to ERROR for no reason that anybody gave."""
        if self._pump is not None:
            self._pump.cancel()
        self._enter("ERROR")

    async def state_number(self, number: int) -> str:
        """The state that it has been in as that one, counted from 0; it may come yet."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.states) > number)
        return self.states[number]

    async def wait_for(self, *states: str) -> None:
        """Until it is in one of these states."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.state in states)

    async def close(self) -> None:
        """Let go of everything."""
        if self._pump is not None:
            self._pump.cancel()
        await self._channels.close()


class Plugin:
    """The OCC plugin of a device."""

    def __init__(self, device: Device, codec: Codec, fault: Fault) -> None:
        self._device = device
        self._codec = codec
        self._fault = fault

    def routes(self) -> list[Route]:
        """What it serves; the JSON dialect has no stream of states."""
        routes = [
            self._route("GetState", GetStateRequest, self.get_state),
            self._route("Transition", TransitionRequest, self.transition),
            self._route("EventStream", EventStreamRequest, self.events, streams=True),
        ]
        if self._codec is Codec.PROTOBUF:
            routes.append(self._route("StateStream", StateStreamRequest, self.states, streams=True))
        return routes

    def _route(self, method: str, request: Any, handler: Any, streams: bool = False) -> Route:
        return Route(
            path=self._codec.path(method),
            handler=handler,
            decode=lambda data: self._decode(request, data),
            encode=lambda reply: self._encode(method, reply),
            streams=streams,
        )

    def _decode(self, request: Any, data: bytes) -> Any:
        try:
            return self._codec.decode(request, data)
        except Exception:
            raise Cancelled from None

    def _encode(self, method: str, reply: Any) -> bytes:
        step = getattr(reply, "transitionEvent", method)
        if self._fault.at(step) == "rubbish":
            return b"\xff\xffrubbish"
        return self._codec.encode(reply)

    async def get_state(self, request: GetStateRequest, call: ServerCall) -> GetStateReply:
        return GetStateReply(state=self._device.state, pid=os.getpid())

    async def transition(self, request: TransitionRequest, call: ServerCall) -> TransitionReply:
        arguments = {entry.key: entry.value for entry in request.arguments if entry.key}
        if len(arguments) < len(request.arguments):
            print("an argument without a key is skipped", file=sys.stderr, flush=True)
        step = self._device.transition(request.srcState, request.transitionEvent, arguments)
        try:
            return await asyncio.shield(asyncio.ensure_future(step))
        except KeyError:
            raise UnknownEvent from None
        except (BadSource, NoControl):
            if self._codec is Codec.JSON:
                raise Cancelled from None
            raise

    async def events(
        self, request: EventStreamRequest, call: ServerCall
    ) -> AsyncIterator[EventStreamReply]:
        """The only thing that a device ever says: that it is over. To the legacy plugin one in
        ERROR is not."""
        last = ("EXITING", "ERROR") if self._codec is Codec.JSON else ("EXITING",)
        await self._device.wait_for(*last)
        yield EventStreamReply(event=DeviceEvent(type=NULL_DEVICE_EVENT))

    async def states(
        self, request: StateStreamRequest, call: ServerCall
    ) -> AsyncIterator[StateStreamReply]:
        """Every change from now on, to the last."""
        device = self._device
        seen = len(device.states)
        while True:
            state, seen = await device.state_number(seen), seen + 1
            passing = any(part in state for part in INTERMEDIATE)
            yield StateStreamReply(
                type=STATE_INTERMEDIATE if passing else STATE_STABLE, state=state
            )
            if state == "EXITING":
                return


async def serve(program: str, port: int, codec: Codec) -> int:
    """Be a device until END or SIGTERM; gives the exit status."""
    fault = fault_of(program)
    device = Device(program, fault)
    server = NativeServer(
        f"127.0.0.1:{port}",
        Plugin(device, codec, fault).routes(),
        lambda path, error: print(f"{path}: {error!r}", file=sys.stderr, flush=True),
    )
    await server.start()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, device.break_down)
    while device.state != "EXITING" and not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 0.05)
    await server.stop(0.5)
    await device.close()
    return 0


def main(arguments: list[str]) -> int:
    """`<program> [options]`. Options of the real programs are taken and not looked at."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("program", choices=["StfBuilder", "StfSender"])
    parser.add_argument("--id", default="")
    parser.add_argument("--control-port", type=int, default=47100)
    parser.add_argument("-S", dest="search_path", default="")
    parser.add_argument("-P", dest="plugin", default="OCClite")
    options, _ = parser.parse_known_args(arguments)
    port = int(os.environ.get("OCC_CONTROL_PORT") or options.control_port)
    codec = Codec.PROTOBUF if options.plugin == "OCC" else Codec.JSON
    try:
        return asyncio.run(serve(options.program, port, codec))
    except AliecsError as error:
        print(f"{options.program}: {error.message}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
