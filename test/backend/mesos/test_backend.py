"""The backend with a master that is an object and a clock of ours."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from aliecs.backend.mesos.wire import Reply, Unanswered
from aliecs.errors import OutOfReach, Unavailable
from aliecs.interfaces import ITaskBackend, MesosState, Offer
from aliecs.protocol import mesos_pb2
from aliecs.protocol.combined import COMMANDS, combine_commands, combine_messages, separate
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from aliecs.protocol.message import ExecutorAnnouncement
from test.backend.mesos.house import House, MemoryOfTest, piece, status, task

RUNNING = MesosState.TASK_RUNNING
A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def test_it_is_a_backend() -> None:
    verifyObject(ITaskBackend, House().backend)


# --- subscribing ---------------------------------------------------------------------------------


def test_a_new_framework_is_subscribed_and_remembered() -> None:
    house = House(role="flp", labels=[("a", "b"), ("c", "")], takes_gpus=True).start()
    (url, call), *_ = house.master.subscriptions
    assert url == "http://master.example:5050/api/v1/scheduler"
    info = call.subscribe.framework_info
    assert not call.HasField("framework_id") and not info.HasField("id")
    assert (info.user, info.name, info.role) == ("root", "aliecs", "flp")
    assert (info.checkpoint, info.failover_timeout) == (True, 3_600_000.0)
    kinds = [mesos_pb2.FrameworkInfo.Capability.Type.Name(c.type) for c in info.capabilities]
    assert kinds == ["PARTITION_AWARE", "TASK_KILLING_STATE", "GPU_RESOURCES"]
    assert [(label.key, label.value) for label in info.labels.labels] == [("a", "b"), ("c", "")]
    assert house.backend.framework_id == house.memory.texts["mesos_fid"] == "framework-1"
    assert house.backend.state == "CONNECTED"


def test_a_known_framework_is_taken_up_again() -> None:
    memory = MemoryOfTest()
    memory.texts["mesos_fid"] = "framework-0"
    house = House(memory)
    house.master.framework_id = "framework-0"
    house.start()
    (_, call), *_ = house.master.subscriptions
    assert call.framework_id.value == call.subscribe.framework_info.id.value == "framework-0"
    assert house.master.of_type(Call.RECONCILE)[0].framework_id.value == "framework-0"


def test_without_memory_no_new_framework_is_begun() -> None:
    memory = MemoryOfTest()
    memory.error = Unavailable("the tree is away")
    house = House(memory)
    with pytest.raises(Unavailable, match="would lose all running tasks: the tree is away"):
        house.start()
    assert not house.master.subscriptions


def test_what_cannot_be_remembered_is_remembered_later() -> None:
    house = House()
    refused = Unavailable("the tree is away")
    house.run(house.backend.start(house.observer), 16.0)
    house.memory.error, house.memory.texts = refused, {}
    house.launch_one()
    house.pass_time(35)
    assert house.memory.texts == {}
    house.memory.error = None
    house.pass_time(35)
    assert house.memory.texts.keys() == {"mesos_executors"}


def test_what_could_not_be_remembered_is_tried_once_more_at_the_end() -> None:
    house = House().start()
    house.memory.error = Unavailable("the tree is away")
    house.launch_one()
    house.memory.error = None
    house.run(house.backend.stop())
    assert "mesos_executors" in house.memory.texts
    assert house.clock.getDelayedCalls() == []


def test_a_core_starts_without_a_master_and_finds_it_later() -> None:
    house = House()
    house.master.open_answer = lambda url: Unavailable("nobody listens")
    house.start()
    assert house.backend.state == "INITIAL"
    house.master.open_answer = lambda url: None
    house.pass_time(16)
    assert house.backend.state == "CONNECTED"


def test_losing_the_master_ends_nothing() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", RUNNING, A))
    house.master.stream.cut()
    assert house.backend.state == "ERROR"
    with pytest.raises(Unavailable, match="no connection to a Mesos master"):
        house.backend.send("agent-1", "executor-1", b"{}")
    house.pass_time(2)
    assert house.backend.state == "CONNECTED"
    assert house.observer.states("task-1") == [RUNNING]
    assert house.observer.events == []
    explicit = house.master.of_type(Call.RECONCILE)[-1].reconcile.tasks
    assert [(t.task_id.value, t.agent_id.value) for t in explicit] == [("task-1", "agent-1")]
    assert not house.master.of_type(Call.KILL)


def test_a_removed_framework_is_begun_anew_and_its_tasks_are_gone() -> None:
    house = House().start()
    house.launch_one()
    house.master.framework_id = "framework-2"
    error = Event.Error(message="Framework has been removed")
    house.master.stream.push(Event(type=Event.ERROR, error=error))
    house.pass_time(2)
    _, call = house.master.subscriptions[-1]
    assert not call.HasField("framework_id")
    assert house.observer.states("task-1") == [MesosState.TASK_GONE]
    assert house.backend.framework_id == house.memory.texts["mesos_fid"] == "framework-2"


def test_a_core_that_was_taken_over_stands_aside() -> None:
    house = House().start()
    error = Event.Error(message="Framework failed over")
    house.master.stream.push(Event(type=Event.ERROR, error=error))
    house.pass_time(60)
    assert len(house.master.subscriptions) == 1
    assert house.backend.state == "ERROR"
    assert house.memory.texts["mesos_fid"] == "framework-1"


def test_handing_over_closes_the_stream_and_nothing_else() -> None:
    house = House().start()
    house.launch_one()
    house.run(house.backend.stop())
    assert house.backend.state == "FINAL"
    assert not house.master.stream.is_open and house.master.is_closed
    assert not house.master.of_type(Call.KILL) and not house.master.of_type(Call.TEARDOWN)
    assert house.observer.updates == []
    assert house.clock.getDelayedCalls() == []


def test_teardown_kills_then_ends_the_framework() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", RUNNING, A))

    def answer(call: Call) -> Reply:
        if call.type == Call.KILL:
            killed = status("task-1", MesosState.TASK_KILLED, B)
            house.clock.callLater(1, house.master.update, killed)
        return Reply(202)

    house.master.answer = answer
    house.run(house.backend.teardown())
    assert house.observer.states("task-1") == [RUNNING, MesosState.TASK_KILLED]
    assert house.master.kinds()[-1] == "TEARDOWN"
    assert house.memory.texts["mesos_fid"] == ""
    assert house.clock.getDelayedCalls() == []


def test_teardown_without_a_master_is_refused() -> None:
    house = House().start()
    house.master.open_answer = lambda url: Unavailable("nobody listens")
    house.master.stream.cut()
    with pytest.raises(Unavailable, match="tasks and executors go on"):
        house.run(house.backend.teardown())


# --- offers and launches -------------------------------------------------------------------------


def test_a_launch_is_one_accept_with_everything_in_it() -> None:
    house = House().start()
    house.master.offer(
        piece("o1", cpus=3.0), piece("o2", cpus=1.0, memory_mb=100.0, resources=None)
    )
    (offer,) = house.gather()
    assert (offer.host, offer.address, offer.agent_id) == ("host1", "host1", "agent-1")
    assert (offer.cpus, offer.memory_mb) == (3.5, 4132.0)
    house.backend.accept(offer, [task("task-1"), task("task-2", ports=((30002, 30003),))])
    (accept,) = house.master.of_type(Call.ACCEPT)
    assert [one.value for one in accept.accept.offer_ids] == ["o1", "o2"]
    (operation,) = accept.accept.operations
    first, second = operation.launch.task_infos
    assert first.executor == second.executor
    assert first.executor.executor_id.value == offer.executor_id
    assert first.executor.command.value == "./executor"
    assert first.executor.command.uris[0].executable
    assert {r.name: r.scalar.value for r in first.executor.resources} == {"cpus": 0.5, "mem": 64.0}
    assert {r.name: r.scalar.value for r in first.resources} == {
        "cpus": 1.0, "mem": 100.0, "ports": 0.0
    }  # fmt: skip
    assert first.data == b'{"value":"sleep 1"}'
    assert {label.key: label.value for label in first.labels.labels}["environmentId"] == "env"
    assert first.limits["mem"].value == 200.0 and first.limits["cpus"].value == float("inf")
    (info,) = house.backend.hosts()
    assert (info.cpus, info.cpus_used, info.tasks) == (4.0, 2.5, 2)


def test_the_next_launch_repeats_the_executor_and_books_it_no_more() -> None:
    house = House().start()
    house.launch_one()
    first = house.master.of_type(Call.ACCEPT)[0].accept.operations[0].launch.task_infos[0]
    executor_id = first.executor.executor_id.value
    house.pass_time(3)
    house.master.offer(piece("o2", cpus=2.5, memory_mb=500.0, executors=[executor_id]))
    (offer,) = house.gather()
    assert (offer.cpus, offer.memory_mb, offer.executor_id) == (2.5, 500.0, executor_id)
    house.backend.accept(offer, [task("task-2", ports=((30050, 30050),))])
    second = house.master.of_type(Call.ACCEPT)[1].accept.operations[0].launch.task_infos[0]
    assert second.executor == first.executor


def test_the_next_core_knows_the_executors_of_the_one_before() -> None:
    house = House().start()
    house.launch_one()
    first = house.master.of_type(Call.ACCEPT)[0].accept.operations[0].launch.task_infos[0]
    executor_id = first.executor.executor_id.value
    successor = House(house.memory).start()
    successor.master.offer(piece("o2", executors=[executor_id]))
    (offer,) = successor.gather()
    assert (offer.cpus, offer.executor_id) == (4.0, executor_id)
    successor.backend.accept(offer, [task("task-2")])
    second = successor.master.of_type(Call.ACCEPT)[0].accept.operations[0].launch.task_infos[0]
    assert second.executor == first.executor


def test_an_executor_of_another_version_gets_nothing_and_ends_when_it_is_empty() -> None:
    house = House().start()
    house.master.offer(piece("o1", executors=["executor-of-old"]))
    house.master.update(status("old", RUNNING, A, executor_id="executor-of-old"))
    (offer,) = house.gather()
    assert offer.executor_id != "executor-of-old"
    house.backend.accept(offer, [task("task-1")])
    house.pass_time(60)
    assert not house.master.of_type(Call.SHUTDOWN)
    house.master.update(status("old", MesosState.TASK_KILLED, B, executor_id="executor-of-old"))
    house.pass_time(15)
    assert not house.master.of_type(Call.SHUTDOWN)
    house.pass_time(10)
    (shutdown,) = house.master.of_type(Call.SHUTDOWN)
    assert shutdown.shutdown.executor_id.value == "executor-of-old"
    assert shutdown.shutdown.agent_id.value == "agent-1"


def test_what_does_not_fit_is_told_and_the_rest_is_launched() -> None:
    house = House().start()
    house.master.offer(piece("o1"))
    (offer,) = house.gather()
    too_much, clash = task("task-2", cpus=3.0), task("task-3")
    house.backend.accept(offer, [task("task-1"), too_much, clash])
    house.pass_time(0.1)
    (accept,) = house.master.of_type(Call.ACCEPT)
    launched = accept.accept.operations[0].launch.task_infos
    assert [info.task_id.value for info in launched] == ["task-1"]
    assert house.observer.states("task-2") == [MesosState.TASK_ERROR]
    assert "3 cpus are wanted, 2.5 are left" in house.observer.updates[0].message
    assert "ports 30000-30001" in house.observer.updates[1].message


def test_a_rescinded_offer_launches_nothing() -> None:
    house = House().start()
    house.master.offer(piece("o1"))
    (offer,) = house.gather()
    rescind = Event.Rescind(offer_id=mesos_pb2.OfferID(value="o1"))
    house.master.stream.push(Event(type=Event.RESCIND, rescind=rescind))
    house.backend.accept(offer, [task("task-1")])
    house.pass_time(0.1)
    assert house.observer.states("task-1") == [MesosState.TASK_DROPPED]
    assert not house.master.of_type(Call.ACCEPT)


def test_offers_do_not_outlive_their_subscription() -> None:
    house = House().start()
    house.master.offer(piece("o1"))
    (offer,) = house.gather()
    house.master.stream.cut()
    house.pass_time(2)
    house.backend.accept(offer, [task("task-1")])
    house.pass_time(0.1)
    assert house.observer.states("task-1") == [MesosState.TASK_DROPPED]


def test_what_nobody_wants_is_declined_and_offers_are_suppressed_until_they_are_wanted() -> None:
    house = House(refuse_s=7.0).start()
    house.master.offer(piece("o1"))
    offers = house.gather()
    house.backend.decline(offers)
    again = house.gather()
    assert [offer.offer_id for offer in again] == ["o1"]
    house.backend.decline(again)
    assert not house.master.of_type(Call.DECLINE)
    house.pass_time(7)
    (decline,) = house.master.of_type(Call.DECLINE)
    assert [one.value for one in decline.decline.offer_ids] == ["o1"]
    assert decline.decline.filters.refuse_seconds == 7.0
    assert len(house.master.of_type(Call.SUPPRESS)) == 1

    def answer(call: Call) -> Reply:
        if call.type == Call.REVIVE:
            house.clock.callLater(0.05, house.master.offer, piece("o2"))
        return Reply(202)

    house.master.answer = answer
    assert [offer.offer_id for offer in house.gather()] == ["o2"]
    assert len(house.master.of_type(Call.REVIVE)) == 1


def test_revivals_are_rationed() -> None:
    house = House(revive_burst=2, revive_wait_s=100.0).start()
    house.master.offer(piece("o1"), piece("o2", "agent-2"))
    offers = house.gather()
    house.backend.accept(offers[0], [task("task-1")])
    house.backend.decline(offers[1:])
    for _ in range(4):
        house.backend.decline(house.gather())
    assert len(house.master.of_type(Call.REVIVE)) == 2


def test_offers_cannot_be_had_without_a_master() -> None:
    house = House().start()
    house.master.open_answer = lambda url: Unavailable("nobody listens")
    house.master.stream.cut()
    with pytest.raises(Unavailable, match="no connection to a Mesos master"):
        house.run(house.backend.gather_offers(), 16.0)


def test_who_gathers_waits_for_a_master_that_comes_back() -> None:
    house = House().start()
    house.master.stream.cut()
    house.master.open_answer = lambda url: Unavailable("nobody listens")
    offers = Deferred.fromCoroutine(house.backend.gather_offers())
    house.pass_time(8)
    house.master.open_answer = lambda url: None
    house.pass_time(6)
    house.master.offer(piece("offer-1"))
    house.pass_time(1)
    assert [offer.host for offer in house.result(offers)] == ["host1"]


def test_messages_that_cannot_be_sent_are_told_from_those_that_may_have_arrived() -> None:
    house = House().start()
    house.launch_one()
    house.master.answer = lambda call: Unavailable("no way")
    house.backend.send("agent-1", "executor-1", b"first")
    house.pass_time(20)
    assert [event[:2] for event in house.observer.events] == [("message_not_sent", "executor-1")]
    house.master.answer = lambda call: Unanswered("no answer")
    house.backend.send("agent-1", "executor-1", b"second")
    house.pass_time(1)
    assert len(house.observer.events) == 1
    house.master.open_answer = lambda url: Unavailable("nobody listens")
    house.pass_time(1)
    with pytest.raises(OutOfReach, match="no connection to a Mesos master"):
        house.backend.send("agent-1", "executor-1", b"third")


def test_two_who_gather_do_not_get_the_same() -> None:
    house = House().start()
    house.master.offer(piece("o1"))
    (first,) = house.gather()
    house.master.offer(piece("o2", cpus=1.0))
    assert house.gather() == []
    house.backend.accept(first, [task("task-1")])
    (second,) = house.gather()
    assert (second.offer_id, second.cpus) == ("o2", 1.0)


def test_a_refused_launch_is_told() -> None:
    house = House().start()
    house.master.answer = lambda call: (
        Reply(400, "no good") if call.type == Call.ACCEPT else Reply(202)
    )
    house.launch_one()
    house.pass_time(0.1)
    assert house.observer.states("task-1") == [MesosState.TASK_ERROR]
    assert "no good" in house.observer.updates[0].message
    assert house.backend.state == "CONNECTED"


def test_a_launch_of_which_nothing_is_known_is_asked_for() -> None:
    house = House().start()
    house.master.answer = lambda call: (
        Unanswered("no answer") if call.type == Call.ACCEPT else Reply(202)
    )
    house.launch_one()
    assert house.observer.updates == []
    house.pass_time(2)
    assert house.backend.state == "CONNECTED"
    asked = house.master.of_type(Call.RECONCILE)[-1].reconcile.tasks
    assert [one.task_id.value for one in asked] == ["task-1"]
    gone = status("task-1", MesosState.TASK_GONE, reason="REASON_RECONCILIATION")
    house.master.update(gone)
    assert house.observer.states("task-1") == [MesosState.TASK_GONE]
    assert len(house.master.of_type(Call.ACCEPT)) == 1


def test_what_is_said_of_a_launch_on_its_way_is_not_believed() -> None:
    house = House().start()
    answered: Deferred[Reply] = Deferred()
    house.master.answer = lambda call: answered if call.type == Call.ACCEPT else Reply(202)
    house.launch_one()
    gone = status("task-1", MesosState.TASK_GONE, reason="REASON_RECONCILIATION")
    house.master.update(gone)
    assert house.observer.updates == []
    answered.callback(Reply(202))
    house.master.update(status("task-1", RUNNING, A))
    assert house.observer.states("task-1") == [RUNNING]


def test_calls_about_one_agent_keep_their_order() -> None:
    house = House().start()
    answered: Deferred[Reply] = Deferred()
    house.master.answer = lambda call: answered if call.type == Call.ACCEPT else Reply(202)
    house.launch_one()
    house.backend.kill("task-1", "agent-1")
    assert not house.master.of_type(Call.KILL)
    answered.callback(Reply(202))
    assert len(house.master.of_type(Call.KILL)) == 1


# --- updates -------------------------------------------------------------------------------------


def test_an_update_is_acknowledged_once_it_was_taken() -> None:
    house = House().start()
    house.launch_one()
    house.observer.fails = True
    house.master.update(status("task-1", RUNNING, A))
    assert not house.master.of_type(Call.ACKNOWLEDGE)
    house.observer.fails = False
    house.master.update(status("task-1", RUNNING, A))
    (acknowledge,) = house.master.of_type(Call.ACKNOWLEDGE)
    assert acknowledge.acknowledge.uuid == A
    assert acknowledge.acknowledge.task_id.value == "task-1"
    assert acknowledge.acknowledge.agent_id.value == "agent-1"
    assert house.observer.states("task-1") == [RUNNING]


def test_a_doubled_update_is_acknowledged_again_and_told_once() -> None:
    house = House().start()
    house.launch_one()
    for _ in range(2):
        house.master.update(status("task-1", RUNNING, A))
    for _ in range(2):
        house.master.update(status("task-1", MesosState.TASK_FINISHED, B))
    assert len(house.master.of_type(Call.ACKNOWLEDGE)) == 4
    assert house.observer.states("task-1") == [RUNNING, MesosState.TASK_FINISHED]


def test_what_a_master_makes_up_is_not_acknowledged_and_not_a_death() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", RUNNING, A))
    for state in (MesosState.TASK_LOST, MesosState.TASK_UNKNOWN, MesosState.TASK_UNREACHABLE):
        house.master.update(status("task-1", state, reason="REASON_RECONCILIATION"))
    assert house.observer.states("task-1") == [RUNNING]
    assert len(house.master.of_type(Call.ACKNOWLEDGE)) == 1
    assert house.observer.events == [("agent_unreachable", "agent-1", "host1", "TASK_LOST")]
    with pytest.raises(Unavailable, match="host1 is out of reach"):
        house.backend.send("agent-1", "executor-1", b"{}")
    assert not house.backend.hosts()[0].connected


def test_an_agent_that_returns_is_asked_for_its_tasks() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", RUNNING, A))
    gone = Event.Failure(agent_id=mesos_pb2.AgentID(value="agent-1"))
    house.master.stream.push(Event(type=Event.FAILURE, failure=gone))
    assert house.observer.events[0][:3] == ("agent_unreachable", "agent-1", "host1")
    house.backend.kill("task-1", "agent-1")
    before = len(house.master.calls)
    back = status("task-1", RUNNING, reason="REASON_AGENT_REREGISTERED")
    house.master.update(back)
    house.pass_time(1.1)
    assert house.observer.events[1] == ("agent_returned", "agent-1", "host1")
    assert house.master.kinds()[before:] == ["RECONCILE", "KILL"]
    assert house.observer.states("task-1") == [RUNNING]


def test_a_task_that_has_ended_is_not_lost_afterwards() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", MesosState.TASK_KILLED, A))
    for state in (MesosState.TASK_GONE, MesosState.TASK_LOST, MesosState.TASK_UNKNOWN):
        house.master.update(status("task-1", state, reason="REASON_RECONCILIATION"))
    house.master.update(status("task-1", RUNNING, reason="REASON_RECONCILIATION"))
    assert house.observer.states("task-1") == [MesosState.TASK_KILLED]
    assert house.observer.events == []


def test_tasks_of_somebody_before_us_are_told() -> None:
    house = House().start()
    found = status("old", RUNNING, reason="REASON_RECONCILIATION", agent_id="agent-7")
    house.master.update(found)
    (update,) = house.observer.updates
    assert (update.task_id, update.agent_id, update.state) == ("old", "agent-7", RUNNING)
    house.backend.kill("old", "agent-7")
    assert house.master.of_type(Call.KILL)[0].kill.agent_id.value == "agent-7"


def test_a_kill_is_repeated_until_the_task_has_ended() -> None:
    house = House().start()
    house.launch_one()
    house.backend.kill("task-1", "agent-1")
    house.pass_time(9)
    assert len(house.master.of_type(Call.KILL)) == 1
    house.pass_time(2)
    assert len(house.master.of_type(Call.KILL)) == 2
    house.pass_time(64)
    assert len(house.master.of_type(Call.KILL)) == 4
    house.master.update(status("task-1", MesosState.TASK_KILLED, A))
    house.pass_time(200)
    assert len(house.master.of_type(Call.KILL)) == 4


def test_a_new_master_is_told_of_kills_at_once() -> None:
    house = House().start()
    house.launch_one()
    house.backend.kill("task-1", "agent-1")
    house.pass_time(50)
    before = len(house.master.of_type(Call.KILL))
    house.master.stream.cut()
    house.pass_time(2)
    assert len(house.master.of_type(Call.KILL)) == before + 1


def test_agents_that_nobody_has_heard_of_may_fail() -> None:
    house = House().start()
    gone = Event.Failure(agent_id=mesos_pb2.AgentID(value="agent-9"))
    house.master.stream.push(Event(type=Event.FAILURE, failure=gone))
    assert house.observer.events == [] and house.backend.hosts() == []


def test_a_kill_on_a_machine_that_came_back_as_another_agent_is_over() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", RUNNING, A))
    house.master.update(
        status("task-1", MesosState.TASK_UNREACHABLE, reason="REASON_AGENT_REMOVED")
    )
    again = piece("o2", "agent-2")
    again.hostname = "host1"
    house.master.offer(again)
    house.pass_time(40)
    assert house.observer.states("task-1") == [RUNNING]
    house.backend.kill("task-1", "agent-1")
    house.pass_time(40)
    assert house.observer.states("task-1") == [RUNNING, MesosState.TASK_GONE]
    assert [host.agent_id for host in house.backend.hosts()] == ["agent-2"]


def test_a_kill_of_what_has_ended_is_answered_here() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", MesosState.TASK_FINISHED, A))
    house.backend.kill("task-1", "agent-1")
    house.pass_time(0.1)
    assert house.observer.states("task-1") == [MesosState.TASK_FINISHED] * 2
    assert not house.master.of_type(Call.KILL)


def test_reconciling_tells_what_is_known_already() -> None:
    house = House().start()
    house.launch_one()
    house.master.update(status("task-1", RUNNING, A))
    house.run(house.backend.reconcile({"task-1": "agent-1", "adopted": "agent-2"}))
    asked = house.master.of_type(Call.RECONCILE)[-1].reconcile.tasks
    assert [one.task_id.value for one in asked] == ["task-1", "adopted"]
    for task_id, agent_id in (("task-1", "agent-1"), ("adopted", "agent-2")):
        answer = status(task_id, RUNNING, reason="REASON_RECONCILIATION", agent_id=agent_id)
        house.master.update(answer)
    assert house.observer.states("task-1") == [RUNNING, RUNNING]
    assert house.observer.states("adopted") == [RUNNING]


def test_tasks_of_which_nothing_is_heard_are_asked_for() -> None:
    house = House().start()
    house.launch_one()
    before = len(house.master.of_type(Call.RECONCILE))
    house.pass_time(65)
    assert len(house.master.of_type(Call.RECONCILE)) > before
    house.master.update(status("task-1", RUNNING, A))
    before = len(house.master.of_type(Call.RECONCILE))
    house.pass_time(100)
    assert len(house.master.of_type(Call.RECONCILE)) == before


# --- executors -----------------------------------------------------------------------------------


def test_messages_go_both_ways() -> None:
    house = House().start()
    house.launch_one()
    house.backend.send("agent-1", "executor-1", b"\x00down")
    question, sent = house.master.of_type(Call.MESSAGE)
    assert question.message.data == combine_commands([])
    assert sent.message.data == b"\x00down"
    assert (sent.message.agent_id.value, sent.message.executor_id.value) == (
        "agent-1", "executor-1",
    )  # fmt: skip
    up = Event.Message(
        agent_id=mesos_pb2.AgentID(value="agent-1"),
        executor_id=mesos_pb2.ExecutorID(value="executor-1"),
        data=b"\xffup",
    )
    house.master.stream.push(Event(type=Event.MESSAGE, message=up))
    assert house.observer.messages == [("agent-1", "executor-1", b"\xffup")]
    # It is asked once; nothing was answered.
    house.backend.send("agent-1", "executor-1", b"{}")
    assert [one.message.data for one in house.master.of_type(Call.MESSAGE)[2:]] == [b"{}"]


def say(house: House, data: bytes) -> None:
    """An executor says something."""
    message = Event.Message(
        agent_id=mesos_pb2.AgentID(value="agent-1"),
        executor_id=mesos_pb2.ExecutorID(value="executor-1"),
        data=data,
    )
    house.master.stream.push(Event(type=Event.MESSAGE, message=message))


def test_messages_to_an_executor_of_ours_go_together() -> None:
    house = House().start()
    house.launch_one()
    say(house, ExecutorAnnouncement(version=1, commands=(COMMANDS,)).encode())
    house.observer.messages.clear()
    held: Deferred[Reply] = Deferred()
    house.master.answer = lambda call: held
    for data in (b'{"a":1}', b'{"b":2}', b'{"c":3}'):
        house.backend.send("agent-1", "executor-1", data)
    (first,) = house.master.of_type(Call.MESSAGE)
    assert separate(first.message.data) == [b'{"a":1}']
    house.master.answer = lambda call: Reply(202)
    held.callback(Reply(202))
    _, second = house.master.of_type(Call.MESSAGE)
    assert separate(second.message.data) == [b'{"b":2}', b'{"c":3}']
    # It answers likewise.
    say(house, combine_messages([b'{"d":4}', b'{"e":5}']))
    assert [data for _, _, data in house.observer.messages] == [b'{"d":4}', b'{"e":5}']
    # What does not leave is told, one by one.
    house.master.answer = lambda call: Reply(400, "no")
    for data in (b'{"f":6}', b'{"g":7}'):
        house.backend.send("agent-1", "executor-1", data)
    assert [data for _, data, _ in house.observer.not_sent] == [b'{"f":6}', b'{"g":7}']


@pytest.mark.parametrize(
    ("wait_status", "words"),
    [(768, "exit code 3"), (9, "killed by SIGKILL"), (35072, "SIGKILL, says the shell"),
     (32512, "not found"), (0, "exit code 0")],
)  # fmt: skip
def test_an_executor_that_ends_is_told(wait_status: int, words: str) -> None:
    house = House().start()
    house.launch_one()
    offer_executor = house.backend.hosts()[0].executor_id
    failure = Event.Failure(
        agent_id=mesos_pb2.AgentID(value="agent-1"),
        executor_id=mesos_pb2.ExecutorID(value=offer_executor),
        status=wait_status,
    )
    house.master.stream.push(Event(type=Event.FAILURE, failure=failure))
    (event,) = house.observer.events
    assert event[:4] == ("executor_lost", "agent-1", offer_executor, "host1")
    assert words in event[4]
    with pytest.raises(Unavailable, match="has ended"):
        house.backend.send("agent-1", offer_executor, b"{}")
    house.pass_time(3)
    house.master.offer(piece("o2"))
    (offer,) = house.gather()
    assert offer.executor_id != offer_executor and offer.cpus == 3.5


def test_an_agent_that_cannot_carry_an_executor_is_not_offered() -> None:
    house = House().start()
    house.master.offer(piece("o1", memory_mb=32.0))
    assert house.gather() == []
    assert [host.name for host in house.backend.hosts()] == ["host1"]


def test_attributes_of_all_kinds_are_text() -> None:
    text = mesos_pb2.Attribute(
        name="detector", type=mesos_pb2.Value.TEXT, text=mesos_pb2.Value.Text(value="TST")
    )
    rack = mesos_pb2.Attribute(
        name="rack", type=mesos_pb2.Value.SCALAR, scalar=mesos_pb2.Value.Scalar(value=1.0)
    )
    library = mesos_pb2.Attribute(
        name="executor_env_LD_LIBRARY_PATH",
        type=mesos_pb2.Value.TEXT,
        text=mesos_pb2.Value.Text(value="/lib64"),
    )
    house = House().start()
    house.master.offer(piece("o1", attributes=[text, rack, library]))
    (offer,) = house.gather()
    assert offer.attributes["detector"] == "TST" and offer.attributes["rack"] == "1"
    house.backend.accept(offer, [task("task-1")])
    (accept,) = house.master.of_type(Call.ACCEPT)
    command = accept.accept.operations[0].launch.task_infos[0].executor.command
    variables = [(v.name, v.value) for v in command.environment.variables]
    assert variables == [("LD_LIBRARY_PATH", "/lib64")]


def test_an_offer_of_another_core_is_worth_nothing() -> None:
    house = House().start()
    foreign = Offer("x", "agent-9", "h", "h", {}, 1.0, 1.0, (), "e")
    house.backend.decline([foreign])
    house.backend.accept(foreign, [task("task-1")])
    house.pass_time(0.1)
    assert house.observer.states("task-1") == [MesosState.TASK_DROPPED]
