"""Finding a master, keeping it, and finding it again."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from aliecs.backend.mesos.address import MOST_REDIRECTS, Masters, parse_masters
from aliecs.backend.mesos.queue import PAUSES_S
from aliecs.backend.mesos.wire import Reply, Unanswered
from aliecs.errors import SettingsError, Unavailable
from aliecs.interfaces import MesosState
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from aliecs.protocol.recordio import encode_record
from test.backend.mesos.house import House, status

ONE = "http://one:5050/api/v1/scheduler"
TWO = "http://two:5051/api/v1/scheduler"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://:5050/api/v1/scheduler", ["http://127.0.0.1:5050/api/v1/scheduler"]),
        ("http://one", [ONE]),
        ("one:5050", [ONE]),
        ("http://one:5050,two:5051/api/v1/scheduler", [ONE, TWO]),
        ("http://one:5050/api/v1/scheduler, http://two:5051/", [ONE, TWO]),
        ("https://one:7/x,two:5051/y", ["https://one:7/x", "https://two:5051/y"]),
        ("http://[::1]:5050", ["http://[::1]:5050/api/v1/scheduler"]),
    ],
)
def test_masters_are_read(text: str, urls: list[str]) -> None:
    assert [address.url for address in parse_masters(text)] == urls


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zk://one:2181/mesos", "not ZooKeeper"),
        ("http://user:secret@one:5050", "passwordFile"),
        ("http://one:port", "mesosUrl"),
    ],
)
def test_what_is_no_master_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_masters(text)


def test_a_master_that_leads_elsewhere_is_followed_and_not_in_circles() -> None:
    masters = Masters(parse_masters("https://one:1/path,two:2/path"))
    assert masters.redirect("//leader.example:5050")
    assert masters.current.url == "https://leader.example:5050/path"
    masters.failed()
    assert masters.current.url == "https://one:1/path"
    masters.failed()
    assert masters.current.url == "https://two:2/path"
    assert not masters.redirect("nowhere")
    followed = 0
    while masters.redirect("http://other:1/x"):
        followed += 1
    assert followed == MOST_REDIRECTS


def two_masters() -> House:
    return House(masters=parse_masters("http://one:5050,two:5051/api/v1/scheduler"))


def test_the_leader_is_found() -> None:
    house = two_masters()
    house.master.open_answer = lambda url: None if url == TWO else Reply(307, location="//two:5051")
    house.start()
    assert [url for url, _ in house.master.subscriptions] == [ONE, TWO]
    assert house.master.urls[0] == TWO


def test_the_next_master_is_tried_when_one_is_away() -> None:
    house = two_masters()
    house.master.open_answer = lambda url: Unavailable("away") if url == ONE else None
    house.start()
    assert [url for url, _ in house.master.subscriptions] == [ONE, TWO]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500, 503])
def test_a_refused_subscription_is_tried_again_with_growing_pauses(code: int) -> None:
    house = House()
    house.master.open_answer = lambda url: Reply(code, "no")
    house.start()
    house.pass_time(200)
    assert 35 <= len(house.master.subscriptions) <= 55
    house.master.open_answer = lambda url: None
    house.pass_time(6)
    assert house.backend.state == "CONNECTED"


def test_silence_ends_a_subscription_and_heartbeats_keep_it() -> None:
    house = House()
    house.master.heartbeat_s = 2.0
    house.start()
    for _ in range(10):
        house.pass_time(5)
        house.master.stream.push(Event(type=Event.HEARTBEAT))
    assert len(house.master.streams) == 1
    house.pass_time(8)
    assert not house.master.streams[0].is_open
    assert len(house.master.streams) == 2


def test_a_master_that_never_answers_a_subscription_is_given_up() -> None:
    house = House(timeout_s=3.0)
    house.master.framework_id = ""
    house.start()
    house.pass_time(10)
    assert len(house.master.streams) > 2
    assert house.backend.state == "INITIAL"


def test_events_are_read_in_whatever_pieces_they_come() -> None:
    house = House().start()
    house.launch_one()
    update = Event.Update(status=status("task-1", MesosState.TASK_RUNNING, b"a" * 16))
    data = encode_record(Event(type=Event.UPDATE, update=update).SerializeToString())
    for byte in data * 2:
        house.master.stream.push_bytes(bytes([byte]))
    assert house.observer.states("task-1") == [MesosState.TASK_RUNNING]
    assert len(house.master.of_type(Call.ACKNOWLEDGE)) == 2


@pytest.mark.parametrize("garbage", [b"no length\n", b"3\n\xff\xff\xff", b"99999999999\n"])
def test_garbage_ends_the_subscription_and_not_the_tasks(garbage: bytes) -> None:
    house = House().start()
    house.launch_one()
    house.master.stream.push_bytes(garbage)
    house.pass_time(2)
    assert len(house.master.streams) == 2
    assert house.backend.state == "CONNECTED"
    assert house.observer.updates == []


def test_a_stream_that_is_cut_within_an_event_loses_only_that() -> None:
    house = House().start()
    house.launch_one()
    update = Event.Update(status=status("task-1", MesosState.TASK_RUNNING, b"a" * 16))
    data = encode_record(Event(type=Event.UPDATE, update=update).SerializeToString())
    house.master.stream.push_bytes(data[:-3])
    house.master.stream.cut()
    house.pass_time(2)
    house.master.stream.push_bytes(data)
    assert house.observer.states("task-1") == [MesosState.TASK_RUNNING]


def test_events_after_the_end_of_a_subscription_are_not_heard() -> None:
    house = House().start()
    first = house.master.stream
    first.cut()
    house.pass_time(2)
    update = Event.Update(status=status("task-1", MesosState.TASK_RUNNING, b"a" * 16))
    first.push(Event(type=Event.UPDATE, update=update))
    assert house.observer.updates == []


def test_a_fault_of_an_event_does_not_cost_the_subscription() -> None:
    house = House().start()
    strange = Event.Update(status=status("task-1", MesosState.TASK_RUNNING, b"a" * 16))
    strange.status.ClearField("task_id")
    house.master.stream.push(
        Event(type=Event.UPDATE),
        Event(type=Event.OFFERS),
        Event(type=Event.INVERSE_OFFERS),
        Event(type=Event.UPDATE, update=strange),
    )
    assert house.backend.state == "CONNECTED"


# --- calls ---------------------------------------------------------------------------------------


def test_a_master_that_is_not_ready_is_asked_again() -> None:
    house = House().start()
    answers = [Reply(503, "recovery"), Unavailable("refused"), Reply(202)]
    house.launch_one()
    house.master.answer = lambda call: answers.pop(0) if answers else Reply(202)
    house.backend.kill("task-1", "agent-1")
    house.pass_time(1)
    assert len(house.master.of_type(Call.KILL)) == 3
    assert house.backend.state == "CONNECTED"


def test_stopping_waits_for_nobody() -> None:
    house = House().start()
    house.launch_one()
    house.master.answer = lambda call: Reply(503, "recovery")
    house.backend.kill("task-1", "agent-1")
    results: list[object] = []
    gathering = Deferred.fromCoroutine(house.backend.gather_offers())
    gathering.addErrback(results.append)
    house.run(house.backend.stop(), 0.2)
    assert len(results) == 1
    assert house.clock.getDelayedCalls() == []


def test_a_call_that_fails_after_the_end_is_not_made_again() -> None:
    house = House().start()
    house.launch_one()
    answer: Deferred[Reply] = Deferred()
    house.master.answer = lambda call: answer
    house.backend.kill("task-1", "agent-1")
    house.run(house.backend.stop(), 0.2)
    answer.callback(Reply(503, "recovery"))
    assert house.clock.getDelayedCalls() == []
    assert len(house.master.of_type(Call.KILL)) == 1


def test_a_master_that_is_never_ready_is_left() -> None:
    house = House().start()
    house.launch_one()
    house.master.answer = lambda call: Reply(503, "recovery")
    house.backend.kill("task-1", "agent-1")
    house.pass_time(sum(PAUSES_S) + 2)
    assert len(house.master.streams) > 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(307, location="//other:5050"),
        Reply(403, "Framework is not subscribed"),
        Reply(400, "Framework cannot be found"),
        Reply(400, "The stream ID 'x' included in this request didn't match the stream ID ..."),
    ],
)
def test_a_master_that_does_not_know_us_is_subscribed_with_again(reply: Reply) -> None:
    house = House().start()
    house.launch_one()
    replies = [reply]
    house.master.answer = lambda call: (
        replies.pop() if call.type == Call.KILL and replies else Reply(202)
    )
    house.backend.kill("task-1", "agent-1")
    house.pass_time(3)
    assert len(house.master.streams) == 2
    assert house.backend.state == "CONNECTED"
    assert len(house.master.of_type(Call.KILL)) == 2


def test_a_master_that_never_takes_a_call_is_not_bothered_for_ever() -> None:
    house = House().start()
    house.launch_one()
    house.master.answer = lambda call: (
        Reply(403, "is not subscribed") if call.type == Call.KILL else Reply(202)
    )
    house.backend.kill("task-1", "agent-1")
    house.pass_time(300)
    assert 10 < len(house.master.streams) < 80


def test_calls_do_not_wait_for_answers_of_a_subscription_that_is_over() -> None:
    house = House().start()
    house.launch_one()
    never: Deferred[Reply] = Deferred()
    house.master.answer = lambda call: never if call.type == Call.KILL else Reply(202)
    house.backend.kill("task-1", "agent-1")
    house.backend.send("agent-1", "executor-1", b"1")
    house.master.stream.cut()
    house.master.answer = lambda call: Reply(202)
    house.pass_time(1.5)
    house.backend.send("agent-1", "executor-1", b"2")
    assert [call.message.data for call in house.master.of_type(Call.MESSAGE)] == [b"2"]
    never.callback(Reply(400, "The stream ID ... didn't match"))
    assert house.backend.state == "CONNECTED"


def test_a_wrong_call_is_told_and_costs_nothing_else() -> None:
    house = House().start()
    house.launch_one()
    house.master.answer = lambda call: Reply(400, "Not a valid UUID")
    house.backend.kill("task-1", "agent-1")
    house.pass_time(2)
    assert len(house.master.streams) == 1
    assert len(house.master.of_type(Call.KILL)) == 1


def test_a_call_that_may_have_arrived_is_not_made_twice() -> None:
    house = House().start()
    house.master.answer = lambda call: (
        Unanswered("cut") if call.type == Call.MESSAGE else Reply(202)
    )
    house.launch_one()
    house.backend.send("agent-1", "executor-1", b"{}")
    house.pass_time(10)
    assert len(house.master.of_type(Call.MESSAGE)) == 1
    assert len(house.master.streams) == 2
