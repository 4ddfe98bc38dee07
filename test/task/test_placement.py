"""Placement: nothing over-booked, nobody forgotten, every refusal explained."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from aliecs.interfaces import HostInfo, Offer
from aliecs.language.declaration import Constraint
from aliecs.task.placement import (
    LOWEST_CHANNEL_PORT,
    WantedTask,
    place,
    subtract_ranges,
    unmet_constraint,
)


def offer(
    host: str, cpus: float = 4, memory_mb: float = 4096, ports=((30000, 30099),), **attributes
):  # type: ignore[no-untyped-def]
    return Offer(
        offer_id=f"offer-{host}",
        agent_id=f"agent-{host}",
        host=host,
        address=f"{host}.example",
        attributes=attributes,
        cpus=cpus,
        memory_mb=memory_mb,
        ports=ports,
        executor_id=f"executor-{host}",
    )


def info(one: Offer, cpus: float | None = None, connected: bool = True) -> HostInfo:
    return HostInfo(
        name=one.host,
        address=one.address,
        agent_id=one.agent_id,
        executor_id=one.executor_id,
        attributes=one.attributes,
        connected=connected,
        cpus=one.cpus if cpus is None else cpus,
        memory_mb=one.memory_mb,
        cpus_used=0,
        memory_mb_used=0,
        tasks=0,
        last_seen_s=0,
    )


def pinned(key: str, host: str, **wants: float) -> WantedTask:
    return WantedTask(key, (Constraint("machine_id", host),), **wants)  # type: ignore[arg-type]


def test_a_task_that_was_somewhere_before_gets_its_own_ports_there() -> None:
    a, b = offer("a"), offer("b")
    hosts = [info(a), info(b)]
    again = WantedTask("x", host="b", own_ports=(30007, 30003))
    (placed,) = place([again], [a, b], hosts).placed
    assert (placed.offer, placed.channel_ports) == (b, (30007, 30003))
    assert placed.ports == ((30003, 30003), (30007, 30007), (30099, 30099))

    busy = offer("b", ports=((30000, 30005),))
    (refused,) = place([again], [a, busy], hosts).not_yet
    assert list(refused.reasons) == ["b"]
    assert "does not offer the port 30007" in str(refused)
    (refused,) = place([again], [a], [info(a)]).impossible
    assert str(refused) == "a: is not the host where it was"


def test_a_pinned_task_goes_to_its_machine_and_nowhere_else() -> None:
    a, b = offer("a"), offer("b")
    result = place([pinned("x", "b"), pinned("y", "c")], [a, b], [info(a), info(b)])
    assert [(p.wanted.key, p.offer.host) for p in result.placed] == [("x", "b")]
    assert not result.not_yet
    assert "machine_id" not in a.attributes
    text = str(result.impossible[0])
    assert "a: machine_id is a, not c" in text
    assert "b: machine_id is b, not c" in text


def test_pinned_tasks_are_not_crowded_out_by_free_ones() -> None:
    a = offer("a", cpus=1)
    wanted = [WantedTask("free", cpus=1), pinned("pinned", "a", cpus=1)]
    result = place(wanted, [a], [info(a)])
    assert [p.wanted.key for p in result.placed] == ["pinned"]
    assert "wants 1 cpus, 0 free" in str(result.not_yet[0])


def test_all_constraints_must_hold() -> None:
    attributes = {"detector": "TPC,ITS", "rack": "1"}
    its, trd = Constraint("detector", "ITS"), Constraint("detector", "TRD")
    rack = Constraint("rack", "1")
    assert unmet_constraint([its, rack], attributes) == ""
    assert unmet_constraint([trd, rack], attributes) == "detector is TPC,ITS, not TRD"
    assert unmet_constraint([rack, trd], attributes)
    assert unmet_constraint([Constraint("x", "1")], attributes) == "has no attribute x"


def test_a_task_that_some_host_could_carry_is_not_impossible() -> None:
    a = offer("a", cpus=1)
    result = place([WantedTask("x", cpus=3)], [a], [info(a, cpus=4)])
    assert "wants 3 cpus, 1 free" in str(result.not_yet[0])
    result = place([WantedTask("x", cpus=3)], [], [info(a, cpus=4, connected=False)])
    assert "is not connected" in str(result.not_yet[0])
    result = place([WantedTask("x", cpus=5)], [a], [info(a, cpus=4)])
    assert "wants 5 cpus, the host has 4" in str(result.impossible[0])
    assert "no host at all" in str(place([WantedTask("x")], [], []).impossible[0])


def test_ports_of_channels_control_and_templates_never_meet() -> None:
    a = offer("a", ports=((100, 200), (9000, 9004)))
    wanted = [
        WantedTask("x", channel_ports=2, static_ports=((9001, 9001),)),
        WantedTask("y", channel_ports=1),
    ]
    result = place(wanted, [a], [info(a)])
    x = result.placed[0]
    assert (x.channel_ports, x.control_port) == ((9000, 9002), 9004)
    assert x.ports == ((9000, 9002), (9004, 9004))
    assert "channel ports" in str(result.not_yet[0])


def test_the_static_ports_of_a_template_may_be_all_that_is_offered() -> None:
    a = offer("a", ports=((9000, 9001),))
    result = place([WantedTask("x", static_ports=((9000, 9001),), control_port=False)], [a], [])
    assert result.placed[0].ports == ((9000, 9001),)


def test_free_tasks_are_spread() -> None:
    offers = [offer("a"), offer("b"), offer("c")]
    result = place([WantedTask(n) for n in range(6)], offers, [])
    assert Counter(p.offer.host for p in result.placed) == {"a": 2, "b": 2, "c": 2}


RANGES = st.lists(st.tuples(st.integers(8990, 9030), st.integers(0, 6)), max_size=4).map(
    lambda pairs: tuple((begin, begin + length) for begin, length in pairs)
)
OFFERS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 512), RANGES, st.sampled_from(["x", "y", "x,y"])),
    max_size=5,
)
WANTED = st.lists(
    st.builds(
        lambda machine, kind, cpus, memory, channels, control: WantedTask(
            0,
            tuple(
                ([Constraint("machine_id", machine)] if machine else [])
                + ([Constraint("kind", kind)] if kind else [])
            ),
            cpus,
            memory,
            (),
            channels,
            control,
        ),
        st.sampled_from(["", "", "h0", "h1", "h9"]),
        st.sampled_from(["", "x", "y"]),
        st.integers(0, 3),
        st.integers(0, 300),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=12,
)


@given(OFFERS, WANTED)
def test_every_task_is_in_one_place_and_no_host_over_booked(offers, wanted) -> None:  # type: ignore[no-untyped-def]
    made = [
        offer(f"h{index}", cpus, memory, ports, kind=kind)
        for index, (cpus, memory, ports, kind) in enumerate(offers)
    ]
    result = place(wanted, made, [info(one) for one in made])
    everyone = [p.wanted for p in result.placed]
    everyone += [r.wanted for r in [*result.not_yet, *result.impossible]]
    assert sorted(map(id, everyone)) == sorted(map(id, wanted))
    used: dict[str, list] = defaultdict(list)
    for one in result.placed:
        used[one.offer.host].append(one)
        attributes = {**one.offer.attributes, "machine_id": one.offer.host}
        assert unmet_constraint(one.wanted.constraints, attributes) == ""
        assert len(one.channel_ports) == one.wanted.channel_ports
        assert all(port >= LOWEST_CHANNEL_PORT for port in one.channel_ports)
        assert bool(one.control_port) == one.wanted.control_port
    for one in made:
        tasks = used[one.host]
        assert sum(p.wanted.cpus for p in tasks) <= one.cpus
        assert sum(p.wanted.memory_mb for p in tasks) <= one.memory_mb
        ports = [port for p in tasks for b, e in p.ports for port in range(b, e + 1)]
        assert len(ports) == len(set(ports))
        offered = {port for b, e in one.ports for port in range(b, e + 1)}
        assert set(ports) <= offered
    for one in [*result.not_yet, *result.impossible]:
        assert str(one)


@given(RANGES, RANGES)
def test_ranges_are_sets_of_ports(ranges, taken) -> None:  # type: ignore[no-untyped-def]
    def ports(some) -> set[int]:  # type: ignore[no-untyped-def]
        return {port for begin, end in some for port in range(begin, end + 1)}

    try:
        left = subtract_ranges(ranges, taken)
    except LookupError:
        assert not ports(taken) <= ports(ranges)
    else:
        assert ports(left) == ports(ranges) - ports(taken)
