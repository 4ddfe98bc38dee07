"""Messages to executors, together where they can take it.

A message is a call to the master, which costs far more than what is in it; and a transition is a
message to each task. What waits for one executor while the call before is under way goes with the
next one. An executor of the reference is given one message at a time.

Ours announce themselves when they subscribe. One that has announced nothing when it is first spoken
to is asked: it may be ours, from before this core was started.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from aliecs.backend.mesos import call
from aliecs.protocol.combined import COMMANDS, combine_commands, in_portions
from aliecs.protocol.mesos_scheduler_pb2 import Call
from aliecs.protocol.message import (
    ExecutorAnnouncement,
    MessageError,
    announces,
    decode_executor_message,
)

MOST_FORGOTTEN = 10_000
"""Executors that were asked, of which the oldest are forgotten."""


@define(eq=False)
class _Box:
    """What waits for one executor."""

    agent_id: str
    messages: list[bytes] = field(factory=list)
    is_busy: bool = False


@define(eq=False)
class Outbox:
    """See the module. `order` makes a call after those before it with the same subject; `failed` is
    told of each message whose call has failed: agent, executor, message and the failure."""

    order: Callable[[Call, str], Deferred[None]]
    failed: Callable[[str, str, bytes, Any], None]
    _able: set[str] = field(factory=set, init=False)
    _asked: dict[str, None] = field(factory=dict, init=False)
    _boxes: dict[str, _Box] = field(factory=dict, init=False)

    def heard(self, executor_id: str, message: bytes) -> None:
        """An executor says something; perhaps what it can take."""
        if not announces(message):
            return
        try:
            announcement = decode_executor_message(message)
        except MessageError:
            return  # whoever reads it says so
        if isinstance(announcement, ExecutorAnnouncement) and COMMANDS in announcement.commands:
            self._able.add(executor_id)

    def forget(self, executor_id: str) -> None:
        """An executor is no more."""
        self._able.discard(executor_id)
        self._asked.pop(executor_id, None)

    def send(self, agent_id: str, executor_id: str, message: bytes) -> None:
        """Send a message to an executor."""
        if executor_id not in self._able:
            self._ask(agent_id, executor_id)
            self._call(agent_id, executor_id, message, [message])
            return
        box = self._boxes.get(executor_id)
        if box is None:
            box = self._boxes[executor_id] = _Box(agent_id)
        box.messages.append(message)
        if not box.is_busy:
            self._send_box(executor_id, box)

    def _ask(self, agent_id: str, executor_id: str) -> None:
        if executor_id in self._asked:
            return
        self._asked[executor_id] = None
        if len(self._asked) > MOST_FORGOTTEN:
            del self._asked[next(iter(self._asked))]
        self._call(agent_id, executor_id, combine_commands([]), [])

    def _send_box(self, executor_id: str, box: _Box) -> None:
        portions = list(in_portions(box.messages))
        box.messages = []
        box.is_busy = bool(portions)
        if not portions:
            del self._boxes[executor_id]
        for number, portion in enumerate(portions, 1):
            sent = self._call(box.agent_id, executor_id, combine_commands(portion), portion)
            if number == len(portions):
                sent.addBoth(lambda _: self._send_box(executor_id, box))

    def _call(
        self, agent_id: str, executor_id: str, data: bytes, messages: list[bytes]
    ) -> Deferred[None]:
        sent = self.order(call.message(agent_id, executor_id, data), agent_id)

        def tell(failure: Any) -> None:
            for message in messages:
                self.failed(agent_id, executor_id, message, failure)

        return sent.addErrback(tell)
