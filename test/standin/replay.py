"""Replays a recorded conversation against the stand-in for Mesos.

What schedulers, executors and operators did is done again, in the recorded order and with shorter
pauses; every recorded answer and event has to come, with all fields that are not ids or times.
Executors are played: their process is a script that ends when it is told to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from aliecs.protocol import mesos_executor_pb2, mesos_scheduler_pb2
from test.mesos_recording import Line, recording
from test.standin.mesos.agent import Agent
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.document import (
    PROTOBUF,
    decode,
    encode,
    from_document,
    to_document,
)
from test.standin.mesos.executor import Executor
from test.standin.mesos.pace import Times
from test.standin.wire import WaitedTooLong, Wire

EXECUTOR = "/tmp/mesos-work/bin/example-executor"
SCRIPT = """#!/bin/sh
while :; do
    if [ -f order ]; then
        read -r order < order
        [ "$order" = kill ] && kill -9 $$
        exit "$order"
    fi
    sleep 0.02
done
"""
# Told to run what does not exist it would be gone before the next offers.
MISSING = "/tmp/mesos-work/bin/no-such-file"
MISSING_SCRIPT = "#!/bin/sh\nsleep 0.2\nexit 127\n"
MOMENT_S, MOMENTS = 0.005, 200
UNCOUNTED = ("OFFERS", "HEARTBEAT", "ACKNOWLEDGED")
UNTOLD = ("timestamp", "container_status", "master_info", "container_id", "url", "port")
"""Of these only the presence is compared: they hold times, ids, addresses."""

Kind = type[Any]


def times_of(lines: tuple[Line, ...]) -> Times:
    """The times that master and agents were started with."""
    options = [
        option
        for line in lines
        if line.kind == "note" and isinstance(line.get("options"), list)
        for option in line["options"]
    ]
    named = dict(option.lstrip("-").split("=", 1) for option in options if "=" in option)

    def seconds(name: str, default: float) -> float:
        found = re.fullmatch(r"(\d+)(secs|ms)", named.get(name, ""))
        if found is None:
            return default
        return int(found[1]) / (1000 if found[2] == "ms" else 1)

    ping_s = seconds("agent_ping_timeout", 15.0)
    pings = int(named.get("max_agent_ping_timeouts", "5"))
    return Times(
        ping_s=ping_s,
        pings=pings,
        # Both longer than they were: what is recorded next waits for it.
        master_lost_s=1.2 * ping_s * pings,
        recovery_s=0.6,
        registration_s=seconds("registration_backoff_factor", 1.0),
        executor_registration_s=seconds("executor_registration_timeout", 60.0),
        executor_reregistration_s=seconds("executor_reregistration_timeout", 2.0),
        shutdown_grace_s=seconds("executor_shutdown_grace_period", 5.0),
    )


@define(eq=False)
class Conversation:
    """One TCP connection of the recording, and ours for it."""

    wire: Wire
    requests: int = 0
    answers: int = 0
    kind: Kind | None = None
    """Of the events on it."""
    seen: int = 0
    waiting: list[dict[str, Any]] = field(factory=list)
    """Events that have come and are not accounted for."""

    def take(self) -> None:
        """Read what has come."""
        assert self.kind is not None
        for response in self.wire.responses:
            if "transfer-encoding" not in response.headers:
                continue
            for record in response.records[self.seen :]:
                encoding = response.headers["content-type"]
                self.waiting.append(to_document(decode(self.kind, encoding, record)))
            self.seen = max(self.seen, len(response.records))


def about(event: dict[str, Any]) -> tuple[Any, ...]:
    """What an event is about: those about one thing keep their order."""
    kind = event["type"]
    part = event.get(kind.lower(), {})
    if kind == "UPDATE":
        status = part["status"]
        return kind, status["task_id"]["value"], status["state"], status.get("reason")
    if kind == "LAUNCH":
        return kind, part["task"]["task_id"]["value"]
    named = [part[name]["value"] for name in ("task_id", "executor_id") if name in part]
    return kind, *named


@define(eq=False)
class Replay:
    """One recording, being replayed. `is_covered` tells of a line whether it is looked at."""

    reactor: Any
    folder: Path
    scenario: str
    speed: float
    is_covered: Callable[[Line], bool]
    has_rounds: bool = False
    """Offers come by themselves each second, and not just when they were recorded."""
    command: str = ""
    """Instead of the script: an executor that lives by itself."""
    faults: list[str] = field(factory=list, init=False)
    cluster: Cluster = field(init=False)
    _conversations: dict[int, Conversation] = field(factory=dict, init=False)
    _names: dict[str, str] = field(factory=dict, init=False)
    """Ours for recorded ids."""
    _ordered: set[int] = field(factory=set, init=False)
    _known: list[Executor] = field(factory=list, init=False)

    async def run(self) -> list[str]:
        """Replay it all; gives what was otherwise."""
        lines = recording(self.scenario)
        for recorded, text in ((EXECUTOR, SCRIPT), (MISSING, MISSING_SCRIPT)):
            script = self.folder / Path(recorded).name
            script.write_text(text)
            script.chmod(0o755)
            self._names[recorded] = str(script)
        self._names[EXECUTOR] = self.command or self._names[EXECUTOR]
        times = times_of(lines)
        authenticated = any("authenticate_http" in str(line.get("options")) for line in lines)
        self.cluster = Cluster(
            self.reactor, self.folder, self.speed, times,
            is_replicated="registry=replicated" in str(lines[1].get("options")),
            credentials={"ecs": "example-secret"} if authenticated else {},
        )  # fmt: skip
        before_ms = 0.0
        try:
            for line in lines:
                await self._sleep((line["t_ms"] - before_ms) / 1000)
                before_ms = line["t_ms"]
                if self.is_covered(line):
                    await self._do(line)
            self._account_for_the_rest()
        except WaitedTooLong as trouble:
            self.faults.append(f"{line.where}: {trouble}")
        finally:
            for conversation in self._conversations.values():
                conversation.wire.close()
            await self.cluster.stop()
            await self._sleep(0)
        return self.faults

    async def _sleep(self, seconds: float) -> None:
        waiter: Deferred[None] = Deferred()
        self.reactor.callLater(seconds / self.speed, waiter.callback, None)
        await waiter

    async def _until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = self.reactor.seconds() + 5
        while not condition():
            if self.reactor.seconds() > deadline:
                raise WaitedTooLong(f"waited too long for {what}")
            await self._sleep(0.005 * self.speed)

    async def _do(self, line: Line) -> None:
        if line.kind == "note":
            await self._act(line)
        elif line.kind == "request":
            await self._request(line)
        elif line.kind == "response":
            await self._response(line)
        elif line.kind == "record":
            await self._record(line)
        elif line.kind == "close":
            await self._close(line)

    # --- what was done to processes --------------------------------------------------------------

    async def _act(self, line: Line) -> None:
        text, agents = line["text"], self.cluster.agents
        if text == "master started":
            await self._start_master()
        elif re.fullmatch(r"agent\d started", text):
            await self._start_agent(int(text[5]))
        elif text == "master gets SIGKILL":
            await self.cluster.leader.kill()
        elif re.fullmatch(r"agent1 gets SIG(KILL|TERM)", text):
            await self.cluster.kill_agent(agents[0])
        elif text == "agent1 gets SIGUSR1":
            await agents[0].end()
        elif "SIGSTOP" in text:
            agents[0].suspend()
        elif "SIGCONT" in text:
            agents[0].resume()
        elif text.startswith("executor process starts"):
            await self._until(lambda: self._executor(line), "the executor's process")
        elif text.startswith("executor process exits with code"):
            self._order(line, re.findall(r"code (\d+)", text)[0])
        elif text == "executor process kills itself with SIGKILL":
            self._order(line, "kill")
        elif text.startswith("executor-2 is killed"):
            self._order(Line("", {"executor": "executor-2"}), "kill")

    async def _start_master(self) -> None:
        if not self.cluster.masters:
            await self.cluster.start(agents=0)
            self.cluster.leader.hostname = "master1.example"
            await self._until(lambda: self.cluster.leader.has_recovered, "the first start")
        else:
            await self.cluster.leader.start()
        if not self.has_rounds:
            self.cluster.leader.allocator.hold()

    async def _start_agent(self, number: int) -> None:
        agents = self.cluster.agents
        if number > len(agents):
            agent = await self.cluster.add_agent()
            if number == 1:
                await self._until(lambda: agent.identifier, "the first agent")
        else:
            await agents[number - 1].start()

    def _executor(self, line: Line) -> Executor | None:
        """The oldest executor of that name that still runs."""
        for agent in self.cluster.agents:
            for one in agent.executors.values():
                if one not in self._known:
                    self._known.append(one)
        for one in self._known:
            fits = one.key[1] == line.get("executor") and id(one) not in self._ordered
            if fits and one.container.pid:
                return one
        return None

    def _order(self, line: Line, order: str) -> None:
        executor = self._executor(line)
        if executor is None:
            self.faults.append(f"{line.where}: no executor that could end")
            return
        self._ordered.add(id(executor))
        sandbox = executor.container.sandbox
        (sandbox / "order.new").write_text(f"{order}\n")
        (sandbox / "order.new").rename(sandbox / "order")

    # --- what was sent ---------------------------------------------------------------------------

    def _translate(self, text: str) -> str:
        """Our ids for the recorded ones."""
        for recorded in sorted(self._names, key=len, reverse=True):
            text = text.replace(recorded, self._names[recorded])
        return text

    def _agent(self, line: Line) -> Agent | None:
        return self.cluster.agents[0] if "agent" in (line["to"], line["from"]) else None

    async def _request(self, line: Line) -> None:
        conversation = self._conversations.get(line["conn"])
        if conversation is None:
            agent = self._agent(line)
            listener = agent.listener if agent else self.cluster.leader.listener
            wire = await Wire.connect(self.reactor, listener.host, listener.port)
            conversation = self._conversations[line["conn"]] = Conversation(wire)
        kind: Kind = mesos_executor_pb2.Call if self._agent(line) else mesos_scheduler_pb2.Call
        if self._status_of(line) == 403:
            await self._until(lambda: self.cluster.leader.frameworks, "an agent with a framework")
        headers = {
            name: self._translate(value)
            for name, value in line["headers"].items()
            if name not in ("Content-Length", "Host", "Transfer-Encoding")
        }
        conversation.wire.request(
            line["path"], self._body(line, kind), headers, line["method"]
        )
        conversation.requests += 1

    def _status_of(self, request: Line) -> int:
        """How a request was answered."""
        for line in recording(self.scenario):
            is_later = line["t_ms"] >= request["t_ms"] and line.get("conn") == request["conn"]
            if is_later and line.kind == "response":
                return int(line["status"])
        return 0

    def _body(self, line: Line, kind: Kind) -> bytes:
        document = line.document()
        if document is None:
            return line.binary() or self._translate(line.text() or "").encode()
        translated = json.loads(self._translate(json.dumps(document)))
        if self.scenario.endswith("protobuf"):
            return encode(PROTOBUF, from_document(kind, translated))
        return json.dumps(translated).encode()

    # --- what was answered -----------------------------------------------------------------------

    async def _response(self, line: Line) -> None:
        conversation = self._conversations[line["conn"]]
        response = await conversation.wire.response(conversation.answers)
        conversation.answers += 1
        recorded = {name.lower(): value for name, value in line["headers"].items()}
        if "mesos-stream-id" in recorded and "mesos-stream-id" in response.headers:
            self._names[recorded["mesos-stream-id"]] = response.headers["mesos-stream-id"]
        self._compare(line, "status", line["status"], response.status)
        self._compare(line, "text", self._translate(line.text() or ""), response.body.decode())
        for name in ("content-type", "allow", "www-authenticate", "transfer-encoding"):
            self._compare(line, name, recorded.get(name), response.headers.get(name))
        for name in ("mesos-stream-id", "location", "content-length"):
            self._compare(line, name, name in recorded, name in response.headers)
        if line["status"] == 503:
            # How long it says so is a matter of milliseconds.
            await self._until(lambda: self.cluster.leader.has_recovered, "the master's recovery")

    def _compare(self, line: Line, what: str, recorded: Any, ours: Any) -> None:
        if recorded != ours:
            self.faults.append(f"{line.where}: {what} was\n    {recorded}\nand is\n    {ours}")

    async def _record(self, line: Line) -> None:
        conversation = self._conversations[line["conn"]]
        agent = self._agent(line)
        kind: Kind = mesos_executor_pb2.Event if agent else mesos_scheduler_pb2.Event
        conversation.kind = kind
        recorded = to_document(from_document(kind, line.document()))
        if recorded["type"] == "SUBSCRIBED" and agent is None:
            master_id = recorded["subscribed"]["master_info"]["id"]
            self._names[master_id] = self.cluster.leader.identifier
        if recorded["type"] == "OFFERS" and not self.has_rounds:
            await self._have_offers(conversation)
        found: list[dict[str, Any]] = []

        def look() -> bool:
            conversation.take()
            wanted = about(json.loads(self._translate(json.dumps(recorded))))
            for event in conversation.waiting:
                if about(event) == wanted:
                    found.append(event)
                    conversation.waiting.remove(event)
                    return True
            return False

        try:
            await conversation.wire.until(
                lambda: look() or conversation.wire.is_closed, str(about(recorded))
            )
        except WaitedTooLong as trouble:
            others = [about(event) for event in conversation.waiting]
            raise WaitedTooLong(f"{trouble}; there are {others}") from None
        if not found:
            raise WaitedTooLong(f"the stream ended without {about(recorded)}")
        self._compare_events(line, recorded, found[0])

    async def _have_offers(self, conversation: Conversation) -> None:
        """What is offered in a round depends on its moment: it is run when it was recorded, unless
        there are offers without it."""

        def has_come() -> bool:
            conversation.take()
            return any(event["type"] == "OFFERS" for event in conversation.waiting)

        for _ in range(MOMENTS):
            await self._sleep(MOMENT_S * self.speed)
            if has_come():
                return
            self.cluster.leader.allocator.allocate()

    def _compare_events(self, line: Line, recorded: Any, ours: Any) -> None:
        status = recorded.get("update", {}).get("status", {})
        is_ours = status.get("source") == "SOURCE_AGENT" or self.command
        if is_ours and "uuid" in status and "uuid" in ours["update"]["status"]:
            self._names[status["uuid"]] = ours["update"]["status"]["uuid"]
        if recorded["type"] == "OFFERS":
            self._name_offers(recorded["offers"]["offers"], ours["offers"]["offers"])
        translated = json.loads(self._translate(json.dumps(recorded)))
        left, right = simplified(translated), simplified(ours)
        if left != right:
            self._compare(line, translated["type"], json.dumps(left), json.dumps(right))

    def _name_offers(self, recorded: list[Any], ours: list[Any]) -> None:
        by_host = {offer["hostname"]: offer["id"]["value"] for offer in ours}
        for offer in recorded:
            if offer["hostname"] in by_host:
                self._names[offer["id"]["value"]] = by_host[offer["hostname"]]

    async def _close(self, line: Line) -> None:
        conversation = self._conversations.get(line["conn"])
        if conversation is None:
            return
        how = line["how"]
        if line["from"] not in ("master", "agent") or how.startswith("read timed out"):
            conversation.wire.close()
            await self._sleep(0.001 * self.speed)
            return
        wire = conversation.wire
        is_orderly = how.startswith("last chunk")
        await wire.until(
            lambda: wire.is_closed or (is_orderly and wire.has_ended_in_order), "the end"
        )
        if how != "end":
            self._compare(line, "orderly end", is_orderly, wire.has_ended_in_order)

    def _account_for_the_rest(self) -> None:
        """What came and was not recorded: offers and heartbeats depend on time, executors went
        without reading to the end, and an update that is repeated says nothing new."""
        for number, conversation in self._conversations.items():
            if conversation.kind is None:
                continue
            conversation.take()
            for event in conversation.waiting:
                status = event.get("update", {}).get("status", {})
                if event["type"] not in UNCOUNTED and "uuid" not in status:
                    self.faults.append(f"connection {number}: not recorded: {json.dumps(event)}")


def simplified(value: Any) -> Any:
    """Without what differs from one run to the next."""
    if isinstance(value, list):
        listed = [simplified(one) for one in value]
        return sorted(listed, key=json.dumps)
    if not isinstance(value, dict):
        return value
    simple = {
        name: "..." if name in UNTOLD else simplified(one) for name, one in value.items()
    }
    if simple.get("source") == "SOURCE_AGENT" and "uuid" in simple:
        simple["uuid"] = "..."
    if "unreachable_time" in simple:
        simple["unreachable_time"] = "..."
    return simple
