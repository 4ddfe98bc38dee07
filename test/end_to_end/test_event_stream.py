"""The event stream, as clients of it see it: frames, going on after a break, topics."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
API = "/api/v1"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


class WebSocket:
    """A client of the event stream on a plain socket."""

    def __init__(
        self,
        core: RunningCore,
        path: str = f"{API}/events",
        origin: str = "",
        subprotocols: Sequence[str] = (),
    ) -> None:
        host, _, port = core.addresses["rest"].removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.connection = WSConnection(ConnectionType.CLIENT)
        headers = [(b"origin", origin.encode())] if origin else []
        self.socket.sendall(
            self.connection.send(
                Request(
                    host=f"{host}:{port}",
                    target=path,
                    extra_headers=headers,
                    subprotocols=list(subprotocols),
                )
            )
        )
        self.texts: list[Any] = []
        self.partial = ""
        self.closed: int | None = None
        self.pings = 0
        self.reason = ""
        self.subprotocol: str | None = None

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, value: Any) -> None:
        self.socket.sendall(self.connection.send(TextMessage(data=json.dumps(value))))

    def next(self) -> Any:
        """The next frame, None when the other side has closed."""
        while not self.texts:
            if self.closed is not None:
                return None
            data = self.socket.recv(65536)
            self.connection.receive_data(data or None)
            for event in self.connection.events():
                if isinstance(event, AcceptConnection):
                    self.subprotocol = event.subprotocol
                elif isinstance(event, TextMessage):
                    self.partial += event.data
                    if event.message_finished:
                        self.texts.append(json.loads(self.partial))
                        self.partial = ""
                elif isinstance(event, Ping):
                    self.pings += 1
                elif isinstance(event, CloseConnection):
                    self.closed, self.reason = event.code, event.reason or ""
        return self.texts.pop(0)

    def until(self, wanted: Any) -> list[Any]:
        """All frames up to the first that is wanted."""
        frames = []
        while True:
            frame = self.next()
            assert frame is not None
            frames.append(frame)
            if wanted(frame):
                return frames


def test_events_over_a_web_socket(core: RunningCore) -> None:
    with WebSocket(core) as client:
        hello = client.next()
        assert (hello["type"], hello["data"]["protocol"]) == ("hello", 1)
        environment = core.create(DEMO).id
        frames = client.until(
            lambda f: f["type"] == "environment.event" and f["data"]["state"] == "CONFIGURED"
        )
        sequence = [frame["seq"] for frame in frames]
        assert sequence == sorted(sequence)
        steps = [f["data"]["transition"] for f in frames if f["type"] == "environment.event"]
        assert list(dict.fromkeys(steps)) == ["CREATE", "DEPLOY", "CONFIGURE"]
        told = [g for f in frames if f["type"] == "task.updated" for g in f["data"]["tasks"]]
        tasks = {task.taskId: task for task in core.environment(environment).tasks}
        assert {one for g in told for one in g["ids"]} == set(tasks)
        for group in (g for g in told if g["state"] == "CONFIGURED"):
            assert {tasks[one].deploymentInfo.hostname for one in group["ids"]} == {group["host"]}
        assert any(f["type"] == "role.updated" for f in frames)
        client.send({"op": "ping"})
        client.until(lambda f: f["type"] == "pong")
        client.send({"op": "subscribe", "topics": ["environment"], "since": sequence[0] - 1})
        again = client.until(lambda f: f.get("seq") == frames[-1]["seq"])
        assert {f["type"] for f in again if "seq" in f} == {"environment.event"}
        client.send({"op": "subscribe", "topics": ["task"], "since": sequence[0] - 1})
        each = client.until(lambda f: f["type"] == "task.event" and f["data"]["status"] == "ACTIVE")
        assert any(f["type"] == "task.event" and f["data"]["state"] == "LAUNCHED" for f in each)
        client.send({"op": "jump"})
        client.until(lambda f: f["type"] == "error")
    core.destroy(environment)


def test_events_of_one_moment_go_on_where_they_stopped(core: RunningCore) -> None:
    with WebSocket(core) as client:
        last = client.next()["data"]["seq"]
    environment = core.create(DEMO).id
    core.destroy(environment)
    with WebSocket(core, f"{API}/events?since={last}") as client:
        client.next()
        assert client.next()["seq"] == last + 1


def test_another_origin_may_not_listen(core: RunningCore) -> None:
    with WebSocket(core, origin="https://elsewhere.example") as client:
        assert client.next() is None
        assert client.closed == 1008
    with WebSocket(core, origin=core.addresses["rest"]) as client:
        assert client.next()["type"] == "hello"


def test_server_sent_events_of_one_topic(core: RunningCore) -> None:
    address = core.addresses["rest"] + f"{API}/events?topic=run&topic=env:nobody"
    with urllib.request.urlopen(address, timeout=30) as stream:
        environment = core.create(DEMO).id
        for event in ("START_ACTIVITY", "STOP_ACTIVITY"):
            core.control(environment, event)
        data = [line for line in (stream.readline() for _ in range(12)) if line[:5] == b"data:"]
    frames = [json.loads(line[6:]) for line in data]
    assert [frame["type"] for frame in frames] == ["hello", *["run.event"] * 3]
    assert [frame["id"] for frame in frames[1:]] == [environment] * 3
    core.destroy(environment)


def test_server_sent_events(core: RunningCore) -> None:
    lines: list[bytes] = []
    begun = threading.Event()
    done = threading.Event()

    def read() -> None:
        with urllib.request.urlopen(core.addresses["rest"] + f"{API}/events", timeout=30) as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            for line in stream:
                lines.append(line)
                begun.set()
                if b"teardown complete" in line:
                    done.set()
                    return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert begun.wait(10)
    core.destroy(core.create(DEMO).id)
    assert done.wait(20)
    reader.join(10)
    numbers = [int(line[4:]) for line in lines if line.startswith(b"id: ")]
    assert numbers == sorted(numbers)


def test_the_subprotocol_is_named_to_who_asks_for_it(core: RunningCore) -> None:
    for offered, chosen in (
        (["aliecs.v1.json"], "aliecs.v1.json"),
        (["other", "aliecs.v1.json"], "aliecs.v1.json"),
        ([], None),
    ):
        with WebSocket(core, subprotocols=offered) as client:
            hello = client.next()
            assert (hello["type"], client.subprotocol) == ("hello", chosen)
            assert hello["data"]["user"] == "127.0.0.1"
            client.send({"op": "ping"})
            assert client.next()["type"] == "pong"


def test_topics(core: RunningCore) -> None:
    with WebSocket(core, f"{API}/events?topic=environments") as client, WebSocket(core) as other:
        client.next()
        begun = other.next()["data"]["seq"]
        environment = core.create(DEMO).id
        last = client.until(lambda f: f.get("data", {}).get("state") == "CONFIGURED")
        assert {frame["type"] for frame in last} <= {"environment.event", "run.event"}
        other.send({"op": "subscribe", "topics": ["tasks", "nonsense"], "since": begun})
        subscribed = other.until(lambda f: f["type"] == "subscribed")[-1]
        assert subscribed["data"]["topics"] == ["tasks", "nonsense"]
        assert "there is no topic nonsense; there are" in other.next()["data"]["detail"]
        again = other.next()
        assert (again["type"], again["id"]) == ("task.updated", environment)
        assert again["seq"] <= last[-1]["seq"]
        other.send({"op": "subscribe", "topics": [f"env:{environment}"]})
        other.until(lambda f: f["type"] == "subscribed")
        core.destroy(environment)
        frames = other.until(lambda f: f.get("data", {}).get("state") == "DONE")
        about = {f["data"].get("environmentId", f["id"]) for f in frames}
        assert about == {environment}
