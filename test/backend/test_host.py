"""The books of a host: whatever happens, nothing is given twice and everything comes back."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aliecs.backend.host import HostDefinition, Ledger, task_info
from aliecs.backend.ports import from_ranges
from aliecs.interfaces import MesosState, Offer, TaskLaunch
from aliecs.protocol import mesos_pb2

HOST = HostDefinition("flp001", cpus=2.0, memory_mb=100)
PORTS = frozenset(range(20000, 20008))
TASK_IDS = st.sampled_from([f"task{number}" for number in range(6)])


def launch(
    task_id: str, cpus: float = 0.5, memory_mb: float = 10, ports: tuple[int, ...] = ()
) -> TaskLaunch:
    return TaskLaunch(
        task_id=task_id,
        name=f"class#{task_id}",
        cpus=cpus,
        memory_mb=memory_mb,
        ports=tuple((port, port) for port in ports),
        command=b"{}",
    )


class Books(RuleBasedStateMachine):
    """Offers, bookings and ends in any order, against a list of what tasks have."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(HOST, "agent")
        self.running: dict[str, TaskLaunch] = {}
        self.old_offers: list[Offer] = []

    @rule(
        wanted=st.lists(
            st.tuples(
                TASK_IDS,
                st.sampled_from([0.0, 0.5, 1.0, 3.0]),
                st.sampled_from([10.0, 60.0]),
                st.lists(st.sampled_from(sorted(PORTS)), max_size=2, unique=True).map(tuple),
            ),
            max_size=4,
        )
    )
    def launch_some(self, wanted: list[tuple[str, float, float, tuple[int, ...]]]) -> None:
        offer = self.ledger.make_offer(PORTS - self.ledger.ports_used, "executor")
        assert self.ledger.take_back(offer)
        self.old_offers.append(offer)
        for task_id, cpus, memory_mb, ports in wanted:
            asked = launch(task_id, cpus, memory_mb, ports)
            if not self.ledger.book(offer, asked):
                assert task_id not in self.running
                self.running[task_id] = asked

    @rule()
    def an_old_offer_is_worth_nothing(self) -> None:
        for offer in self.old_offers:
            assert not self.ledger.take_back(offer)

    @rule(task_id=TASK_IDS, state=st.sampled_from(MesosState))
    def an_update(self, task_id: str, state: MesosState) -> None:
        self.ledger.note(task_id, state)
        if state.is_terminal:
            self.running.pop(task_id, None)

    @invariant()
    def books_are_right(self) -> None:
        tasks = self.running.values()
        assert self.ledger.tasks.keys() == self.running.keys()
        assert self.ledger.cpus_used == sum(task.cpus for task in tasks) <= HOST.cpus
        assert self.ledger.memory_used_mb == sum(t.memory_mb for t in tasks) <= HOST.memory_mb
        ports = [port for task in tasks for port in from_ranges(task.ports)]
        assert len(ports) == len(set(ports))
        assert self.ledger.ports_used == set(ports) <= PORTS


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestBooks = Books.TestCase


def test_what_is_missing_is_named() -> None:
    ledger = Ledger(HOST, "agent")
    offer = ledger.make_offer(PORTS, "executor")
    ledger.take_back(offer)
    assert ledger.book(offer, launch("one", ports=(20001,))) == ""
    assert ledger.book(offer, launch("one")) == "Task has duplicate ID: one"
    assert ledger.book(offer, launch("two", ports=(20001, 9))) == (
        "the ports [9, 20001] are not free on flp001"
    )
    assert ledger.book(offer, launch("two", cpus=1.6)) == (
        "flp001 has 1.5 cpus and 90 MB free, and the task needs 1.6 and 10"
    )
    assert ledger.book(offer, launch("two", cpus=1.5)) == ""


def test_a_task_as_its_executor_is_told_of_it() -> None:
    executor = mesos_pb2.ExecutorInfo(executor_id=mesos_pb2.ExecutorID(value="executor"))
    info = task_info(launch("one", 0.5, 0, (20001,)), "agent", executor)
    resources = {resource.name: resource for resource in info.resources}
    assert resources.keys() == {"cpus", "ports"}
    assert resources["cpus"].scalar.value == 0.5
    assert [(r.begin, r.end) for r in resources["ports"].ranges.range] == [(20001, 20001)]
    assert info.executor.executor_id.value == "executor"
    assert info.limits["mem"].value == info.limits["cpus"].value == float("inf")
