"""What executors are started with, and which of them get tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve

from aliecs.backend.mesos.executor import ExecutorBook, command_of
from aliecs.backend.mesos.option import ExecutorOptions
from aliecs.backend.mesos.resource import Pool
from test.backend.mesos.house import EXECUTOR, scalar

PLENTY = (scalar("cpus", 4.0), scalar("mem", 4096.0))


def ids() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"executor{number}"


def book(options: ExecutorOptions = EXECUTOR, text: str = "") -> tuple[ExecutorBook, list[str]]:
    kept: list[str] = []
    numbers = ids()
    made = ExecutorBook(options, lambda: next(numbers), kept.append)
    made.restore(text)
    return made, kept


def test_a_version_is_kept_once_and_found_again_word_for_word() -> None:
    first, kept = book()
    one = first.fresh({}, Pool(PLENTY))
    two = first.fresh({}, Pool(PLENTY))
    assert one.executor_id.value != two.executor_id.value
    assert len(kept) == 1
    second, _ = book(text=kept[0])
    assert second.known(one.executor_id.value) == one
    assert second.choose(["foreign", one.executor_id.value], {}) == one.executor_id.value


@pytest.mark.parametrize(
    "other",
    [
        evolve(EXECUTOR, memory_mb=128.0),
        evolve(EXECUTOR, cpus=0.25),
        evolve(EXECUTOR, path="/opt/other"),
        evolve(EXECUTOR, path="", command=("/opt/executor",)),
    ],
)
def test_with_other_settings_a_running_executor_gets_no_tasks(other: ExecutorOptions) -> None:
    first, kept = book()
    one = first.fresh({}, Pool(PLENTY))
    second, _ = book(other, kept[0])
    assert second.choose([one.executor_id.value], {}) == ""


def test_an_executor_from_reserved_resources_is_as_good() -> None:
    executors, kept = book()
    reserved = scalar("cpus", 4.0, "flp")
    reserved.allocation_info.role = "flp"
    one = executors.fresh({}, Pool([reserved, scalar("mem", 4096.0)]))
    assert [(r.role, r.HasField("allocation_info")) for r in one.resources] == [
        ("flp", False), ("*", False),
    ]  # fmt: skip
    again, _ = book(text=kept[0])
    assert again.choose([one.executor_id.value], {}) == one.executor_id.value


def test_what_cannot_be_read_is_as_if_nothing_was_kept() -> None:
    executors, _ = book(text="{nonsense")
    assert executors.known("executor1-00000000") is None


def test_an_executor_that_does_not_fit_is_not_made() -> None:
    executors, kept = book()
    with pytest.raises(LookupError):
        executors.fresh({}, Pool([scalar("cpus", 4.0), scalar("mem", 63.0)]))
    assert kept == []


def test_commands() -> None:
    fetched = command_of(EXECUTOR, {})
    assert fetched.value == "./executor" and fetched.uris[0].value == "/opt/executor"
    assert not fetched.HasField("shell")
    there = command_of(evolve(EXECUTOR, path="", command=("/bin/e", "--x y")), {})
    assert (there.shell, there.value, list(there.arguments)) == (
        False, "/bin/e", ["/bin/e", "--x y"],
    )  # fmt: skip
