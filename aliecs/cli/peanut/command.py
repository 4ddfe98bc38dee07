"""The commands of `peanut`: what they ask of the task, and what they print.

The command line and the lines of a script run the same ones.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click
from attrs import define

from aliecs.cli.peanut.target import NoWitness, Target
from aliecs.cli.peanut.trouble import trouble
from aliecs.errors import DeadlineExceeded, InvalidInput, TransitionFailed
from aliecs.executor.transitioner import Transition, our_state
from aliecs.language.duration import parse_duration
from aliecs.occ.blocking import BlockingOccClient
from aliecs.occ.call import OccError, StateUpdate, TransitionResult, word
from aliecs.occ.codec import Codec
from aliecs.protocol.protos.occ_pb2 import DeviceEventType, StateChangeTrigger, StateType

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

LOOK_INTERVAL_S = 0.1
# The last look of those that wait has time for its answer too.
LOOK_S = 2.0

CONTEXT = {"help_option_names": ["-h", "-help", "--help"]}
# Behind the first argument all are arguments, whatever they begin with.
COMMAND_CONTEXT = {**CONTEXT, "allow_interspersed_args": False}


@define
class Session:
    """What all commands of one call of `peanut` share."""

    client: BlockingOccClient
    timeout_s: float
    configuration: Mapping[str, str]

    def target(self, timeout_s: float | None = None) -> Target:
        """The task, for the length of one command."""
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        return Target(self.client, limit_s, _Progress())

    def arguments(self, pairs: Sequence[str]) -> dict[str, str]:
        """What goes with a transition: the configuration, and `key=value` over it."""
        for pair in pairs:
            if "=" not in pair:
                click.echo(f"{pair!r} is ignored: it has no '='", err=True)
        given = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return {**self.configuration, **given}


class _Progress(NoWitness):
    def begins(self, source: str, event: str, expected: str) -> None:
        """Of steps whose goal is known: those of a sequence."""
        if expected:
            click.echo(f"{source} --{event}--> {expected}", err=True)


class Explaining(click.Group):
    """A group whose commands, when a task does not answer them, tell why."""

    def invoke(self, context: click.Context) -> Any:
        """Run what was asked for."""
        try:
            return super().invoke(context)
        except OccError as error:
            raise trouble(error, context.obj.client).error from None


class Duration(click.ParamType[float]):
    """Seconds, from a duration as Go writes them."""

    name = "duration"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Read it; one that leaves no time is none."""
        try:
            seconds = parse_duration(value)
        except InvalidInput as error:
            self.fail(error.message, parameter, context)
        if seconds <= 0:
            self.fail(f"{value!r} leaves no time", parameter, context)
        return seconds


@click.command("get-state", context_settings=COMMAND_CONTEXT)
@click.pass_obj
def get_state(session: Session) -> None:
    """Print the state, in the task's own words."""
    click.echo(session.target().get_state())


@click.command("transition", context_settings=COMMAND_CONTEXT, short_help="Go to another state.")
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_obj
def transition(session: Session, source: str, destination: str, pairs: Sequence[str]) -> None:
    """Go from one state to another, such as STANDBY to CONFIGURED; with a FairMQ device, through
    all the steps between. In direct mode TO may be an event as well."""
    source, destination = source.upper(), destination.upper()
    target, arguments = session.target(), session.arguments(pairs)
    if session.client.codec is Codec.PROTOBUF:
        event = DIRECT_EVENTS.get((source, destination), destination)
        _show_direct(target.step(source, event, arguments))
        return
    if (source, destination) not in FAIRMQ_EVENTS:
        ways = ", ".join(f"{one} to {other}" for one, other in FAIRMQ_EVENTS)
        raise InvalidInput(f"no way from {source} to {destination}; there are {ways}")
    event = FAIRMQ_EVENTS[source, destination]
    state = target.sequence(Transition(source, event, destination, arguments))
    click.echo(f"ok  state={state}")


@click.command("direct-step", context_settings=COMMAND_CONTEXT)
@click.argument("source", metavar="SOURCE-STATE")
@click.argument("event")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_obj
def direct_step(session: Session, source: str, event: str, pairs: Sequence[str]) -> None:
    """Send one event, as it is (with -mode direct)."""
    _show_direct(session.target().step(source, event, session.arguments(pairs)))


@click.command("fmq-step", context_settings=COMMAND_CONTEXT)
@click.argument("source", metavar="SOURCE-STATE")
@click.argument("event")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_obj
def fmq_step(session: Session, source: str, event: str, pairs: Sequence[str]) -> None:
    """Send one event of FairMQ, as it is (with -mode fmq)."""
    click.echo(f"{source} --{event}--> ...", err=True)
    result = session.target().step(source, event, session.arguments(pairs))
    shown = SHOWN_STATES.get(result.state, "STANDBY")
    click.echo(f"ok  fmq-state={result.state}  occ-state={shown}")


@click.command("wait", context_settings=COMMAND_CONTEXT, short_help="Wait for a state.")
@click.argument("state")
@click.argument("limit", metavar="[DURATION]", type=Duration(), required=False)
@click.pass_obj
def wait(session: Session, state: str, limit: float | None) -> None:
    """Wait until the task is in a state (of FairMQ or ours), and print it, in the task's own words.
    It need not listen yet. Ends with a failure when it reaches ERROR instead, or after DURATION,
    else after the limit of -timeout."""
    wanted = state.upper()
    end_s = time.monotonic() + (limit or session.timeout_s)
    while True:
        left_s = end_s - time.monotonic()
        try:
            present = session.target(max(left_s, LOOK_S)).get_state()
        except OccError as error:
            if error.status != "UNAVAILABLE" or left_s <= 0:
                raise
            present = ""
        if wanted in (present, our_state(present)):
            click.echo(present)
            return
        if present == "ERROR":
            raise TransitionFailed(f"the task is in ERROR; {wanted} was waited for")
        if left_s <= 0:
            raise DeadlineExceeded(f"the task is still in {present}; {wanted} was waited for")
        time.sleep(LOOK_INTERVAL_S)


@click.command(
    "state-stream", context_settings=COMMAND_CONTEXT, short_help="Print every change of state."
)
@click.pass_obj
def state_stream(session: Session) -> None:
    """Print every change of state until the task ends or Ctrl-C (with -mode direct)."""

    def line(update: StateUpdate) -> str:
        return f"type={word(StateType, update.kind):<12}  state={update.state}"

    _follow(session.client.states, line)


@click.command("event-stream", context_settings=COMMAND_CONTEXT)
@click.pass_obj
def event_stream(session: Session) -> None:
    """Print what the task says by itself until it ends or Ctrl-C."""
    _follow(session.client.events, lambda kind: f"event={word(DeviceEventType, kind)}")


def _show_direct(result: TransitionResult) -> None:
    click.echo(f"ok  state={result.state} trigger={word(StateChangeTrigger, result.trigger)}")


def _follow(stream: Callable[[], Iterator[Any]], line: Callable[[Any], str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for reply in stream():
            click.echo(line(reply))
    except KeyboardInterrupt:
        return
