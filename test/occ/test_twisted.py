"""Tasks that are written for Twisted, as real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.occ.client import DeviceEventType
from test.folder import temporary_folder
from test.occ.task_process import TaskProcess

PROGRAM = textwrap.dedent(
    """
    import sys, threading, time
    from aliecs.occ.twisted import Task, run
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import LoopingCall, deferLater
    from twisted.internet.threads import deferToThread
    from twisted.internet.utils import getProcessOutput
    from twisted.web.resource import Resource
    from twisted.web.server import Site
    import treq

    class Page(Resource):
        isLeaf = True
        def render_GET(self, request):
            return b"a page"

    class Sample(Task):
        ticks = 0

        async def configure(self, properties):
            if "fail" in properties:
                await deferLater(reactor, 0.01, lambda: 1 // 0)
            if "leave" in properties:
                sys.exit("I leave")
            # A child process, a server and a client, all on the reactor.
            self.child = await getProcessOutput("/bin/echo", [b"hello"])
            port = reactor.listenTCP(0, Site(Page()), interface="127.0.0.1")
            self.page = await treq.content(
                await treq.get(f"http://127.0.0.1:{port.getHost().port}/")
            )
            await port.stopListening()
            assert threading.current_thread() is threading.main_thread()

        def start(self):
            self.ticking = LoopingCall(self.tick)
            self.ticking.start(0.01)
            return deferLater(reactor, 0.05, lambda: None)

        def tick(self):
            self.ticks += 1

        def iterate_running(self):
            if "stop-reactor" in self.arguments:
                reactor.stop()
            if "hang" in self.arguments:
                deferToThread(time.sleep, 1000)
                return False
            return deferLater(reactor, 0.01, lambda: self.ticks < 10)

        async def stop(self):
            self.ticking.stop()
            await deferLater(reactor, 0.01, lambda: None)
            print(self.child, self.page, self.ticks >= 10, flush=True)

        def exit(self):
            print("exit from", self.state, flush=True)
            return deferLater(reactor, 0.01, lambda: print("exited", flush=True))

    reactor.addSystemEventTrigger("before", "shutdown", lambda: print("shutdown", flush=True))
    run(Sample("sample"))
    """
)


class TwistedTaskTest(TestCase):
    """One process for each test."""

    timeout = 60

    async def setUp(self) -> None:
        program = temporary_folder(self) / "sample.py"
        program.write_text(PROGRAM)
        self.task = TaskProcess((str(program),))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.task.close()))
        await self.task.ready()

    async def test_callbacks_with_deferreds(self) -> None:
        task = self.task
        events = task.client.events()
        assert await events.connected(10)
        await task.goes("CONFIGURE", "CONFIGURED")
        await task.goes("START", "RUNNING", runNumber="1")
        assert await anext(events) == DeviceEventType.END_OF_STREAM
        await task.goes("STOP", "CONFIGURED")
        await task.goes("EXIT", "DONE")
        status, output, errors = await task.ended()
        assert (status, errors) == (0, "")
        assert output.splitlines() == [
            "b'hello\\n' b'a page' True", "exit from CONFIGURED", "exited", "shutdown",
        ]  # fmt: skip

    async def test_a_deferred_that_fails_takes_the_task_to_error(self) -> None:
        failed = await self.task.move("CONFIGURE", fail="yes")
        assert (failed.state, failed.reason.partition(":")[0]) == ("ERROR", "ZeroDivisionError")
        await self.task.goes("RECOVER", "STANDBY")
        failed = await self.task.move("CONFIGURE", leave="yes")
        assert "SystemExit" in failed.reason
        await self.task.goes("EXIT", "DONE")
        assert (await self.task.ended())[0] == 0

    async def test_whoever_stops_the_reactor_ends_the_task(self) -> None:
        await self.task.goes("CONFIGURE", "CONFIGURED")
        await self.task.move("START", **{"stop-reactor": "yes"})
        status, output, _ = await self.task.ended()
        assert status == 0
        assert output.splitlines() == ["shutdown", "exit from RUNNING", "exited"]

    async def test_signals(self) -> None:
        self.task.process.send_signal(signal.SIGTERM)
        status, output, _ = await self.task.ended()
        assert (status, output) == (143, "exit from STANDBY\nexited\nshutdown\n")

    async def test_a_thread_that_hangs_does_not_hold_the_process_back(self) -> None:
        await self.task.goes("CONFIGURE", "CONFIGURED")
        await self.task.goes("START", "RUNNING", hang="yes")
        await self.task.goes("STOP", "CONFIGURED")
        await self.task.goes("EXIT", "DONE")
        assert (await self.task.ended())[0] == 0


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("", 0),
        ("from twisted.internet import asyncioreactor; asyncioreactor.install()", 0),
        ("from twisted.internet import reactor", 1),
    ],
)
def test_the_reactor_is_ours_or_over_asyncio(first: str, status: int) -> None:
    program = f"{first}\nimport aliecs.occ.twisted\nfrom twisted.internet import reactor"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == status
    assert ("has to be imported before twisted.internet.reactor" in done.stderr) == bool(status)


def test_plain_tasks_know_nothing_of_twisted() -> None:
    program = (
        "import sys, aliecs.occ, aliecs.occ.example.meter.thread;"
        "print([name for name in sys.modules if name.partition('.')[0] in ('twisted', 'zope')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True,
        cwd=Path("/"),
    )  # fmt: skip
    assert done.stdout == "[]\n"
