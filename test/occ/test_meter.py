"""The same example in three styles is the same to whoever drives it."""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aliecs.occ.client import DeviceEventType
from test.occ.task_process import TaskProcess
from test.ports import free_port


class Meters:
    """What every style does; `style` names the module."""

    timeout = 60
    style = ""

    def setUp(self) -> None:
        self.task = TaskProcess(("-m", f"aliecs.occ.example.meter.{self.style}"))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.task.close()))  # type: ignore[attr-defined]
        self.device = free_port()

    async def say(self, *words: str) -> list[str]:
        """Send datagrams, one after the other; the answers."""
        return list(await deferToThread(self._say, words))

    def _say(self, words: tuple[str, ...]) -> list[str]:
        answers = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(10)
            sender.connect(("127.0.0.1", self.device))
            for word in words:
                sender.send(word.encode())
                answers.append(sender.recv(100).decode() if word != "stuck" else "")
        return answers

    async def test_two_runs_and_their_ends(self) -> None:
        task = self.task
        await task.ready()
        events, states = task.client.events(), task.client.states()
        assert await events.connected(10) and await states.connected(10)
        await task.goes("CONFIGURE", "CONFIGURED", port=str(self.device), limit="3")
        for run in ("7", "8"):
            await task.goes("START", "RUNNING", runNumber=run)
            assert await self.say("a", "b", "c") == ["1", "2", "3"]
            assert await anext(events) == DeviceEventType.END_OF_STREAM
            await task.goes("STOP", "CONFIGURED")
        await task.goes("RESET", "STANDBY")
        await task.goes("CONFIGURE", "CONFIGURED", port=str(self.device))
        await task.goes("EXIT", "DONE")
        assert [event async for event in events] == []
        assert [update.state async for update in states] == [
            "CONFIGURED", "RUNNING", "CONFIGURED", "RUNNING", "CONFIGURED", "STANDBY",
            "CONFIGURED", "DONE",
        ]  # fmt: skip
        assert await task.ended() == (0, "run 7: 3 datagrams\nrun 8: 3 datagrams\n", "")

    async def test_a_wrong_property_and_a_fault_of_the_device(self) -> None:
        task = self.task
        await task.ready()
        events = task.client.events()
        assert await events.connected(10)
        refused = await task.move("CONFIGURE", port="many")
        assert (refused.ok, refused.state) == (False, "ERROR")
        assert refused.reason.startswith("ValueError: invalid literal for int()")
        await task.goes("RECOVER", "STANDBY")
        await task.goes("CONFIGURE", "CONFIGURED", port=str(self.device))
        await task.goes("START", "RUNNING", runNumber="7")
        assert await self.say("a", "stuck") == ["1", ""]
        assert await anext(events) == DeviceEventType.TASK_INTERNAL_ERROR
        task.state = (await task.client.get_state(10)).state
        assert task.state == "ERROR"
        await task.goes("RECOVER", "STANDBY")
        await task.goes("CONFIGURE", "CONFIGURED", port=str(self.device))
        await task.goes("EXIT", "DONE")
        status, _, errors = await task.ended()
        assert status == 0
        assert "the device is stuck" in errors


class ThreadTest(Meters, TestCase):
    """Plain methods."""

    style = "thread"


class CoroutineTest(Meters, TestCase):
    """Coroutines."""

    style = "coroutine"


class TwistedTest(Meters, TestCase):
    """On the reactor."""

    style = "twisted"
