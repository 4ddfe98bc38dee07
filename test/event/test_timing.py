"""How long something took each time: samples of a second, and what is said of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aliecs.event.timing import BOUND, SAMPLE, Timings


def test_what_is_said_of_a_second() -> None:
    timings = Timings(lambda: 1_700_000_000.9)
    for number in range(100):
        timings.add("kafka_writer", "aliecs.task", 99 - number)
    (one,) = timings.take()
    assert (one.measurement, one.topic, one.second) == ("kafka_writer", "aliecs.task", 1700000000)
    assert one.fields == {
        "execution_time_ns_mean": "49.5",
        "execution_time_ns_median": "50.0",
        "execution_time_ns_min": "0.0",
        "execution_time_ns_p10": "10.0",
        "execution_time_ns_p30": "30.0",
        "execution_time_ns_p70": "70.0",
        "execution_time_ns_p90": "90.0",
        "execution_time_ns_max": "99.0",
        "execution_time_ns_count": "100u",
        "execution_time_ns_poolsize": "100u",
    }
    assert timings.take() == []


def test_seconds_topics_and_measurements_are_kept_apart() -> None:
    now_s = [5.0]
    timings = Timings(lambda: now_s[0])
    for measurement, topic, at_s in (("a", "x", 5), ("a", "y", 5), ("b", "x", 5), ("a", "x", 6)):
        now_s[0] = float(at_s)
        timings.add(measurement, topic, 1)
    assert len(timings.take()) == 4


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=3 * SAMPLE))
def test_a_sample_is_of_what_was_there(values: list[int]) -> None:
    timings = Timings(lambda: 1.0)
    for value in values:
        timings.add("a", "x", value)
    (one,) = timings.take()
    assert one.fields["execution_time_ns_count"] == f"{len(values)}u"
    assert one.fields["execution_time_ns_poolsize"] == f"{min(len(values), SAMPLE)}u"
    assert min(values) <= float(one.fields["execution_time_ns_median"]) <= max(values)


def test_nobody_asks_for_a_long_time() -> None:
    now_s = [0.0]
    timings = Timings(lambda: now_s[0])
    for second in range(BOUND + 10):
        now_s[0] = float(second)
        timings.add("a", "x", 1)
    assert [one.second for one in timings.take()] == list(range(10, BOUND + 10))
