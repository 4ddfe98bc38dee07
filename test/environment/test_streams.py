"""When a run ends by itself."""

from __future__ import annotations

from attrs import evolve

from aliecs.environment.streams import Streams
from aliecs.protocol.message import ControlMode
from aliecs.task.task import Task
from aliecs.task.taskclass import TaskClass
from test.environment.test_muster import CLASS, task

OTHER: TaskClass = evolve(CLASS, name="other")


def stateful(name: str, task_class: TaskClass = CLASS) -> Task:
    made = task(name)
    made.task_class = task_class
    return made


def process(name: str, critical: bool) -> Task:
    made = task(name, critical)
    made.control_mode = ControlMode.BASIC
    return made


def begun(*tasks: Task) -> Streams:
    streams = Streams()
    streams.begin(tasks)
    assert not streams.all_ended
    return streams


def test_all_tasks_of_a_class_are_waited_for_and_no_others() -> None:
    a, b, sink = stateful("a"), stateful("b"), stateful("sink", OTHER)
    streams = begun(a, b, sink)
    assert not streams.end(a)
    assert not streams.end(a)
    assert streams.end(b)


def test_two_classes_that_end_are_both_waited_for() -> None:
    a, b, other = stateful("a"), stateful("b", OTHER), stateful("c", OTHER)
    streams = begun(a, b, other)
    assert not streams.end(b)
    assert not streams.end(a)
    assert streams.end(other)


def test_a_critical_process_is_waited_for() -> None:
    source, work = stateful("source"), process("work", True)
    streams = begun(source, work)
    assert not streams.end(source)
    assert streams.end(work)


def test_a_process_that_nobody_needs_holds_nothing_up() -> None:
    source, clock = stateful("source"), process("clock", False)
    assert begun(source, clock).end(source)


def test_processes_wait_for_each_other() -> None:
    one, two = process("one", False), process("two", False)
    streams = begun(one, two)
    assert not streams.end(one)
    assert streams.end(two)


def test_what_is_lost_is_not_waited_for() -> None:
    a, b = stateful("a"), stateful("b")
    streams = begun(a, b)
    streams.lose(b)
    assert streams.end(a)


def test_a_second_run_begins_anew() -> None:
    a, b = stateful("a"), stateful("b")
    streams = begun(a, b)
    streams.end(a)
    streams.begin([a, b])
    assert not streams.end(b)
    assert streams.end(a)
    assert not streams.end(stateful("stranger"))


def test_who_leaves_is_not_waited_for_and_may_join_again() -> None:
    a, b, c = stateful("a"), stateful("b"), stateful("c")
    streams = begun(a, b, c)
    assert not streams.leave([c])
    assert not streams.end(c)
    assert not streams.end(a)
    assert streams.leave([b])
    streams.join([b, c])
    assert not streams.end(c)
    assert streams.end(b)


def test_nothing_has_ended_where_somebody_leaves_before_anybody_has() -> None:
    a, b = stateful("a"), stateful("b")
    streams = begun(a, b)
    assert not streams.leave([a, b])
