"""The books of offers and resources: nothing is given twice, everything comes to an end once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aliecs.backend.mesos.offer import Loan, OfferBook
from aliecs.backend.mesos.resource import Pool, common, merge, without
from aliecs.interfaces import Offer
from aliecs.protocol import mesos_pb2
from test.backend.mesos.house import piece, ports, scalar

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=5)
AGENTS = st.sampled_from(["agent-1", "agent-2", "agent-3"])


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for begin, end in ranges for number in range(begin, end + 1)}


@given(RANGES, RANGES)
def test_ranges_are_sets(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    one, other = merge(left), merge(right)
    assert numbers(one) == numbers(left)
    assert numbers(common(one, other)) == numbers(left) & numbers(right)
    assert numbers(without(one, other)) == numbers(left) - numbers(right)
    assert all(low[1] + 1 < high[0] for low, high in pairwise(one))


PARTS = st.lists(
    st.tuples(st.sampled_from(["*", "flp", "epn"]), st.integers(0, 4000)), min_size=0, max_size=4
)
WISHES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.25, 1.0, 2.0]),
        st.sampled_from([0.0, 32.0, 100.5]),
        RANGES.map(merge).map(tuple),
    ),
    max_size=8,
)


@given(PARTS, PARTS, st.lists(RANGES.map(merge), max_size=3), WISHES)
def test_nothing_is_taken_twice_from_a_pool(
    cpus: list[tuple[str, int]],
    memory: list[tuple[str, int]],
    port_lists: list[list[tuple[int, int]]],
    wishes: list[tuple[float, float, tuple[tuple[int, int], ...]]],
) -> None:
    offered: set[int] = set()
    disjoint = []
    for ranges in port_lists:
        mine = without(ranges, merge([(number, number) for number in offered]))
        offered |= numbers(mine)
        disjoint.append(mine)
    pool = Pool(
        [scalar("cpus", amount / 1000, role) for role, amount in cpus]
        + [scalar("mem", amount / 10, role) for role, amount in memory]
        + [ports(*ranges, role=f"role-{index}") for index, ranges in enumerate(disjoint)]
        + [scalar("disk", 5.0)]
    )
    whole = (pool.cpus, pool.memory_mb)
    taken: list[mesos_pb2.Resource] = []
    for wish_cpus, wish_memory, wish_ports in wishes:
        before = (pool.cpus, pool.memory_mb, pool.ports)
        try:
            part = pool.take(wish_cpus, wish_memory, wish_ports)
        except LookupError:
            assert (pool.cpus, pool.memory_mb, pool.ports) == before
            continue
        assert sum_of(part, "cpus") == pytest.approx(wish_cpus)
        assert sum_of(part, "mem") == pytest.approx(wish_memory)
        assert ports_of(part) == Counter(numbers(list(wish_ports)))
        taken += part
    assert sum_of(taken, "cpus") + pool.cpus == pytest.approx(whole[0])
    assert sum_of(taken, "mem") + pool.memory_mb == pytest.approx(whole[1])
    assert set(ports_of(taken).values()) <= {1}
    assert ports_of(taken).keys() | numbers(list(pool.ports)) == offered
    for role, amount in {(role, sum(a for r, a in cpus if r == role)) for role, _ in cpus}:
        of_role = sum_of([one for one in taken if one.role == role], "cpus")
        assert of_role <= amount / 1000 + 1e-9


def sum_of(resources: list[mesos_pb2.Resource], name: str) -> float:
    return sum(one.scalar.value for one in resources if one.name == name)


def ports_of(resources: list[mesos_pb2.Resource]) -> Counter[int]:
    return Counter(
        port
        for one in resources
        if one.name == "ports"
        for range_ in one.ranges.range
        for port in range(range_.begin, range_.end + 1)
    )


def test_a_part_keeps_what_the_offer_said_of_it() -> None:
    reserved = scalar("cpus", 2.0, "flp")
    reserved.allocation_info.role = "flp"
    part = Pool([reserved, scalar("cpus", 1.0)]).take(2.5, 0.0)
    assert [(one.role, one.scalar.value) for one in part] == [("flp", 2.0), ("*", 0.5)]
    assert part[0].allocation_info.role == "flp"


def make_loan(agent_id: str, pieces: tuple[mesos_pb2.Offer, ...]) -> Loan:
    pool = Pool([resource for one in pieces for resource in one.resources])
    offer = Offer(
        pieces[0].id.value, agent_id, "h", "h", {}, pool.cpus, pool.memory_mb, pool.ports, "e"
    )
    return Loan(agent_id, pieces, pool, "e", mesos_pb2.ExecutorInfo(), offer)


class Offers(RuleBasedStateMachine):
    """Offers come, are lent, accepted, declined and rescinded in any order: each has one end."""

    def __init__(self) -> None:
        super().__init__()
        self.book = OfferBook()
        self.count = 0
        self.alive: set[str] = set()
        self.ends: Counter[str] = Counter()
        self.held: list[Offer] = []
        self.over: list[Offer] = []

    @rule(agents=st.lists(AGENTS, min_size=1, max_size=4))
    def offers_come(self, agents: list[str]) -> None:
        new = []
        for agent_id in agents:
            self.count += 1
            new.append(piece(f"o{self.count}", agent_id))
        assert self.book.add(new) == []
        assert self.book.add(new) == []
        self.alive |= {one.id.value for one in new}

    @rule()
    def somebody_gathers(self) -> None:
        offers = self.book.lend(make_loan)
        agents = [offer.agent_id for offer in offers]
        assert len(agents) == len(set(agents))
        self.held += offers

    @rule(data=st.data())
    def somebody_accepts(self, data: st.DataObject) -> None:
        if not self.held:
            return
        offer = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        loan = self.book.redeem(offer)
        self.over.append(offer)
        if loan is not None:
            assert loan.offer is offer
            self.finish(loan.piece_ids)

    @rule(data=st.data())
    def somebody_declines(self, data: st.DataObject) -> None:
        if self.held:
            offer = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
            self.book.take_back(offer)

    @rule()
    def old_offers_are_worth_nothing(self) -> None:
        current = {id(offer) for offer in self.held}
        for offer in self.over:
            if id(offer) not in current:
                assert self.book.redeem(offer) is None

    @rule(number=st.integers(1, 40))
    def the_master_rescinds(self, number: int) -> None:
        name = f"o{number}"
        self.book.rescind(name)
        if name in self.alive:
            self.finish([name])

    @rule()
    def nobody_wants_them(self) -> None:
        self.finish(self.book.clear())
        assert not self.book.has_kept

    @rule()
    def the_subscription_ends(self) -> None:
        self.book.forget()
        self.finish(tuple(self.alive))

    def finish(self, names: object) -> None:
        assert isinstance(names, list | tuple)
        assert set(names) <= self.alive
        self.alive -= set(names)
        self.ends.update(names)

    @invariant()
    def each_has_one_end(self) -> None:
        assert set(self.ends.values()) <= {1}
        here = [
            one.id.value
            for agent_id in ("agent-1", "agent-2", "agent-3")
            for one in self.book.pieces_of(agent_id)
        ]
        assert sorted(here) == sorted(self.alive)


TestOffers = Offers.TestCase
TestOffers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
