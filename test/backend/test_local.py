"""The embedded backend with real executors, real processes and real sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from aliecs.backend.host import HostDefinition
from aliecs.backend.local import LocalBackend
from aliecs.backend.ports import PortClaims
from aliecs.errors import Conflict, SettingsError, Unavailable
from aliecs.interfaces import (
    ITaskBackend,
    ITaskObserver,
    MesosState,
    Offer,
    TaskLaunch,
    TaskUpdate,
)
from aliecs.protocol.local import short_address
from aliecs.protocol.message import (
    AnnounceTaskPid,
    AnyExecutorMessage,
    BasicTaskTerminated,
    CleanSharedMemoryCommand,
    CommandPayload,
    CommandResponse,
    ControlMode,
    ExecutorAnnouncement,
    TaskLogCommand,
    TransitionCommand,
    TriggerHookCommand,
    decode_executor_message,
    target,
)
from test.executor.watching import MARK, ProcessTestCase, alive, marked, read_pid, wait_until

PROGRAM = """
import os, sys, time
from aliecs.occ import Task, run

class Sample(Task):
    def configure(self, properties):
        if "die" in properties:
            sys.stderr.write("no card in slot 3\\n")
            sys.stderr.flush()
            os.kill(os.getpid(), 9)

run(Sample("sample"))
"""


@implementer(ITaskObserver)
class Observer:
    """Keeps all that is reported."""

    def __init__(self) -> None:
        self.updates: list[TaskUpdate] = []
        self.messages: list[AnyExecutorMessage] = []
        self.events: list[str] = []

    def task_status(self, update: TaskUpdate) -> None:
        self.updates.append(update)

    def executor_message(self, agent_id: str, executor_id: str, data: bytes) -> None:
        self.messages.append(decode_executor_message(data))

    def message_not_sent(self, executor_id: str, message: bytes, reason: str) -> None:
        self.events.append(f"not sent to {executor_id}")

    def executor_lost(self, agent_id: str, executor_id: str, host: str, reason: str) -> None:
        self.events.append(f"lost {host}")

    def agent_unreachable(self, agent_id: str, host: str, reason: str) -> None:
        self.events.append(f"unreachable {host}")

    def agent_returned(self, agent_id: str, host: str) -> None:
        self.events.append(f"returned {host}")

    def states(self, task_id: str) -> list[str]:
        return [update.state.name for update in self.updates if update.task_id == task_id]

    def last(self, task_id: str) -> TaskUpdate:
        return [update for update in self.updates if update.task_id == task_id][-1]

    async def reached(self, task_id: str, state: MesosState) -> TaskUpdate:
        await wait_until(
            lambda: state.name in self.states(task_id),
            explain=lambda: f"{task_id} has {self.updates}",
        )
        return next(u for u in self.updates if u.task_id == task_id and u.state is state)

    async def heard(self, kind: type, **attributes: object) -> Any:
        def find() -> Any:
            for message in self.messages:
                if isinstance(message, kind) and all(
                    getattr(message, key) == value for key, value in attributes.items()
                ):
                    return message
            return None

        await wait_until(find, explain=lambda: f"messages: {self.messages}")
        return find()


class LocalTest(ProcessTestCase):
    """A backend of two small hosts in a folder of the test."""

    timeout = 60

    async def setUp(self) -> None:
        await super().setUp()
        self.observer = Observer()
        # Deeper than the address of a Unix socket can be.
        self.core_folder = self.directory / ("core" * 30)
        self.claims = PortClaims(folder=self.directory / "ports")
        self.backend = self.make_backend()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end()))

    def make_backend(self, **more: Any) -> LocalBackend:
        settings: dict[str, Any] = {
            "recovery_timeout_s": 10,
            "environment": {**os.environ, MARK: self.mark, "NOTIFY_SOCKET": "/nowhere"},
            "port_claims": self.claims,
            **more,
        }
        hosts = (
            HostDefinition("flp001", {"machine_id": "flp001"}, cpus=4, memory_mb=1000),
            HostDefinition("epn001", {"machine_id": "epn001"}, cpus=2, memory_mb=500),
        )
        return LocalBackend(reactor, hosts, self.core_folder, **settings)

    async def end(self) -> None:
        await self.backend.teardown()

    async def offers(self) -> dict[str, Offer]:
        return {offer.host: offer for offer in await self.backend.gather_offers()}

    async def launch(
        self,
        task_id: str,
        value: str,
        mode: ControlMode = ControlMode.BASIC,
        host: str = "flp001",
        cpus: float = 0.1,
        ports: Sequence[tuple[int, int]] = (),
        **payload: Any,
    ) -> Offer:
        offers = await self.offers()
        offer = offers.pop(host)
        self.backend.decline(list(offers.values()))
        control_port = 0
        if mode.is_controllable:
            control_port = offer.ports[-1][1]
            ports = [*ports, (control_port, control_port)]
        command = CommandPayload(
            value=value,
            shell=True,
            control_mode=mode,
            control_port=control_port,
            environment=(f"OCC_CONTROL_PORT={control_port}", *payload.pop("variables", ())),
            **payload,
        )
        self.backend.accept(
            offer,
            [
                TaskLaunch(
                    task_id=task_id,
                    name=f"tasks/sample@1#{task_id}",
                    cpus=cpus,
                    memory_mb=10,
                    ports=tuple(ports),
                    command=command.encode(),
                    labels={"environmentId": "2oDvieFrVTi", "detector": "TST"},
                )
            ],
        )
        return offer

    async def launch_sample(self, task_id: str, host: str = "flp001") -> Offer:
        program = self.directory / "sample.py"
        program.write_text(PROGRAM)
        offer = await self.launch(
            task_id, f"exec {sys.executable} {program}", ControlMode.DIRECT, host
        )
        await self.observer.reached(task_id, MesosState.TASK_RUNNING)
        return offer

    async def command(self, kind: type, offer: Offer, task_id: str, **content: Any) -> Any:
        identifier = f"id{len(self.observer.messages)}"
        command = kind(
            id=identifier,
            environment_id="2oDvieFrVTi",
            targets=(target(offer.agent_id, offer.executor_id, task_id),),
            **content,
        )
        self.backend.send(offer.agent_id, offer.executor_id, command.encode())
        return await self.observer.heard(CommandResponse, id=identifier)

    async def move(self, offer: Offer, task_id: str, event: str, **arguments: str) -> Any:
        source, destination = {
            "CONFIGURE": ("STANDBY", "CONFIGURED"),
            "START": ("CONFIGURED", "RUNNING"),
            "STOP": ("RUNNING", "CONFIGURED"),
        }[event]
        return await self.command(
            TransitionCommand, offer, task_id, source=source, event=event,
            destination=destination, arguments=arguments,
        )  # fmt: skip

    def executor_pid(self, host: str = "flp001") -> int:
        agent = next(a for a in self.backend._agents.values() if a.name == host)
        assert agent.identity is not None
        return agent.identity.pid


class EmbeddedHostTest(LocalTest):
    async def test_what_a_host_offers(self) -> None:
        verifyObject(ITaskBackend, self.backend)
        await self.backend.start(self.observer)
        assert self.backend.state == "CONNECTED"
        offers = await self.offers()
        offer = offers["flp001"]
        assert (offer.cpus, offer.memory_mb, offer.address) == (4, 1000, "127.0.0.1")
        assert offer.attributes == {"machine_id": "flp001"}
        ports = [range(begin, end + 1) for begin, end in offer.ports]
        assert sum(map(len, ports)) > 200
        assert offers["epn001"].ports[0][0] > offer.ports[-1][1]
        assert await self.backend.gather_offers() == []
        self.backend.decline(list(offers.values()))
        assert len(await self.backend.gather_offers()) == 2

    async def test_nothing_is_given_twice(self) -> None:
        await self.backend.start(self.observer)
        port = (await self.offers())["flp001"].ports[0][0]
        self.backend.decline([agent.ledger.offer for agent in self.backend._agents.values()])
        await self.launch("one", "sleep 100", cpus=3, ports=[(port, port)])
        await self.observer.reached("one", MesosState.TASK_RUNNING)
        (info,) = [host for host in self.backend.hosts() if host.name == "flp001"]
        assert (info.cpus_used, info.tasks, info.connected) == (3, 1, True)
        offer = (await self.offers())["flp001"]
        assert offer.cpus == 1 and offer.memory_mb == 990
        assert offer.ports[0][0] > port
        self.backend.decline([agent.ledger.offer for agent in self.backend._agents.values()])
        await self.launch("two", "sleep 100", cpus=2)
        update = await self.observer.reached("two", MesosState.TASK_ERROR)
        assert "flp001 has 1 cpus" in update.message
        self.backend.kill("one", offer.agent_id)
        await self.observer.reached("one", MesosState.TASK_FINISHED)
        assert (await self.offers())["flp001"].cpus == 4

    async def test_a_basic_task_from_start_to_stop(self) -> None:
        await self.backend.start(self.observer)
        path = self.directory / "pid"
        offer = await self.launch("basic", f"echo $$ > {path}; echo hello; exec sleep 100")
        await self.observer.reached("basic", MesosState.TASK_RUNNING)
        assert (await self.move(offer, "basic", "CONFIGURE")).state == "CONFIGURED"
        assert not path.exists()
        assert (await self.move(offer, "basic", "START")).state == "RUNNING"
        await wait_until(lambda: read_pid(path))
        again = await self.move(offer, "basic", "START")
        assert "still running" in again.error
        assert (await self.move(offer, "basic", "STOP")).state == "CONFIGURED"
        event = await self.observer.heard(BasicTaskTerminated, task_id="basic")
        assert event.final_mesos_state == "TASK_KILLED"
        assert (event.exit_code, event.voluntary_termination) == (-1, False)
        assert event.stdout == "hello\n"
        assert not alive(read_pid(path))
        self.backend.kill("basic", offer.agent_id)
        await self.observer.reached("basic", MesosState.TASK_FINISHED)

    async def test_the_service_managers_variables_are_not_passed_on(self) -> None:
        await self.backend.start(self.observer)
        offer = await self.launch("hook", "env", ControlMode.HOOK)
        await self.command(TriggerHookCommand, offer, "hook")
        event = await self.observer.heard(BasicTaskTerminated, task_id="hook")
        assert f"{MARK}={self.mark}" in event.stdout
        assert "NOTIFY_SOCKET" not in event.stdout

    async def test_a_stateful_task_and_its_log(self) -> None:
        await self.backend.start(self.observer)
        await self.observer.heard(ExecutorAnnouncement)
        offer = await self.launch_sample("task")
        announced = await self.observer.heard(AnnounceTaskPid, task_id="task")
        assert announced.labels == {"detector": "TST", "environmentId": "2oDvieFrVTi"}
        assert alive(announced.pid)
        response = await self.move(offer, "task", "CONFIGURE", environment_id="2oDvieFrVTi")
        assert (response.error, response.state) == ("", "CONFIGURED")
        response = await self.move(offer, "task", "CONFIGURE")
        assert "CONFIGURE" in response.error and response.state == "CONFIGURED"
        self.backend.kill("task", offer.agent_id)
        await self.observer.reached("task", MesosState.TASK_FINISHED)
        assert not alive(announced.pid)

    async def test_a_task_that_dies_is_told_with_its_last_words(self) -> None:
        await self.backend.start(self.observer)
        offer = await self.launch_sample("task")
        response = await self.move(offer, "task", "CONFIGURE", die="yes")
        assert response.error == (
            "CONFIGURE: the process ended (killed by SIGKILL); last output: no card in slot 3"
        )
        update = await self.observer.reached("task", MesosState.TASK_FAILED)
        assert update.message == "killed by SIGKILL; last output: no card in slot 3"
        log = await self.command(TaskLogCommand, offer, "task", stream="stderr")
        assert log.output.endswith("no card in slot 3\n")
        refused = await self.command(TaskLogCommand, offer, "../../etc", stream="stderr")
        assert "not a task id" in refused.error

    async def test_shared_memory_is_cleaned_on_request(self) -> None:
        self.backend = self.make_backend(
            shared_memory_cleaner="sh -c 'echo cleaned for $O2_PARTITION on $O2_ROLE; exit 4'"
        )
        await self.backend.start(self.observer)
        offer = (await self.offers())["epn001"]
        response = await self.command(CleanSharedMemoryCommand, offer, "")
        assert response.output == "cleaned for 2oDvieFrVTi on epn001\n"
        assert (response.exit_code, response.error) == (4, "")

    async def test_the_end_of_an_executor_is_told_and_another_one_comes(self) -> None:
        await self.backend.start(self.observer)
        path = self.directory / "pid"
        offer = await self.launch("task", f"echo $$ > {path}; exec sleep 100")
        await self.observer.reached("task", MesosState.TASK_RUNNING)
        await self.move(offer, "task", "START")
        await wait_until(lambda: read_pid(path))
        first = self.executor_pid()
        os.kill(first, signal.SIGKILL)
        update = await self.observer.reached("task", MesosState.TASK_FAILED)
        assert "the executor of flp001 (process" in update.message
        assert self.observer.events == ["lost flp001"]
        await wait_until(lambda: not alive(read_pid(path)))
        with pytest.raises(Unavailable, match=r"has ended|cannot be reached"):
            self.backend.send(offer.agent_id, offer.executor_id, b"{}")
        await wait_until(lambda: all(host.connected for host in self.backend.hosts()))
        assert self.executor_pid() != first
        assert (await self.offers())["flp001"].cpus == 4

    async def test_the_end_of_the_launcher_is_told_per_task(self) -> None:
        await self.backend.start(self.observer)
        offer = await self.launch_sample("stateful")
        await self.launch("basic", "sleep 100 & wait")
        await self.observer.reached("basic", MesosState.TASK_RUNNING)
        await self.move(offer, "basic", "START")
        executor = self.executor_pid()
        children = Path(f"/proc/{executor}/task/{executor}/children")
        (launcher,) = launchers(children)
        os.kill(launcher, signal.SIGKILL)
        update = await self.observer.reached("stateful", MesosState.TASK_FAILED)
        assert "the launcher of this host ended (killed by SIGKILL)" in update.message
        event = await self.observer.heard(BasicTaskTerminated, task_id="basic")
        assert event.final_mesos_state == "TASK_FAILED"
        assert "launcher of this host ended" in event.stderr
        await wait_until(lambda: launchers(children) not in ([], [launcher]))
        assert (await self.move(offer, "basic", "START")).error == ""

    async def test_a_kill_and_a_launch_survive_a_lost_connection(self) -> None:
        await self.backend.start(self.observer)
        offer = await self.launch("task", "sleep 100")
        await self.observer.reached("task", MesosState.TASK_RUNNING)
        (agent,) = [a for a in self.backend._agents.values() if a.name == "flp001"]
        assert agent._connection is not None
        os.kill(self.executor_pid(), signal.SIGSTOP)
        agent._connection.transport.abortConnection()
        await wait_until(lambda: self.observer.events == ["unreachable flp001"])
        self.backend.kill("task", offer.agent_id)
        with pytest.raises(Unavailable, match="executor of flp001 cannot be reached"):
            self.backend.send(offer.agent_id, offer.executor_id, b"{}")
        os.kill(self.executor_pid(), signal.SIGCONT)
        await self.observer.reached("task", MesosState.TASK_FINISHED)
        assert self.observer.events == ["unreachable flp001", "returned flp001"]

    async def test_unknown_tasks_are_gone(self) -> None:
        await self.backend.start(self.observer)
        agent_id = (await self.offers())["flp001"].agent_id
        self.backend.kill("never", agent_id)
        await self.observer.reached("never", MesosState.TASK_GONE)
        await self.backend.reconcile({"other": agent_id, "third": "no-such-agent"})
        await self.observer.reached("other", MesosState.TASK_GONE)
        await self.observer.reached("third", MesosState.TASK_GONE)

    async def test_a_stranger_at_the_socket_learns_nothing(self) -> None:
        await self.backend.start(self.observer)
        path = self.core_folder / "executors.socket"
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.setblocking(False)
            with short_address(path) as address:
                stranger.connect(address)
            hello = b'{"host":"flp001","executor_id":"x","token":"guess","pid":1}'
            stranger.send(b"%d\n%b" % (len(hello), hello))
            answer: list[bytes] = []

            def closed() -> bool:
                try:
                    answer.append(stranger.recv(100))
                except BlockingIOError:
                    return False
                except ConnectionResetError:
                    return True
                return True

            await wait_until(closed)
            assert answer in ([], [b""])


class SuccessionTest(LocalTest):
    """Cores that come and go."""

    async def end(self) -> None:
        if self.backend.state != "FINAL":
            await self.backend.teardown()

    async def test_a_successor_ends_what_it_finds(self) -> None:
        await self.backend.start(self.observer)
        await self.launch_sample("task")
        executor = self.executor_pid()
        framework_id = self.backend.framework_id
        await self.backend.stop()
        assert alive(executor)
        self.backend = self.make_backend()
        await self.backend.start(self.observer)
        assert self.backend.framework_id == framework_id
        assert not alive(executor)
        (lost,) = self.backend.lost
        assert (lost.task_id, lost.environment_id, lost.host) == ("task", "2oDvieFrVTi", "flp001")

    async def test_a_predecessor_that_does_not_react_is_killed(self) -> None:
        await self.backend.start(self.observer)
        executor = self.executor_pid()
        await self.backend.stop()
        os.kill(executor, signal.SIGSTOP)
        self.patch(sys.modules["aliecs.backend.local"], "PREDECESSOR_DEADLINE_S", 0.5)
        self.backend = self.make_backend()
        await self.backend.start(self.observer)
        assert not alive(executor)

    async def test_ports_stay_claimed_until_the_last_executor_has_ended(self) -> None:
        self.backend = self.make_backend(recovery_timeout_s=0.5)
        await self.backend.start(self.observer)
        mine = {ports.first for ports in self.backend._slices}
        await self.backend.stop()
        other = self.claims.claim()
        assert other.first not in mine
        other.release()

        def is_given_back() -> bool:
            again = self.claims.claim()
            again.release()
            return again.first in mine

        await wait_until(lambda: not marked(self.mark))
        # A process that ends loses its environment, by which we know it, before its locks.
        await wait_until(is_given_back)

    async def test_without_a_successor_executors_end_by_themselves(self) -> None:
        self.backend = self.make_backend(recovery_timeout_s=0.5)
        await self.backend.start(self.observer)
        await self.launch_sample("task")
        assert len(marked(self.mark)) > 2
        await self.backend.stop()
        await wait_until(lambda: not marked(self.mark))

    async def test_one_core_at_a_time_uses_a_folder(self) -> None:
        await self.backend.start(self.observer)
        with pytest.raises(Conflict, match="another core uses"):
            await self.make_backend().start(Observer())

    async def test_an_executor_that_cannot_start_is_tried_again(self) -> None:
        flag = self.directory / "flag"
        command = f'test -e {flag} || {{ echo "no licence" >&2; exit 3; }}; exec "$@"'
        self.patch(sys.modules["aliecs.backend.agent"], "FIRST_RESTART_S", 0.2)
        self.backend = self.make_backend(
            executor_command=["/bin/sh", "-c", command, "sh", sys.executable, "-m",
                              "aliecs.executor.main"],
        )  # fmt: skip
        reactor.callLater(0.3, flag.touch)
        await self.backend.start(self.observer)
        assert self.backend.state == "CONNECTED"


def launchers(children: Path) -> list[int]:
    """Which of the children of an executor are launchers."""
    found = []
    for pid in map(int, children.read_text().split()):
        # What is buried just now has no command line any more.
        with contextlib.suppress(OSError):
            if "launcher.py" in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return found


def test_hosts_have_one_name_each(tmp_path: Path) -> None:
    twice = [HostDefinition("flp001"), HostDefinition("flp001")]
    with pytest.raises(SettingsError, match="configured twice: flp001"):
        LocalBackend(reactor, twice, tmp_path)
    for name in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(SettingsError, match="not names of hosts"):
            LocalBackend(reactor, [HostDefinition(name)], tmp_path)
