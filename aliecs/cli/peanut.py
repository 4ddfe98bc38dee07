"""`peanut`: look at one task and move it by hand, without a core or an executor.

Speaks OCC to the control port of a task: protobuf to tasks made with the OCC library, the JSON
dialect to FairMQ devices with the OCC plugin. Nothing is sent on leaving.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from attrs import frozen

from aliecs.errors import AliecsError, InvalidInput, TransitionFailed
from aliecs.executor.transitioner import StepResult, Transition, fairmq
from aliecs.language.document import MappingNode, Node, ScalarNode, SequenceNode, parse_document
from aliecs.language.duration import parse_duration
from aliecs.occ.codec import REASON_KEY, Codec
from aliecs.protocol.protos.occ_pb2 import (
    ConfigEntry,
    DeviceEventType,
    EventStreamReply,
    EventStreamRequest,
    GetStateReply,
    GetStateRequest,
    StateChangeTrigger,
    StateStreamReply,
    StateStreamRequest,
    StateType,
    TransitionReply,
    TransitionRequest,
)
from aliecs.txgrpc.blocking import BlockingChannel

DIRECT_EVENTS: Mapping[tuple[str, str], str] = {
    ("STANDBY", "CONFIGURED"): "CONFIGURE",
    ("CONFIGURED", "RUNNING"): "START",
    ("RUNNING", "CONFIGURED"): "STOP",
    ("CONFIGURED", "STANDBY"): "RESET",
    ("ERROR", "STANDBY"): "RECOVER",
}
FAIRMQ_EVENTS = {pair: event for pair, event in DIRECT_EVENTS.items() if event != "RECOVER"}
# What a FairMQ state is to an executor: all the steps of a configuration are still STANDBY.
SHOWN_STATES: Mapping[str, str] = {"READY": "CONFIGURED", "RUNNING": "RUNNING", "ERROR": "ERROR"}

CONTEXT = {"help_option_names": ["-h", "-help", "--help"]}


@frozen
class Step:
    """How one step ended: the task's state, what made it go there, and what went wrong, if anything
    did."""

    state: str
    trigger: str
    problem: str

    def checked(self) -> Step:
        """Itself; `TransitionFailed` where something went wrong."""
        if self.problem:
            raise TransitionFailed(self.problem)
        return self


class Target:
    """The task at the other end. `timeout_s` limits everything asked of it together."""

    def __init__(self, channel: BlockingChannel, codec: Codec, timeout_s: float) -> None:
        self.codec = codec
        self._channel = channel
        self._end_s = time.monotonic() + timeout_s

    def get_state(self) -> str:
        """The present state, in the task's own words."""
        return str(self._call("GetState", GetStateRequest(), GetStateReply)[0].state)

    def transition(self, source: str, event: str, arguments: Mapping[str, str]) -> Step:
        """One step, however it ended."""
        request = TransitionRequest(
            srcState=source,
            transitionEvent=event,
            arguments=[ConfigEntry(key=key, value=value) for key, value in arguments.items()],
        )
        reply, trailing = self._call("Transition", request, TransitionReply)
        trigger = StateChangeTrigger.Name(reply.trigger)
        problem = ""
        if not reply.ok:
            problem = f"{event} from {source} led to {reply.state} (trigger {trigger})"
            if REASON_KEY in trailing:
                problem += f": {trailing[REASON_KEY].decode(errors='replace')}"
        return Step(reply.state, trigger, problem)

    def states(self) -> Iterator[StateStreamReply]:
        """Every change of state from now on."""
        return self._stream("StateStream", StateStreamRequest(), StateStreamReply)

    def events(self) -> Iterator[EventStreamReply]:
        """What the task says by itself from now on."""
        return self._stream("EventStream", EventStreamRequest(), EventStreamReply)

    def _call(self, method: str, request: Any, reply: Any) -> tuple[Any, Any]:
        left_s = max(self._end_s - time.monotonic(), 0.001)
        return self._channel.unary(
            self.codec.path(method),
            self.codec.encode,
            lambda data: self.codec.decode(reply, data),
        ).answer(request, deadline_s=left_s)

    def _stream(self, method: str, request: Any, reply: Any) -> Iterator[Any]:
        return self._channel.streaming(
            self.codec.path(method),
            self.codec.encode,
            lambda data: self.codec.decode(reply, data),
        )(request)


def flatten(text: bytes, file: str) -> dict[str, str]:
    """A YAML or JSON document as flat properties: keys joined with dots, items of lists under their
    position from 0, empty lists and mappings left out. `InvalidInput` for what is no mapping."""
    document = parse_document(text, file)
    return dict(_flatten(document.mapping(document.root, "the document"), ""))


def _flatten(node: Node, prefix: str) -> Iterator[tuple[str, str]]:
    below: Iterator[tuple[str, Node]]
    if isinstance(node, MappingNode):
        below = ((key, entry.value) for key, entry in node.entries.items())
    elif isinstance(node, SequenceNode):
        below = ((str(position), item) for position, item in enumerate(node.items))
    else:
        assert isinstance(node, ScalarNode)
        yield prefix, _text(node)
        return
    for key, value in below:
        yield from _flatten(value, f"{prefix}.{key}" if prefix else key)


_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+)")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _text(node: ScalarNode) -> str:
    """A scalar as text: whole numbers exactly, others in their shortest form, null as `<nil>`."""
    if node.is_null:
        return "<nil>"
    if not node.plain:
        return node.text
    if node.text.lower() in ("true", "false"):
        return node.text.lower()
    if _WHOLE.fullmatch(node.text):
        return str(int(node.text, 0))
    if _DECIMAL.fullmatch(node.text):
        value = float(node.text)
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    return node.text


def _seconds(context: click.Context, option: click.Parameter, text: str) -> float:
    """The value of an option that is a duration, as Go writes them."""
    try:
        seconds = parse_duration(text)
    except InvalidInput as error:
        raise click.BadParameter(error.message) from None
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} leaves no time")
    return seconds


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.option("-addr", "--addr", default="localhost:47100", show_default=True, metavar="HOST:PORT")
@click.option(
    "-mode",
    "--mode",
    type=click.Choice(["fmq", "direct"]),
    default="fmq",
    show_default=True,
    help="fmq: a FairMQ device (JSON); direct: a task with the OCC library (protobuf).",
)
@click.option(
    "-timeout",
    "--timeout",
    callback=_seconds,
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="Limit of the whole command; streams have none.",
)
@click.option(
    "-config",
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSON file to flatten and send as arguments; key=value arguments win.",
)
@click.pass_context
def peanut(
    context: click.Context, addr: str, mode: str, timeout: float, config: Path | None
) -> None:
    """Look at one task and move it by hand, through its control port."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)
    channel = context.with_resource(BlockingChannel(addr))
    codec = Codec.JSON if mode == "fmq" else Codec.PROTOBUF
    context.obj = Target(channel, codec, timeout)
    context.meta["arguments"] = flatten(config.read_bytes(), str(config)) if config else {}


@peanut.command("get-state")
@click.pass_obj
def get_state(target: Target) -> None:
    """Print the state, in the task's own words."""
    click.echo(target.get_state())


@peanut.command("transition")
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def transition(context: click.Context, source: str, destination: str, pairs: Sequence[str]) -> None:
    """Go from one state to another, such as STANDBY to CONFIGURED; with a FairMQ device, through
    all the steps between. In direct mode TO may be an event as well."""
    target: Target = context.obj
    source, destination = source.upper(), destination.upper()
    arguments = _arguments(context, pairs)
    if target.codec is Codec.JSON:
        state = _fairmq_sequence(target, source, destination, arguments)
        click.echo(f"ok  state={state}")
    else:
        event = DIRECT_EVENTS.get((source, destination), destination)
        _show_direct(target.transition(source, event, arguments))


@peanut.command("direct-step")
@click.argument("source", metavar="SOURCE-STATE")
@click.argument("event")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def direct_step(context: click.Context, source: str, event: str, pairs: Sequence[str]) -> None:
    """Send one event, as it is (with -mode direct)."""
    _show_direct(context.obj.transition(source, event, _arguments(context, pairs)))


@peanut.command("fmq-step")
@click.argument("source", metavar="SOURCE-STATE")
@click.argument("event")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def fmq_step(context: click.Context, source: str, event: str, pairs: Sequence[str]) -> None:
    """Send one event of FairMQ, as it is (with -mode fmq)."""
    click.echo(f"{source} --{event}--> ...", err=True)
    step = context.obj.transition(source, event, _arguments(context, pairs)).checked()
    shown = SHOWN_STATES.get(step.state, "STANDBY")
    click.echo(f"ok  fmq-state={step.state}  occ-state={shown}")


@peanut.command("state-stream")
@click.pass_obj
def state_stream(target: Target) -> None:
    """Print every change of state until the task ends or Ctrl-C (with -mode direct)."""
    _follow(
        target.states,
        lambda reply: f"type={StateType.Name(reply.type):<12}  state={reply.state}",
    )


@peanut.command("event-stream")
@click.pass_obj
def event_stream(target: Target) -> None:
    """Print what the task says by itself until it ends or Ctrl-C."""
    _follow(
        target.events,
        lambda reply: f"event={DeviceEventType.Name(reply.event.type)}",
    )


def _arguments(context: click.Context, pairs: Sequence[str]) -> dict[str, str]:
    given = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return {**context.meta["arguments"], **given}


def _show_direct(step: Step) -> None:
    step.checked()
    click.echo(f"ok  state={step.state} trigger={step.trigger}")


def _fairmq_sequence(
    target: Target, source: str, destination: str, arguments: Mapping[str, str]
) -> str:
    event = FAIRMQ_EVENTS.get((source, destination))
    if event is None:
        pairs = ", ".join(f"{one} to {other}" for one, other in FAIRMQ_EVENTS)
        raise InvalidInput(f"no way from {source} to {destination}; there are {pairs}")

    async def step(
        state: str, event: str, expected: str, arguments: Mapping[str, str]
    ) -> StepResult:
        click.echo(f"{state} --{event}--> {expected}", err=True)
        try:
            result = target.transition(state, event, arguments)
        except AliecsError as error:
            return StepResult("", f"{event} from {state}: {error}")
        if result.problem or result.state != expected:
            problem = result.problem or f"{event} from {state} led to {result.state}"
            return StepResult(result.state, f"{problem}; {expected} was expected")
        return StepResult(result.state)

    order = Transition(source, event, destination, arguments)
    outcome = asyncio.run(fairmq(step, order))
    if outcome.error:
        raise TransitionFailed(outcome.error)
    return outcome.state


def _follow(stream: Callable[[], Iterator[Any]], line: Callable[[Any], str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for reply in stream():
            click.echo(line(reply))
    except KeyboardInterrupt:
        return


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script. Exit status: 0; 1 with `peanut: <what went wrong>` on standard error; 2
    for a command line that cannot be."""
    try:
        status = peanut.main(arguments, prog_name="peanut", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except AliecsError as error:
        click.echo(f"peanut: {error}", err=True)
        status = 1
    sys.exit(status or 0)
