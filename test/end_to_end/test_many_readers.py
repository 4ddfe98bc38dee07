"""Many readers of one environment's events, and one who does not read, over real connections."""

from __future__ import annotations

import json
import selectors
import socket
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Request, TextMessage

from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

READERS = 100
TASKS = 5_000
WORKFLOW = f"""\
name: many
roles:
  - name: "task{{{{ number }}}}"
    for: {{ begin: "1", end: "{TASKS}", var: number }}
    task: {{ load: process }}
"""
TASK = """\
name: process
control: { mode: direct }
wants: { cpu: 0.01, memory: 1 }
command: { value: process }
"""
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    running = RunningCore(
        tmp_path_factory.mktemp("readers"),
        [{"name": f"host{number}", "cpus": 1000, "memory": 1000000} for number in range(5)],
        settings={"backend": "simulated"},
        workflows={"workflows/many.yaml": WORKFLOW, "tasks/process.yaml": TASK},
    )
    with running:
        yield running


class Reader:
    """A WebSocket with topics, and the frames that it was sent."""

    def __init__(self, core: RunningCore, *topics: str) -> None:
        host, _, port = core.addresses["rest"].removeprefix("http://").partition(":")
        self.socket = socket.socket()
        # What the machine keeps for a reader that does not read is little, then.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect((host, int(port)))
        self.connection = WSConnection(ConnectionType.CLIENT)
        target = "/api/v1/events?" + "&".join(f"topic={topic}" for topic in topics)
        self.socket.sendall(self.connection.send(Request(host=f"{host}:{port}", target=target)))
        self.frames: list[Any] = []
        self.closed: int | None = None
        self._partial = ""

    def read(self) -> None:
        """What is there."""
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = self.closed or 0
            return
        self.connection.receive_data(data)
        for event in self.connection.events():
            if isinstance(event, TextMessage):
                self._partial += event.data
                if event.message_finished:
                    self.frames.append(json.loads(self._partial))
                    self._partial = ""
            elif isinstance(event, CloseConnection):
                self.closed = event.code

    def states(self) -> dict[str, str]:
        """The last state of each task that it was told."""
        return {
            one: group["state"]
            for frame in self.frames
            if frame["type"] == "task.updated"
            for group in frame["data"]["tasks"]
            for one in group["ids"]
        }


def read_until(readers: Sequence[Reader], state: str) -> None:
    """All of them read until every task is in a state."""
    selector = selectors.DefaultSelector()
    for reader in readers:
        selector.register(reader.socket, selectors.EVENT_READ, reader)
    waiting = set(readers)
    deadline_s = time.monotonic() + DEADLINE_S
    while waiting:
        assert time.monotonic() < deadline_s, f"{len(waiting)} readers do not know of {state}"
        for key, _ in selector.select(1.0):
            reader = key.data
            before = len(reader.frames)
            reader.read()
            assert reader.closed is None
            if len(reader.frames) > before:
                states = reader.states()
                if len(states) == TASKS and set(states.values()) == {state}:
                    waiting.discard(reader)


def metrics(core: RunningCore) -> dict[str, float]:
    with urllib.request.urlopen(core.addresses["rest"] + "/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("aliecs_event"))
    return {name: float(value) for name, value in pairs}


def run_states(reader: Reader) -> list[str]:
    """What a reader was told of the run."""
    return [frame["data"]["state"] for frame in reader.frames if frame["type"] == "run.event"]


def test_all_readers_know_the_same_in_the_end(core: RunningCore) -> None:
    environment = core.create(core.template("many"))
    readers = [Reader(core, f"env:{environment.id}") for _ in range(READERS)]
    core.wait_until(lambda: metrics(core)["aliecs_event_readers"] == READERS, 30, "all are there")
    other = Reader(core, "env:another", "run")
    for event, state in (("START_ACTIVITY", "RUNNING"), ("STOP_ACTIVITY", "CONFIGURED")):
        core.control(environment.id, event)
        read_until(readers, state)
    for reader in readers:
        # What is told of the run itself may come after the last task.
        while len(run_states(reader)) < 4:
            reader.read()
        sequences = [frame["seq"] for frame in reader.frames if "seq" in frame]
        assert sequences == sorted(sequences)
        assert run_states(reader) == ["CONFIGURED", "RUNNING", "RUNNING", "CONFIGURED"]
        reader.socket.close()
    while len(other.frames) < 5:
        other.read()
    assert {frame["type"] for frame in other.frames[1:]} == {"run.event"}
    other.socket.close()
    core.destroy(environment.id)


def test_who_does_not_read_is_cut_off_and_holds_up_nobody(core: RunningCore) -> None:
    environment = core.create(core.template("many"))
    before = metrics(core)["aliecs_event_readers_cut_off_total"]
    slow, quick = Reader(core, "task", "role"), Reader(core, f"env:{environment.id}")
    selected = selectors.DefaultSelector()
    selected.register(quick.socket, selectors.EVENT_READ)
    deadline_s = time.monotonic() + DEADLINE_S
    while metrics(core)["aliecs_event_readers_cut_off_total"] == before:
        assert time.monotonic() < deadline_s, metrics(core)
        for event in ("START_ACTIVITY", "STOP_ACTIVITY"):
            core.control(environment.id, event)
            while selected.select(0.05):
                quick.read()
    assert quick.closed is None
    core.control(environment.id, "START_ACTIVITY")
    read_until([quick], "RUNNING")
    # It is told, or, if it does not even read that, the connection is ended.
    while slow.closed is None:
        slow.read()
    assert slow.closed in (0, 1013)
    quick.socket.close()
    slow.socket.close()
    core.destroy(environment.id, force=True)
