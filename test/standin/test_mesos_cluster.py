"""The stand-in for Mesos with real executors: what goes right, and what can be made to go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import CommandInfo, FrameworkInfo, Offer, TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from test.folder import temporary_folder
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.control import Control
from test.standin.mesos.document import JSON
from test.standin.mesos.pace import Times
from test.standin.scheduler import Scheduler, task
from test.standin.wire import WaitedTooLong, Wire

SPEED = 10.0
TIMES = Times(ping_s=2, pings=2, master_lost_s=1)


def partition_aware(checkpoint: bool = True) -> FrameworkInfo:
    """A framework that can be away, and whose executors outlive their agents."""
    info = FrameworkInfo(
        user="flp", name="example", failover_timeout=60, checkpoint=checkpoint, roles=["*"]
    )
    for kind in (FrameworkInfo.Capability.MULTI_ROLE, FrameworkInfo.Capability.PARTITION_AWARE):
        info.capabilities.add(type=kind)
    return info


class ClusterTestCase(TestCase):
    timeout = 30

    def run_with(self, test: Any, **settings: Any) -> Deferred[None]:
        """Run a test with a cluster."""
        masters = settings.pop("masters", 1)
        settings = {"speed": SPEED, "times": TIMES, **settings}
        cluster = Cluster(reactor, temporary_folder(self), **settings)
        schedulers: list[Scheduler] = []

        async def run() -> None:
            try:
                await cluster.start(masters=masters)
                scheduler = Scheduler(reactor, cluster.leader.url)
                schedulers.append(scheduler)
                await test(cluster, scheduler)
            finally:
                for one in schedulers:
                    one.close()
                await cluster.stop()

        return Deferred.fromCoroutine(run())

    async def running(self, scheduler: Scheduler, data: bytes = b"") -> Offer:
        """Subscribe and have a task run."""
        await scheduler.subscribe()
        offer = await scheduler.offer()
        await scheduler.launch(offer, task(offer, data=data))
        await scheduler.status("task", mesos_pb2.TASK_RUNNING)
        return offer

    # --- in order --------------------------------------------------------------------------------

    def test_a_task_runs_and_is_killed(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await scheduler.subscribe()
            offer = await scheduler.offer()
            assert (await scheduler.launch(offer, task(offer))).status == 202
            await scheduler.status("task", mesos_pb2.TASK_STARTING)
            status = await scheduler.status("task", mesos_pb2.TASK_RUNNING)
            assert (status.message, status.data) == ("task is up", b"pid 4711")
            await scheduler.message(offer, "echo hello")
            event = await scheduler.event(Event.MESSAGE)
            assert event.message.data == b"echo:hello"
            await scheduler.kill("task")
            await scheduler.status("task", mesos_pb2.TASK_KILLED)
            await scheduler.message(offer, "exit 3")
            event = await scheduler.event(Event.FAILURE)
            assert event.failure.status == 3 << 8

        return self.run_with(test)

    def test_an_executor_has_its_environment_and_its_files(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            program = cluster.work_dir / "program"
            program.write_text("#!/bin/sh\nenv\nls\n")
            await scheduler.subscribe()
            offer = await scheduler.offer()
            info = task(offer)
            info.executor.command.CopyFrom(CommandInfo(value="./program"))
            info.executor.command.uris.add(value=str(program), executable=True)
            info.executor.command.environment.variables.add(name="SITE", value="P2")
            await scheduler.launch(offer, info)
            failure = (await scheduler.event(Event.FAILURE)).failure
            assert (failure.executor_id.value, failure.status) == ("executor", 0)
            status = await scheduler.status("task", mesos_pb2.TASK_FAILED)
            assert status.reason == TaskStatus.REASON_EXECUTOR_TERMINATED
            (output,) = cluster.work_dir.glob("agent1/slaves/**/stdout")
            lines = output.read_text().splitlines()
            assert "program" in lines and "SITE=P2" in lines
            assert f"MESOS_AGENT_ENDPOINT={cluster.agents[0].listener.address}" in lines
            assert f"MESOS_SANDBOX={output.parent}" in lines
            assert "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs" in lines
            assert "MESOS_RECOVERY_TIMEOUT=15mins" not in lines

        return self.run_with(test)

    def test_a_command_that_there_is_not_ends_like_a_shell(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await scheduler.subscribe()
            for in_shell in (True, False):
                offer = await scheduler.offer()
                info = task(offer)
                info.executor.command.CopyFrom(
                    CommandInfo(value="/no/such/program", shell=in_shell)
                )
                await scheduler.launch(offer, info)
                assert (await scheduler.event(Event.FAILURE)).failure.status == 127 << 8
                await scheduler.status("task", mesos_pb2.TASK_FAILED)

        return self.run_with(test)

    def test_an_executor_that_does_not_end_is_killed(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await scheduler.subscribe()
            offer = await scheduler.offer()
            info = task(offer)
            info.executor.command.value = "sleep 1000 & sleep 1000"
            await scheduler.launch(offer, info)
            while not cluster.agents[0].executors:
                await cluster.sleep(0.1)
            (executor,) = cluster.agents[0].executors.values()
            await scheduler.call(Call(type=Call.TEARDOWN))
            started = time.monotonic()
            while executor.container.is_running:
                await cluster.sleep(0.1)
            assert time.monotonic() - started > 4 / SPEED
            assert executor.status == signal.SIGKILL

        return self.run_with(test)

    def test_large_messages_pass(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            offer = await self.running(scheduler)
            await scheduler.message(offer, "echo " + "0123456789abcdef" * 6400)
            assert len((await scheduler.event(Event.MESSAGE)).message.data) == 102_405
            response = await scheduler.message(offer, "x" * 8_000_000, "nobody")
            assert response.status == 202

        return self.run_with(test)

    # --- frameworks and masters ------------------------------------------------------------------

    def test_a_framework_comes_back_to_what_it_has_not_acknowledged(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.failover_timeout = 60
            await self.running(scheduler)
            scheduler.close()
            await cluster.sleep(1)
            await scheduler.subscribe()
            await scheduler.reconcile()
            status = await scheduler.status("task", mesos_pb2.TASK_RUNNING)
            assert status.message == "Reconciliation: Latest task state"

        return self.run_with(test)

    def test_a_framework_that_stays_away_is_removed_with_its_executors(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await self.running(scheduler)
            (executor,) = cluster.agents[0].executors.values()
            scheduler.close()
            while executor.container.is_running:
                await cluster.sleep(0.1)
            await scheduler.subscribe_refused("Framework has been removed")

        return self.run_with(test)

    def test_a_master_without_memory_calls_tasks_lost_until_the_agent_is_back(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.CopyFrom(partition_aware())
            offer = await self.running(scheduler)
            await cluster.restart_master()
            await scheduler.subscribe()
            await scheduler.reconcile(task=offer.agent_id.value)
            await scheduler.status("task", mesos_pb2.TASK_UNKNOWN)
            status = await scheduler.status("task", mesos_pb2.TASK_RUNNING)
            assert status.reason == TaskStatus.REASON_AGENT_REREGISTERED

        return self.run_with(test)

    def test_another_master_is_elected(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.CopyFrom(partition_aware())
            await self.running(scheduler)
            old = cluster.leader
            stream = scheduler.stream
            assert stream is not None
            new = await cluster.elect(1)
            await stream.until(lambda: stream.is_closed, "the end")
            assert not stream.has_ended_in_order
            response = await scheduler.subscribe()
            assert response.status == 307
            assert response.headers["location"] == (f"//{new.listener.address}/api/v1/scheduler")
            assert old.listener.address != new.listener.address
            scheduler.url = new.url
            while (await scheduler.subscribe()).status == 503:
                await cluster.sleep(0.1)
            await scheduler.event(Event.OFFERS)
            await scheduler.reconcile()
            await scheduler.status("task", mesos_pb2.TASK_RUNNING)

        return self.run_with(test, masters=2)

    def test_a_suspended_master_says_nothing(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await scheduler.subscribe()
            await scheduler.event(Event.HEARTBEAT)
            cluster.leader.suspend()
            await cluster.sleep(20)
            scheduler.take()
            assert all(event.type != Event.HEARTBEAT for event in scheduler.events)
            cluster.leader.resume()
            await scheduler.event(Event.HEARTBEAT)

        return self.run_with(test, speed=60.0)

    # --- agents ----------------------------------------------------------------------------------

    def test_an_executor_comes_back_to_a_restarted_agent(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.CopyFrom(partition_aware())
            offer = await self.running(scheduler)
            agent = cluster.agents[0]
            await cluster.kill_agent(agent)
            await cluster.sleep(0.5)
            await scheduler.kill("task")
            await agent.start()
            wire = await Wire.connect(reactor, agent.host, agent.listener.port)
            body = b'{"executor_id":{"value":"e"},"framework_id":{"value":"f"},"type":"HEARTBEAT"}'
            wire.request("/api/v1/executor", body, {"Content-Type": JSON})
            response = await wire.response(0)
            assert (response.status, response.body) == (503, b"Agent has not finished recovery")
            wire.close()
            # The kill was remembered by the master.
            await scheduler.status("task", mesos_pb2.TASK_KILLED)
            await scheduler.message(offer, "echo again")
            await scheduler.event(Event.MESSAGE)

        return self.run_with(test)

    def test_an_unacknowledged_update_comes_twice_when_an_agent_is_back(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.CopyFrom(partition_aware())
            scheduler.acknowledges = False
            await scheduler.subscribe()
            offer = await scheduler.offer()
            await scheduler.launch(offer, task(offer))
            first = await scheduler.status("task", mesos_pb2.TASK_STARTING)
            await cluster.restart_agent(cluster.agents[0])
            for _ in range(2):
                again = await scheduler.status("task", mesos_pb2.TASK_STARTING)
                assert again.uuid == first.uuid

        return self.run_with(test)

    def test_an_agent_becomes_unreachable_and_returns(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.CopyFrom(partition_aware())
            await self.running(scheduler)
            cluster.cut_off(cluster.agents[0])
            status = await scheduler.status("task", mesos_pb2.TASK_UNREACHABLE)
            assert status.unreachable_time.nanoseconds > 0
            failure = (await scheduler.event(Event.FAILURE)).failure
            assert not failure.HasField("executor_id")
            cluster.join(cluster.agents[0])
            status = await scheduler.status("task", mesos_pb2.TASK_RUNNING)
            assert status.message == "Unreachable agent re-reregistered"
            cluster.mark_unreachable(cluster.agents[0])
            await scheduler.status("task", mesos_pb2.TASK_UNREACHABLE)

        return self.run_with(test)

    def test_an_agent_is_gone_for_good(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            scheduler.info.CopyFrom(partition_aware())
            offer = await self.running(scheduler)
            cluster.mark_gone(cluster.agents[0])
            await scheduler.status("task", mesos_pb2.TASK_GONE_BY_OPERATOR)
            await scheduler.reconcile(task=offer.agent_id.value)
            await scheduler.status("task", mesos_pb2.TASK_GONE_BY_OPERATOR)

        return self.run_with(test)

    def test_an_agent_ends_in_order(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await self.running(scheduler)
            await cluster.end_agent(cluster.agents[0])
            status = await scheduler.status("task", mesos_pb2.TASK_LOST)
            assert status.message == "Agent host1.example removed: the agent unregistered"

        return self.run_with(test)

    # --- misbehaviour ----------------------------------------------------------------------------

    def test_events_are_lost_doubled_delayed_and_turned_round(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            offer = await self.running(scheduler)
            faults = cluster.leader.faults

            async def echo(*words: str) -> list[str]:
                for word in words:
                    await scheduler.message(offer, f"echo {word}")
                    await cluster.sleep(0.3)
                await cluster.sleep(3)
                scheduler.take()
                messages = [one for one in scheduler.events if one.type == Event.MESSAGE]
                scheduler.events.clear()
                return [one.message.data.decode().removeprefix("echo:") for one in messages]

            faults.add("lose", "MESSAGE")
            assert await echo("a", "b") == ["b"]
            faults.add("double", "MESSAGE")
            assert await echo("a", "b") == ["a", "a", "b"]
            faults.add("reorder", "MESSAGE", count=3)
            assert await echo("a", "b", "c", "d") == ["c", "b", "a", "d"]
            faults.add("delay", "MESSAGE", seconds=2)
            assert await echo("a", "b") == ["a", "b"]

        return self.run_with(test)

    def test_a_stream_ends_within_a_record(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            cluster.leader.faults.add("cut", "OFFERS")
            await scheduler.subscribe()
            stream = scheduler.stream
            assert stream is not None
            await stream.until(lambda: stream.is_closed, "the end")
            assert not stream.has_ended_in_order
            assert not stream.is_between_records

        return self.run_with(test)

    def test_calls_are_refused_ignored_or_left_without_an_answer(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            await self.running(scheduler)
            faults = cluster.leader.faults
            faults.add("refuse", "KILL", status=500, text="no")
            response = await scheduler.kill("task")
            assert (response.status, response.body) == (500, b"no")
            faults.add("ignore", "KILL")
            assert (await scheduler.kill("task")).status == 202
            faults.add("late", "KILL", seconds=2)
            started = time.monotonic()
            await scheduler.kill("nobody")
            assert time.monotonic() - started > 2 / SPEED
            faults.add("drop", "KILL")
            with self.assertRaises(WaitedTooLong):
                await scheduler.kill("task")
            await scheduler.status("task", mesos_pb2.TASK_KILLED)
            faults.add("hang", "RECONCILE")
            await scheduler.begin(Call(type=Call.RECONCILE, reconcile=Call.Reconcile()))
            await cluster.sleep(2)
            assert scheduler.unanswered == 1

        return self.run_with(test)

    # --- from outside ----------------------------------------------------------------------------

    def test_the_switches_can_be_thrown_over_http(self) -> Any:
        async def test(cluster: Cluster, scheduler: Scheduler) -> None:
            control = Control(cluster)
            await control.listener.start()
            wire = await Wire.connect(reactor, cluster.host, control.listener.port)
            orders: list[tuple[str, dict[str, Any], int]] = [
                ("add-agent", {"hostname": "flp001"}, 200),
                ("kill-agent", {"agent": "flp001"}, 200),
                ("start-agent", {"agent": "flp001"}, 200),
                ("misbehave", {"action": "refuse", "kind": "REVIVE", "status": 429}, 200),
                ("misbehave", {"action": "no such"}, 400),
                ("kill-agent", {"agent": "no such"}, 400),
            ]
            for number, (name, order, status) in enumerate(orders):
                wire.request(f"/{name}", json.dumps(order).encode())
                assert (await wire.response(number)).status == status
            await scheduler.subscribe()
            assert (await scheduler.call(Call(type=Call.REVIVE))).status == 429
            wire.close()
            await control.listener.stop()

        return self.run_with(test)

    def test_the_program_tells_its_addresses_and_leaves_nothing(self) -> None:
        addresses = temporary_folder(self) / "addresses.json"
        program = subprocess.Popen(
            [sys.executable, "-m", "test.standin.mesos", f"--addresses={addresses}"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 20
        while not addresses.exists() and program.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        told = json.loads(addresses.read_text())
        assert told["leader"] in told["masters"] and "host1.example" in told["agents"]
        program.send_signal(signal.SIGINT)
        assert program.wait(20) is not None
        assert program.stderr is not None
        assert b"Traceback" not in program.stderr.read()
        program.stderr.close()
