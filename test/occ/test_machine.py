"""The state machine of tasks written in Python, without a socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from aliecs.errors import AliecsError, Conflict, Exhausted
from aliecs.occ import Properties, Task
from aliecs.occ.machine import GOALS, LISTENER_BOUND, TRANSITIONS, Listeners, Machine
from aliecs.protocol.protos.occ_pb2 import (
    DEVICE_ERROR,
    DEVICE_INTENTIONAL,
    END_OF_STREAM,
    EXECUTOR,
    TASK_INTERNAL_ERROR,
)

STATES = ["STANDBY", "CONFIGURED", "RUNNING", "PAUSED", "ERROR", "DONE"]
PATHS = {
    "STANDBY": [],
    "CONFIGURED": ["CONFIGURE"],
    "RUNNING": ["CONFIGURE", "START"],
    "PAUSED": ["CONFIGURE", "START", "PAUSE"],
    "ERROR": ["CONFIGURE", "START"],
    "DONE": ["EXIT"],
}


class Recorder(Task):
    """Notes what is called; fails in the callbacks that `fails` names."""

    def __init__(self, *fails: str) -> None:
        super().__init__("recorder")
        self.called: list[str] = []
        self.fails = set(fails)
        self.threads: set[str] = set()

    def note(self, callback: str) -> None:
        self.called.append(callback)
        self.threads.add(threading.current_thread().name)
        if callback in self.fails:
            raise ValueError(f"no luck in {callback}")

    def configure(self, properties: Properties) -> None:
        self.note("configure")

    def reset(self) -> None:
        self.note("reset")

    def start(self) -> None:
        self.note(f"start {self.run_number}")

    async def stop(self) -> None:
        self.note(f"stop {self.run_number}")

    def pause(self) -> None:
        self.note("pause")

    def resume(self) -> None:
        self.note("resume")

    def recover(self) -> None:
        self.note("recover")

    def exit(self) -> None:
        self.note("exit")


def driven(task: Task, scenario: Callable[[Machine], Awaitable[Any]]) -> Any:
    """Run a scenario on a machine over `task`, within ten seconds."""

    async def run() -> Any:
        machine = Machine(task)
        machine.start()
        try:
            return await asyncio.wait_for(scenario(machine), 10)
        finally:
            machine.stop()

    return asyncio.run(run())


async def go(machine: Machine, *events: str, **arguments: str) -> None:
    for event in events:
        outcome = await machine.transition(machine.state, event, arguments)
        assert outcome.ok, (event, outcome)


async def reach(machine: Machine, state: str) -> None:
    await go(machine, *PATHS[state])
    if state == "ERROR":
        machine.fail("for the test")
        await until(lambda: machine.state == "ERROR")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true within 5 s")


@pytest.mark.parametrize("event", sorted(GOALS))
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state(state: str, event: str) -> None:
    task = Recorder()

    async def scenario(machine: Machine) -> Any:
        await reach(machine, state)
        task.called.clear()
        try:
            return await machine.transition(state, event.lower(), {})
        except AliecsError as error:
            return error

    outcome = driven(task, scenario)
    if state == "DONE":
        assert isinstance(outcome, Conflict)
    elif (state, event) in TRANSITIONS:
        callback, target = TRANSITIONS[state, event]
        assert (outcome.ok, outcome.state, outcome.trigger) == (True, target, EXECUTOR)
        assert [called.split()[0] for called in task.called] == [callback]
    else:
        assert task.called == []
        assert outcome.state == state
        assert outcome.ok == (GOALS[event] == state)
        assert (event in outcome.reason) != outcome.ok


@pytest.mark.parametrize(
    ("state", "event", "callback"),
    [(state, event, callback) for (state, event), (callback, _) in TRANSITIONS.items()],
)
def test_a_callback_that_raises_takes_the_task_to_error(
    state: str, event: str, callback: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Recorder(callback, f"{callback} 0")

    async def scenario(machine: Machine) -> Any:
        task.fails, fails = set(), task.fails
        await reach(machine, state)
        task.fails = fails
        return await machine.transition(state, event, {})

    outcome = driven(task, scenario)
    assert (outcome.ok, outcome.state, outcome.trigger) == (False, "ERROR", DEVICE_ERROR)
    assert "no luck" in outcome.reason
    # The last line of what it wrote is the cause: that is what people are shown.
    assert capsys.readouterr().err.splitlines()[-1].startswith("ValueError: no luck in")


def test_what_is_refused_before_anything_is_done() -> None:
    """In the order of the C++ library, and with its statuses."""
    task = Recorder()

    async def refused(machine: Machine, source: str, event: str) -> AliecsError:
        with pytest.raises(AliecsError) as raised:
            await machine.transition(source, event, {"runNumber": "5"})
        return raised.value

    async def scenario(machine: Machine) -> None:
        error = await refused(machine, "RUNNING", "FLY")
        assert (error.grpc_status, "no event 'FLY'" in error.message) == ("UNKNOWN", True)
        error = await refused(machine, "RUNNING", "STOP")
        assert error.grpc_status == "INVALID_ARGUMENT"
        assert "is in STANDBY, not in RUNNING" in error.message
        await go(machine, "EXIT")
        task.called.clear()
        assert (await refused(machine, "DONE", "FLY")).grpc_status == "UNKNOWN"
        assert (await refused(machine, "STANDBY", "EXIT")).grpc_status == "INVALID_ARGUMENT"
        assert (await refused(machine, "DONE", "EXIT")).grpc_status == "FAILED_PRECONDITION"

    driven(task, scenario)
    assert (task.called, task.run_number) == ([], 0)


def test_what_a_plain_callback_gives_is_not_lost() -> None:
    class Giving(Task):
        waited = False

        def configure(self, properties: Properties) -> Any:
            return self.wait()

        async def wait(self) -> None:
            await asyncio.sleep(0.01)
            self.waited = True

        def start(self) -> Any:
            return Deferred()

    task = Giving("giving")

    async def scenario(machine: Machine) -> Any:
        await go(machine, "CONFIGURE")
        return await machine.transition("CONFIGURED", "START", {})

    outcome = driven(task, scenario)
    assert task.waited
    assert (outcome.state, "start gave a Deferred" in outcome.reason) == ("ERROR", True)
    assert "aliecs.occ.twisted" in outcome.reason


def test_a_coroutine_that_never_waits_keeps_nobody_from_being_heard() -> None:
    class Eager(Task):
        count = 0

        async def iterate_running(self) -> bool:
            self.count += 1
            return True

    task = Eager("eager")
    driven(task, lambda machine: go(machine, "CONFIGURE", "START", "STOP", "START", "STOP"))
    assert task.count


def test_run_numbers_stay_until_the_next_start() -> None:
    task = Recorder()

    async def scenario(machine: Machine) -> None:
        await go(machine, "CONFIGURE")
        await go(machine, "START", runNumber="17")
        await go(machine, "STOP")
        await go(machine, "START", runNumber="not a number")
        await go(machine, "STOP", "START", runNumber="18")
        await go(machine, "STOP")

    driven(task, scenario)
    assert task.called[1:] == [
        "start 17", "stop 17", "start 17", "stop 18", "start 18", "stop 18",
    ]  # fmt: skip


def test_plain_callbacks_share_one_thread_and_coroutines_run_on_the_loop() -> None:
    task = Recorder()
    driven(task, lambda machine: go(machine, "CONFIGURE", "START", "STOP", "RESET", "EXIT"))
    assert task.threads == {"callbacks", "MainThread"}


def test_properties_and_the_task_s_own_configuration() -> None:
    task = Recorder()

    async def scenario(machine: Machine) -> None:
        await go(machine, "CONFIGURE", **{"chans.data.0.address": "tcp://*:1"})
        assert task.properties.tree["chans"]["data"]["0"]["address"] == "tcp://*:1"
        await go(machine, "RESET")
        task.own_configuration = Properties()
        await go(machine, "CONFIGURE", other="1")

    driven(task, scenario)
    assert dict(task.properties) == {}
    assert dict(task.arguments) == {"other": "1"}


class Source(Task):
    """Has `blocks` blocks in each run; raises at block `breaks`."""

    def __init__(self, blocks: int, breaks: int = -1) -> None:
        super().__init__("source")
        self.blocks = blocks
        self.breaks = breaks
        self.sent = 0
        self.together = 0

    def start(self) -> None:
        self.sent = 0

    def iterate_running(self) -> bool:
        self.together += 1
        assert self.together == 1
        if self.sent == self.breaks:
            raise OSError("the card is gone")
        self.sent += 1
        time.sleep(0.001)
        self.together -= 1
        return self.sent < self.blocks


def test_end_of_data_is_told_once_in_each_run() -> None:
    task = Source(blocks=5)

    async def scenario(machine: Machine) -> list[Any]:
        told: list[Any] = []
        listening = asyncio.create_task(collect(machine.events.listen(), told))
        await go(machine, "CONFIGURE")
        for run in range(2):
            await go(machine, "START")
            await until(lambda: len(told) == run + 1)  # noqa: B023
            await asyncio.sleep(0.02)
            assert task.sent == 5
            await go(machine, "STOP")
        await go(machine, "EXIT")
        await listening
        return told

    assert driven(task, scenario) == [END_OF_STREAM, END_OF_STREAM]


def test_a_run_goes_on_after_a_pause() -> None:
    task = Source(blocks=1_000_000)

    async def scenario(machine: Machine) -> None:
        await go(machine, "CONFIGURE", "START", "PAUSE")
        sent = task.sent
        await asyncio.sleep(0.02)
        assert task.sent == sent
        await go(machine, "RESUME")
        await until(lambda: task.sent > sent)
        await go(machine, "STOP")

    driven(task, scenario)


def test_an_error_while_running_is_told() -> None:
    task = Source(blocks=5, breaks=3)

    async def scenario(machine: Machine) -> list[Any]:
        told: list[Any] = []
        states: list[Any] = []
        listening = [
            asyncio.create_task(collect(machine.events.listen(), told)),
            asyncio.create_task(collect(machine.states.listen(), states)),
        ]
        await go(machine, "CONFIGURE", "START")
        await until(lambda: machine.state == "ERROR")
        await go(machine, "RECOVER", "EXIT")
        await asyncio.gather(*listening)
        return [told, states]

    told, states = driven(task, scenario)
    assert told == [TASK_INTERNAL_ERROR]
    assert states == ["CONFIGURED", "RUNNING", "ERROR", "STANDBY", "DONE"]


def test_a_failing_check_is_told() -> None:
    class Checked(Task):
        check_interval_s = 0.005
        healthy = True

        def iterate_check(self) -> None:
            if not self.healthy:
                raise RuntimeError("too hot")

    task = Checked("checked")

    async def scenario(machine: Machine) -> Any:
        events = machine.events.listen()
        await go(machine, "CONFIGURE")
        await asyncio.sleep(0.02)
        assert machine.state == "CONFIGURED"
        task.healthy = False
        kind = await anext(events)
        assert machine.state == "ERROR"
        task.healthy = True
        await go(machine, "RECOVER")
        return kind

    assert driven(task, scenario) == TASK_INTERNAL_ERROR


class Empty(Task):
    """Knows already as it starts that there is no data."""

    def start(self) -> None:
        self.end_of_stream()


def test_an_end_of_data_told_by_start_is_told_in_the_run() -> None:
    async def scenario(machine: Machine) -> list[Any]:
        told: list[Any] = []
        listening = asyncio.create_task(collect(machine.events.listen(), told))
        await go(machine, "CONFIGURE")
        for run in range(2):
            await go(machine, "START")
            await until(lambda: len(told) == run + 1)  # noqa: B023
            assert machine.state == "RUNNING"
            await go(machine, "STOP")
        await go(machine, "EXIT")
        await listening
        return told

    assert driven(Empty("empty"), scenario) == [END_OF_STREAM, END_OF_STREAM]


def test_a_task_speaks_from_threads_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    task = Recorder()

    async def scenario(machine: Machine) -> list[Any]:
        events = machine.events.listen()
        await go(machine, "CONFIGURE", "START")
        threading.Thread(target=task.end_of_stream).start()
        first = await anext(events)
        threading.Thread(target=task.fail, args=("the link is down",)).start()
        second = await anext(events)
        assert machine.state == "ERROR"
        return [first, second]

    assert driven(task, scenario) == [END_OF_STREAM, TASK_INTERNAL_ERROR]
    assert capsys.readouterr().err == "recorder: the link is down\n"


def test_a_failure_during_a_transition_is_not_covered_by_it() -> None:
    class Failing(Task):
        def configure(self, properties: Properties) -> None:
            self.fail("half way")
            time.sleep(0.05)

    outcome = driven(
        Failing("failing"), lambda machine: machine.transition("STANDBY", "CONFIGURE", {})
    )
    assert (outcome.ok, outcome.state) == (False, "ERROR")


def test_a_transition_is_made_to_its_end_even_if_nobody_waits() -> None:
    class Slow(Recorder):
        def configure(self, properties: Properties) -> None:
            time.sleep(0.1)

    async def scenario(machine: Machine) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(machine.transition("STANDBY", "CONFIGURE", {}), 0.01)
        assert machine.state == "STANDBY"
        await until(lambda: machine.state == "CONFIGURED")

    driven(Slow(), scenario)


def test_a_step_that_leads_elsewhere_is_intentional() -> None:
    outcome = driven(Recorder(), lambda machine: machine.transition("STANDBY", "START", {}))
    assert (outcome.ok, outcome.trigger) == (False, DEVICE_INTENTIONAL)


def test_a_slow_listener_is_told_so_and_costs_a_bounded_amount() -> None:
    async def scenario() -> None:
        listeners: Listeners[int] = Listeners()
        slow = listeners.listen()
        for number in range(LISTENER_BOUND * 2):
            listeners.tell(number)
        with pytest.raises(Exhausted):
            await anext(slow)
        listeners.end()
        assert [item async for item in listeners.listen()] == []

    asyncio.run(scenario())


async def collect(items: Any, into: list[Any]) -> None:
    async for item in items:
        into.append(item)
