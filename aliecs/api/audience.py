"""Who listens to the event stream: clients that asked for the same get the same bytes.

An event costs as much as there are different things that clients have asked for, not as there are
clients. What has happened is collected for a moment and goes out together; the more the clients
are, the longer the moment, up to a quarter of a second. Each client has what it was not sent yet,
shared with the others; the clients are served in turn, in short slices, and one that does not read
is cut off.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import get_args

from attrs import define, field, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.api.frame import Encoding, Frame, joint_frames, single_frames
from aliecs.event.bus import Bus
from aliecs.event.record import Event, Payload
from aliecs.interfaces import IEventSink

LONGEST_WAIT_S = 0.25
"""For how long what has happened may be kept back so that more goes along."""
SHARE = 4
"""For so many times as long as it took to make and send everything, nothing more is sent."""
AT_ONCE = 64
"""Pieces that are handed to connections before everybody else has a turn: all their sockets are
written to in the turn after that."""
AGAIN_S = 0.005
"""After how long it is looked again whether all clients are served."""
MOST_WAITING = 5_000
"""Events that are collected at most: more go out at once."""
PIECE = 32 * 1024
"""Bytes that are handed to a client's connection in one go, unless one frame is longer."""
BOUND = 16 * 1024 * 1024
"""Bytes that may wait for one client; they are shared with all who wait for the same."""

SERVICE = "integrated_service."
"""How the topics of outside services begin; their names follow."""
EACH = frozenset({"task", "role"})
"""Topics that are told change by change where a client names them."""


TOPICS = frozenset(
    kind.topic if isinstance(kind.topic, str) else SERVICE for kind in get_args(Payload)
)
"""The topics that there are. Each may be named in the plural as well: then changes of tasks and
roles come together."""


@frozen
class Wanted:
    """What a client has asked for: topics by name, and environments by their ids; neither is
    everything. With `each` changes of tasks and roles come one by one."""

    topics: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    each: bool = False

    @classmethod
    def parse(cls, names: Iterable[str]) -> Wanted:
        """From the names in a request: `run`, `task`, `tasks`, `env:36To8stsJty`."""
        given = frozenset(names)
        environments = frozenset(name for name in given if name.startswith("env:"))
        topics = {topic for name in given - environments for topic in _topics_of(name)}
        return cls(
            frozenset(topics), frozenset(name[4:] for name in environments), bool(given & EACH)
        )

    @staticmethod
    def unknown(names: Iterable[str]) -> Sequence[str]:
        """Those of the names that are no topic."""
        known = (SERVICE, "env:")
        return [
            name
            for name in names
            if not name.startswith(known) and not set(_topics_of(name)) & TOPICS
        ]

    @property
    def everything(self) -> bool:
        """Nothing was named."""
        return not self.topics and not self.environments

    def includes(self, frame: Frame) -> bool:
        """Whether a frame is part of it."""
        return (
            self.everything
            or frame.topic in self.topics
            or frame.environment_id in self.environments
        )

    def includes_state(self, environment_id: str) -> bool:
        """Whether the state of an environment is part of it."""
        wanted = self.everything or "environment" in self.topics
        return wanted or environment_id in self.environments

    def frames(self, events: Iterable[Event]) -> Iterator[Frame]:
        """What a client that asked for this is sent for these events."""
        make = single_frames if self.each else joint_frames
        return (frame for frame in make(events) if self.includes(frame))


def _topics_of(name: str) -> Sequence[str]:
    """The topics that a name stands for; itself where that is none."""
    if name == "environments":
        return ("environment", "run")
    return (name[:-1],) if name[:-1] in TOPICS and name.endswith("s") else (name,)


@define(eq=False)
class Listener:
    """One client. `write` takes whole messages; `cut` ends a client that does not read."""

    wanted: Wanted
    encoding: Encoding
    write: Callable[[bytes], None]
    cut: Callable[[], None]
    paused: bool = False
    waiting_bytes: int = 0
    _waiting: deque[bytes] = field(init=False, factory=deque)

    def add(self, pieces: Iterable[bytes]) -> None:
        """What is to be sent, after all that was added before."""
        for piece in pieces:
            self._waiting.append(piece)
            self.waiting_bytes += len(piece)

    def take_over(self, before: Listener) -> None:
        """What waits for the same client, from before it asked for something else."""
        self.add(before._waiting)

    def write_some(self) -> bool:
        """Send a piece. True where more can be sent."""
        piece = self._waiting.popleft()
        self.waiting_bytes -= len(piece)
        self.write(piece)
        return bool(self._waiting) and not self.paused

    @property
    def is_ready(self) -> bool:
        """Something waits, and the client takes it."""
        return bool(self._waiting) and not self.paused


@define(eq=False)
class _Group:
    """Clients that have asked for the same."""

    listeners: dict[Listener, None] = field(factory=dict)
    frames: list[Frame] = field(factory=list)
    """What they are to be sent next."""

    def hand_out(self) -> None:
        """Give it to all of them, encoded once for each kind of client."""
        frames, self.frames = self.frames, []
        made: dict[Encoding, list[bytes]] = {}
        for listener in self.listeners:
            pieces = made.get(listener.encoding)
            if pieces is None:
                pieces = made[listener.encoding] = list(pieces_of(frames, listener.encoding))
            listener.add(pieces)


@implementer(IEventSink)
@define(eq=False)
class Audience:
    """Everybody who listens to one core. A sink of its bus."""

    bus: Bus
    clock: IReactorTime
    now_s: Callable[[], float] = time.perf_counter
    cut_off: int = field(init=False, default=0)
    """Clients that did not read."""
    _groups: dict[Wanted, _Group] = field(init=False, factory=dict)
    _joint: _Index = field(init=False, factory=lambda: _Index())
    _single: _Index = field(init=False, factory=lambda: _Index())
    _events: list[Event] = field(init=False, factory=list)
    """What has happened and was not handed out."""
    _ready: dict[Listener, None] = field(init=False, factory=dict)
    """Who is served next, in this order."""
    _collecting: IDelayedCall | None = field(init=False, default=None)
    _serving: IDelayedCall | None = field(init=False, default=None)
    _serving_since_s: float = field(init=False, default=0.0)
    _not_before_s: float = field(init=False, default=0.0)
    _log: Logger = field(init=False, factory=Logger)

    @property
    def listeners(self) -> int:
        """How many there are."""
        return sum(len(group.listeners) for group in self._groups.values())

    def waiting(self) -> tuple[int, int]:
        """Bytes that wait for clients: of all together, each for itself, and of the slowest."""
        waiting = [
            listener.waiting_bytes
            for group in self._groups.values()
            for listener in group.listeners
        ]
        return sum(waiting), max(waiting, default=0)

    def join(self, listener: Listener, first: Iterable[Frame], since: int | None) -> None:
        """A client comes. It gets the frames `first`, what the bus keeps of the events after
        `since`, and from now on what happens."""
        # What has happened already goes to those who were there; the newcomer has it from the bus.
        self._hand_out()
        frames = [*first, *listener.wanted.frames(self.bus.kept(since))]
        listener.add(pieces_of(frames, listener.encoding))
        wanted = listener.wanted
        group = self._groups.get(wanted)
        if group is None:
            group = self._groups[wanted] = _Group()
            self._index(wanted).add(wanted, group)
        group.listeners[listener] = None
        self.serve(listener)

    def leave(self, listener: Listener) -> None:
        """A client goes."""
        self._ready.pop(listener, None)
        group = self._groups.get(listener.wanted)
        if group is None or group.listeners.pop(listener, listener) is listener:
            return
        if not group.listeners:
            del self._groups[listener.wanted]
            self._index(listener.wanted).remove(listener.wanted, group)

    def serve(self, listener: Listener) -> None:
        """Something waits for a client, or it takes more again."""
        if listener.is_ready:
            self._ready[listener] = None
            if self._serving is None:
                self._serving_since_s = self.now_s()
                self._serving = self.clock.callLater(0, self._serve)

    def deliver(self, event: Event) -> None:
        """See `IEventSink`."""
        topic, environment_id = event.payload.topic, event.environment_id
        if not (self._joint.has(topic, environment_id) or self._single.has(topic, environment_id)):
            return
        self._events.append(event)
        if len(self._events) >= MOST_WAITING:
            self._hand_out()
        elif self._collecting is None:
            wait_s = max(0.0, self._not_before_s - self.now_s())
            self._collecting = self.clock.callLater(wait_s, self._collected)

    def say(self, listener: Listener, frame: Frame) -> None:
        """Tell one client something, after what waits for it."""
        listener.add((frame.encoded(listener.encoding),))
        if listener.waiting_bytes > BOUND:
            self._cut(listener)
        else:
            self.serve(listener)

    def _cut(self, listener: Listener) -> None:
        self.leave(listener)
        self.cut_off += 1
        listener.cut()

    def _collected(self) -> None:
        self._collecting = None
        wait_s = self._not_before_s - self.now_s()
        if self._ready or wait_s > 0:
            # Clients are still being served: what comes meanwhile goes along.
            self._collecting = self.clock.callLater(max(wait_s, AGAIN_S), self._collected)
        else:
            self._hand_out()

    def _hand_out(self) -> None:
        """Make frames of what has happened, and give them to who wants them."""
        if not self._events:
            return
        began_s = self.now_s()
        events, self._events = self._events, []
        groups: dict[_Group, None] = {}
        for index, make in ((self._joint, joint_frames), (self._single, single_frames)):
            if index.is_empty:
                continue
            for frame in make(events):
                for group in index.groups(frame.topic, frame.environment_id):
                    group.frames.append(frame)
                    groups[group] = None
        for group in groups:
            group.hand_out()
            for listener in tuple(group.listeners):
                if listener.waiting_bytes > BOUND:
                    self._cut(listener)
                else:
                    self.serve(listener)
        self._keep_pace(began_s)

    def _serve(self) -> None:
        """Send some pieces, to one client after the other."""
        self._serving = None
        for _ in range(AT_ONCE):
            if not self._ready:
                break
            listener = next(iter(self._ready))
            del self._ready[listener]
            try:
                more = listener.is_ready and listener.write_some()
            except Exception:
                self._log.failure("a client of the event stream could not be written to")
                self._cut(listener)
                continue
            if more:
                self._ready[listener] = None
        if self._ready:
            self._serving = self.clock.callLater(0, self._serve)
        else:
            self._keep_pace(self._serving_since_s)

    def _keep_pace(self, began_s: float) -> None:
        """What has just kept the reactor busy is made up for before the next is handed out."""
        now_s = self.now_s()
        due_s = now_s + min(LONGEST_WAIT_S, SHARE * (now_s - began_s))
        self._not_before_s = max(self._not_before_s, due_s)

    def _index(self, wanted: Wanted) -> _Index:
        return self._single if wanted.each else self._joint


@define(eq=False)
class _Index:
    """Finds the groups that want something, by topic and by environment."""

    _all: dict[_Group, None] = field(factory=dict)
    _topics: dict[str, dict[_Group, None]] = field(factory=dict)
    _environments: dict[str, dict[_Group, None]] = field(factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self._all or self._topics or self._environments)

    def has(self, topic: str, environment_id: str) -> bool:
        """Whether there is anybody."""
        return bool(self._all or topic in self._topics or environment_id in self._environments)

    def groups(self, topic: str, environment_id: str) -> Iterable[_Group]:
        """Who wants it, each once."""
        found = dict(self._all)
        found.update(self._topics.get(topic, {}))
        found.update(self._environments.get(environment_id, {}))
        return found

    def add(self, wanted: Wanted, group: _Group) -> None:
        for place, key in self._places(wanted):
            place.setdefault(key, {})[group] = None
        if wanted.everything:
            self._all[group] = None

    def remove(self, wanted: Wanted, group: _Group) -> None:
        for place, key in self._places(wanted):
            groups = place[key]
            del groups[group]
            if not groups:
                del place[key]
        self._all.pop(group, None)

    def _places(self, wanted: Wanted) -> Iterator[tuple[dict[str, dict[_Group, None]], str]]:
        for topic in wanted.topics:
            yield self._topics, topic
        for environment_id in wanted.environments:
            yield self._environments, environment_id


def pieces_of(frames: Iterable[Frame], encoding: Encoding) -> Iterator[bytes]:
    """Whole frames, put together to what a connection is given in one go."""
    piece: list[bytes] = []
    size = 0
    for frame in frames:
        data = frame.encoded(encoding)
        if piece and size + len(data) > PIECE:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(data)
        size += len(data)
    if piece:
        yield b"".join(piece)
