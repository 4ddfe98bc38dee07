"""One run of `coconut`: its settings, its connection to the core, and what it shows meanwhile.

Requests that move something are waited for in a thread of their own while this one shows how far
the core has come, where the core offers to tell (`aliecs.v1.Control`); the core goes on whatever
happens here.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import click
from attrs import define, field
from rich.text import Text

from aliecs.cli.credentials import metadata_of, tls_of
from aliecs.cli.option import DEFAULT_TIMEOUT_S, ClientSettings, settings_of
from aliecs.cli.output import Output
from aliecs.errors import Unavailable
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import common_pb2, o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.status import ERROR_CODE, RpcError
from aliecs.txgrpc.stub import Stub

IDEMPOTENCY_KEY = "aliecs-idempotency-key"

EXTENDED = aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"]
CONTROL = o2control_pb2.DESCRIPTOR.services_by_name["Control"]

_LOOK_S = 0.3
_ASIDE_TIMEOUT_S = 5.0
# A core that is restarted is back by then.
_AGAIN_S = 15.0
_PAUSE_S = 1.0
_PATIENCE_S = 10.0
_WAITING_SHOWN = 3
# The reference's clients take that much; a production tree is large.
_MOST_BYTES = 100 * 1024 * 1024


def user_name() -> str:
    """Who asks, as the core's history shows it: `login@host`."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = "unknown"
    return f"{login}@{socket.gethostname() or 'unknown'}"


class NoAnswer(Unavailable):
    """Nobody answers at the endpoint; `never_sent` where the request has not even left."""

    def __init__(self, message: str, never_sent: bool) -> None:
        super().__init__(message)
        self.never_sent = never_sent


def waiting_text(operation: aliecs_v1_pb2.Operation) -> str:
    """Who is waited for, in one line; empty where nobody is."""
    now_s = time.time()
    told = [
        f"{one.role or one.task_id} ({one.host or one.what},"
        f" {max(0.0, now_s - one.since_ms / 1000):.0f} s)"
        for one in operation.waiting
    ]
    if operation.waiting_left_out:
        told.append(f"and {operation.waiting_left_out} more")
    return f"waiting for {', '.join(told)}" if told else ""


@define
class Session:
    """See the module. Made by `session`, which closes it."""

    settings: ClientSettings
    output: Output
    channel: BlockingChannel
    metadata: Mapping[str, str] = field(factory=dict, repr=False)
    """What goes with every call: who asks."""
    _services: frozenset[str] | None = field(default=None, init=False)

    @property
    def _hint(self) -> str:
        if self.settings.tls_authority or self.settings.tls_certificate:
            return ""
        return " (a core that speaks TLS takes --tls-authority)"

    @property
    def user(self) -> common_pb2.User:
        """Who asks."""
        return common_pb2.User(name=user_name())

    def ask(self, method: str, request: Any) -> Any:
        """Ask the control API something; gives the reply. Raises `RpcError`, or `Unavailable` where
        nobody answers at the endpoint."""
        timeout_s = self.settings.timeout_s or DEFAULT_TIMEOUT_S
        return self._call(CONTROL, method, request, timeout_s)

    def ask_extended(self, method: str, request: Any) -> Any:
        """Ask our own service something. As `ask`."""
        timeout_s = self.settings.timeout_s or DEFAULT_TIMEOUT_S
        return self._call(EXTENDED, method, request, timeout_s)

    def has_extended(self) -> bool:
        """True where the core offers our own service, as its reflection tells."""
        if self._services is None:
            try:
                self._services = self.channel.services(_ASIDE_TIMEOUT_S)
            except RpcError:
                self._services = frozenset()
        return EXTENDED.full_name in self._services

    def move(self, method: str, request: Any, doing: str, service: Any = CONTROL) -> Any:
        """Ask for something that may take long, without limit unless one was given, and show
        progress meanwhile; gives the reply. `doing` says what it is, for people."""
        names = request.DESCRIPTOR.fields_by_name
        name = "environment_id" if "environment_id" in names else "id"
        watch = _Watch(self, doing, getattr(request, name, "") if name in names else "")
        return watch.over(lambda: self._call_once(service, method, request))

    def stream(self, method: str, request: Any, service: Any = CONTROL) -> Iterator[Any]:
        """The messages of a stream, as they come."""
        replies: Iterator[Any] = getattr(Stub(self.channel, service), method)(
            request, metadata=self.metadata
        )
        return replies

    def _call_once(self, service: Any, method: str, request: Any) -> Any:
        """Ask for something that must not be done twice. Where the connection breaks meanwhile it
        is asked for again, with a key by which the core knows it."""
        metadata = {IDEMPOTENCY_KEY: uuid4().hex}
        give_up_s = 0.0
        while True:
            try:
                return self._call(service, method, request, self.settings.timeout_s, metadata)
            except NoAnswer as problem:
                if not give_up_s and (problem.never_sent or not self.has_extended()):
                    raise
                give_up_s = give_up_s or time.monotonic() + _AGAIN_S
                if time.monotonic() > give_up_s:
                    raise
                self.output.note(f"{problem.message}; asking again")
                time.sleep(_PAUSE_S)

    def _call(
        self,
        service: Any,
        method: str,
        request: Any,
        timeout_s: float | None,
        metadata: Mapping[str, str] | None = None,
    ) -> Any:
        if self.settings.verbose:
            limit = "no limit" if timeout_s is None else f"limit {timeout_s:g} s"
            self.output.note(f"{self.settings.endpoint}: {service.full_name}/{method}, {limit}")
        try:
            return getattr(Stub(self.channel, service), method)(
                request, deadline_s=timeout_s, metadata={**self.metadata, **(metadata or {})}
            )
        except RpcError as error:
            # With a code of ours it is the core's answer: somebody that it depends on is away.
            if error.status == "UNAVAILABLE" and ERROR_CODE not in error.trailing:
                raise NoAnswer(
                    f"no core answers at {self.settings.endpoint}: {error.message}; is it running, "
                    f"and is --endpoint right?{self._hint}",
                    "failed to connect" in error.message,
                ) from None
            if error.status == "DEADLINE_EXCEEDED" and timeout_s is not None:
                raise RpcError(
                    error.status,
                    f"{error.message or 'no answer in time'} (within {timeout_s:g} s; the core "
                    "may carry on with what was asked)",
                    error.details,
                    error.trailing,
                ) from None
            raise


@define
class _Watch:
    """Shows how far an operation of the core has come."""

    session: Session
    doing: str
    environment_id: str
    _known: frozenset[str] = field(default=frozenset(), init=False)
    _shown: str = field(default="", init=False)
    _shown_s: float = field(factory=time.monotonic, init=False)
    _failed: bool = field(default=False, init=False)

    def over(self, work: Callable[[], Any]) -> Any:
        """Do `work` in a thread and show progress until it is done."""
        if self.session.settings.nospinner:
            return work()
        self._known = frozenset(operation.id for operation in self._operations())
        outcome: list[Any] = []
        failure: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                outcome.append(work())
            except BaseException as error:
                failure.append(error)
            done.set()

        threading.Thread(target=run, name="request", daemon=True).start()
        with self._display() as show:
            while not done.wait(_LOOK_S):
                show(*self._progress())
        if failure:
            raise failure[0]
        return outcome[0]

    @contextlib.contextmanager
    def _display(self) -> Iterator[Callable[[str, str], None]]:
        """On a terminal a few lines that change; elsewhere a line for every change."""
        console = self.session.output.errors
        if console.is_terminal:
            begin = time.monotonic()
            with console.status(self.doing) as status:

                def show(text: str, waiting: str) -> None:
                    head = f"{text or self.doing} ({time.monotonic() - begin:.0f} s)"
                    # Names of tasks are no markup.
                    status.update(Text(f"{head}\n{waiting}" if waiting else head))

                yield show
        else:
            yield self._line

    def _line(self, text: str, waiting: str) -> None:
        if text and text != self._shown:
            self._shown, self._shown_s = text, time.monotonic()
            self.session.output.note(text)
        elif waiting and time.monotonic() - self._shown_s > _PATIENCE_S:
            # Nothing has changed for long: say whom it hangs on, and not too often.
            self._shown_s = time.monotonic()
            self.session.output.note(waiting)

    def _progress(self) -> tuple[str, str]:
        """What the core says of our operation, and whom it waits for longest; empty where it says
        nothing."""
        for operation in self._operations():
            if operation.id in self._known or operation.requested_by != user_name():
                continue
            if operation.state != aliecs_v1_pb2.OPERATION_STATE_RUNNING:
                continue
            text = f"{self.doing}: environment {operation.environment_id}"
            if operation.current_step:
                text += f", {operation.current_step}"
            if operation.total:
                text += f", {operation.done} of {operation.total} tasks"
            return text, self._waiting(operation.id)
        return "", ""

    def _waiting(self, operation_id: str) -> str:
        """Those that our operation waits for longest."""
        request = aliecs_v1_pb2.GetOperationRequest(id=operation_id, waiting_limit=_WAITING_SHOWN)
        stub = Stub(self.session.channel, EXTENDED)
        try:
            operation = stub.GetOperation(request, deadline_s=_ASIDE_TIMEOUT_S)
        except RpcError:
            return ""
        return waiting_text(operation)

    def _operations(self) -> Iterator[aliecs_v1_pb2.Operation]:
        """Operations of late; none where the core does not tell."""
        if self._failed or not self.session.has_extended():
            return
        request = aliecs_v1_pb2.ListOperationsRequest(environment_id=self.environment_id, limit=20)
        stub = Stub(self.session.channel, EXTENDED)
        try:
            reply = stub.ListOperations(
                request, deadline_s=_ASIDE_TIMEOUT_S, metadata=self.session.metadata
            )
        except RpcError:
            # Progress is a courtesy: what went wrong is told by the request itself.
            self._failed = True
            return
        yield from reply.operations


@contextlib.contextmanager
def session() -> Iterator[Session]:
    """The session of the command that runs."""
    settings = settings_of(click.get_current_context())
    output = Output.open(settings.output, settings.nocolor)
    options = {"grpc.max_receive_message_length": _MOST_BYTES}
    tls = tls_of(settings)
    metadata = metadata_of(settings, tls)
    with BlockingChannel(settings.endpoint, options, tls) as channel:
        yield Session(settings, output, channel, metadata)
