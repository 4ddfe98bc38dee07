"""The stand-in for Mesos with real executors: what goes right, and what can be made to go wrong."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_scheduler_pb2 import Event
from test.folder import temporary_folder
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.pace import Times
from test.standin.scheduler import Scheduler, task

SPEED = 10.0
TIMES = Times(ping_s=2, pings=2, master_lost_s=1)


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
                await cluster.sleep(0.2)

        return Deferred.fromCoroutine(run())

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
