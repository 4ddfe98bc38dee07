"""Frames of the event stream: what is sent to clients for the events of the bus.

Most events are one frame each. Of tasks and roles there may be tens of thousands of changes in one
second, so those are told together: the changes between two other events are one `task.updated` and
one `role.updated` for each environment, with the last value of each task and role. A frame is
encoded once for each kind of client, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from aliecs.event.record import Event, RoleEvent, TaskEvent

MOST_IN_FRAME = 1_000
"""Tasks, or roles, in one frame: some 15 KB, so that no client's turn takes long."""


class Frame:
    """One message to clients: its place in the order, what it is about, and its JSON.

    `sequence` says how far a client has come that has received it and everything before it.
    """

    __slots__ = ("_encoded", "environment_id", "sequence", "text", "topic")

    def __init__(self, sequence: int, topic: str, environment_id: str, text: bytes) -> None:
        self.sequence = sequence
        self.topic = topic
        self.environment_id = environment_id
        self.text = text
        self._encoded: dict[Encoding, bytes] = {}

    def encoded(self, encoding: Encoding) -> bytes:
        """The bytes for one kind of client, made at the first request."""
        made = self._encoded.get(encoding)
        if made is None:
            made = self._encoded[encoding] = encoding(self)
        return made


Encoding = Callable[[Frame], bytes]
"""Makes of a frame what goes over the wire to one kind of client."""


def single_frames(events: Iterable[Event]) -> Iterator[Frame]:
    """A frame for each event."""
    for event in events:
        yield Frame(event.sequence, event.payload.topic, event.environment_id, event.json())


def joint_frames(events: Iterable[Event]) -> Iterator[Frame]:
    """Frames with the changes of tasks and roles put together."""
    run = _Run()
    for event in events:
        if isinstance(event.payload, TaskEvent | RoleEvent):
            run.add(event)
        else:
            yield from run.frames()
            run = _Run()
            yield from single_frames((event,))
    yield from run.frames()


class _Run:
    """Changes of tasks and roles that nothing else came between."""

    def __init__(self) -> None:
        self._first: Event | None = None
        self._last: Event | None = None
        self._tasks: dict[str, dict[str, TaskEvent]] = {}
        self._paths: set[str] = set()
        self._roles: dict[str, dict[str, dict[str, str]]] = {}

    def add(self, event: Event) -> None:
        """One more change."""
        if self._first is None:
            self._first = event
        self._last = event
        payload = event.payload
        if isinstance(payload, TaskEvent):
            self._tasks.setdefault(payload.environmentId, {})[payload.taskid] = payload
            self._paths.add(payload.path)
        elif isinstance(payload, RoleEvent):
            roles = self._roles.setdefault(payload.environmentId, {})
            values = roles.setdefault(payload.rolePath, {})
            if payload.state:
                values["state"] = payload.state
            if payload.status:
                values["status"] = payload.status

    def frames(self) -> Iterator[Frame]:
        """What is sent of them. Only the last frame says that all of the changes are known: a
        client that is cut off in between gets them again."""
        if self._first is None or self._last is None:
            return
        contents = [*self._of_tasks(), *self._of_roles()]
        for place, (topic, environment_id, data) in enumerate(contents, 1):
            last = place == len(contents)
            sequence = self._last.sequence if last else self._first.sequence - 1
            text = msgspec.json.encode(
                {
                    "seq": sequence,
                    "time": self._last.time_ms,
                    "type": f"{topic}.updated",
                    "id": environment_id,
                    "data": data,
                }
            )
            yield Frame(sequence, topic, environment_id, text)

    def _of_tasks(self) -> Iterator[tuple[str, str, Any]]:
        """Tasks of one host that are in the same state are told in one breath."""
        for environment_id, tasks in self._tasks.items():
            for some in _parts(tasks.values()):
                same: dict[tuple[str, str, str], list[str]] = {}
                for task in some:
                    key = task.hostname, task.state, task.status
                    same.setdefault(key, []).append(task.taskid)
                groups = [
                    {"host": host, "state": state, "status": status, "ids": ids}
                    for (host, state, status), ids in same.items()
                ]
                yield TaskEvent.topic, environment_id, {"tasks": groups}

    def _of_roles(self) -> Iterator[tuple[str, str, Any]]:
        """Roles that have others below them; the role of a task is what its task is."""
        for environment_id, roles in self._roles.items():
            above = ({"path": p} | v for p, v in roles.items() if p not in self._paths)
            for some in _parts(above):
                yield RoleEvent.topic, environment_id, {"roles": some}


def _parts(things: Iterable[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for thing in things:
        part.append(thing)
        if len(part) == MOST_IN_FRAME:
            yield part
            part = []
    if part:
        yield part
