"""Hosts, masters and connections of a Mesos cluster fail, while a core with real tasks is at work.

What the tests show stands in docs/faults.md. All of them share one core and one cluster; each has
an environment of its own, and leaves the cluster as it was.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from aliecs.backend.ports import PortClaims
from aliecs.txgrpc.status import RpcError
from test.end_to_end.mesos import MesosCore
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end

NEEDED, OTHER = "duo.needed", "duo.other"
GRACE_S = 3
"""How long a host may be out of reach here; 120 s by default."""
LIMIT_S = 8
"""How long a transition may take here; 90 s by default."""
DEADLINE_S = 25
TRANSITIONS = ["configure", "start", "stop"]
"""What a puppet writes down, where each order has reached it once."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MesosCore]:
    folder = tmp_path_factory.mktemp("mesos-faults")
    settings = {"agentGrace": f"{GRACE_S}s", "transitionTimeout": f"{LIMIT_S}s"}
    with MesosCore(folder, settings=settings, workflows=BASE) as running:
        ports = PortClaims().claim()
        running.add_agent("three", f"{ports.first}-{ports.last}")
        yield running
        ports.release()
    assert "Traceback" not in running.log()


@pytest.fixture
def core(shared: MesosCore) -> Iterator[MesosCore]:
    """The core; after the test nothing may be left of it."""
    yield shared
    shared.cluster.order("behave")
    for environment in shared.environments():
        shared.destroy(environment.id, force=True)
    shared.wait_until(lambda: not shared.tasks(), DEADLINE_S, "no task is left")
    assert not puppets(shared)


@pytest.fixture
def running(core: MesosCore) -> str:
    """The id of a RUNNING environment of `duo`."""
    return start(core, create(core))


def create(core: MesosCore, **variables: str) -> str:
    """A CONFIGURED environment."""
    environment = core.create(core.template("duo"), **variables)
    assert environment.state == "CONFIGURED"
    return str(environment.id)


def start(core: MesosCore, environment_id: str) -> str:
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    return environment_id


def check_another_runs(core: MesosCore) -> None:
    """Whoever comes next finds a cluster that works."""
    environment_id = start(core, create(core))
    assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED"
    core.destroy(environment_id)


def check_cause(core: MesosCore, environment_id: str, *parts: str) -> None:
    """The cause is one line with these parts."""
    line = core.record(environment_id).cause.line
    assert "\n" not in line
    for part in parts:
        assert part in line, line


def warning(core: MesosCore, environment_id: str, *parts: str) -> None:
    """Wait for a warning with these parts."""

    def told() -> bool:
        warnings = core.record(environment_id).warnings
        return any(all(part in text for part in parts) for text in warnings)

    core.wait_until(told, DEADLINE_S, f"a warning with {parts}")


def subscriptions(core: MesosCore) -> int:
    return core.log().count("subscribed with the Mesos master")


def subscribed_again(core: MesosCore, before: int) -> None:
    core.wait_until(lambda: subscriptions(core) > before, DEADLINE_S, "another subscription")


def puppets(core: MesosCore) -> set[int]:
    """All processes of tasks."""
    return {pid for pid, text in core.processes() if "puppet.py" in text}


def transitions_of(core: MesosCore, environment_id: str, path: str) -> list[str]:
    """What the puppet of a role did."""
    return core.task_log(core.task(environment_id, path).taskId)


# --- hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["one", "two"])
def test_an_agent_is_gone_for_a_minute(core: MesosCore, running: str, host: str) -> None:
    run, pids = core.environment(running).currentRunNumber, core.pids(running, NEEDED, OTHER)
    core.cluster.order("restart-agent", agent=host, away_s=8)
    warning(core, running, f"host {host} is out of reach", "may go on", "count as lost in 3 s")
    warning(core, running, f"host {host} is back after")
    seen = core.environment(running)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert core.pids(running, NEEDED, OTHER) == pids
    assert not core.record(running).HasField("cause")
    assert core.control(running, "STOP_ACTIVITY").state == "CONFIGURED"
    assert transitions_of(core, running, NEEDED) == TRANSITIONS
    core.destroy(running)


def test_an_agent_with_a_critical_task_is_gone_for_good(core: MesosCore, running: str) -> None:
    needed, other = core.pids(running, NEEDED, OTHER)
    core.cluster.order("kill-agent", agent="one")
    core.reaches(running, "ERROR", DEADLINE_S)
    check_cause(core, running, NEEDED, "host one", f"out of reach for {GRACE_S} s")
    assert core.environment(running).currentRunNumber == 0
    assert (core.pid(running, OTHER), core.task(running, OTHER).state) == (other, "CONFIGURED")
    with pytest.raises(RpcError) as problem:
        core.destroy(running)
    for part in ("could not kill some tasks", NEEDED, "is ended when that is back"):
        assert part in problem.value.message
    assert running not in {one.id for one in core.environments()}
    assert core.has_left(other)
    assert not core.has_left(needed)
    # It comes back after all: what was ordered is done now.
    core.cluster.order("start-agent", agent="one")
    core.wait_until(lambda: core.has_left(needed), DEADLINE_S, "the task is ended")
    check_another_runs(core)


def test_an_agent_with_a_task_that_is_not_critical_is_gone_for_good(
    core: MesosCore, running: str
) -> None:
    run, needed = core.environment(running).currentRunNumber, core.pid(running, NEEDED)
    core.cluster.order("kill-agent", agent="two")
    warning(core, running, OTHER, "not critical", f"host two has been out of reach for {GRACE_S} s")
    seen = core.environment(running)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert core.control(running, "STOP_ACTIVITY").state == "CONFIGURED"
    warning(core, running, "STOP failed, not critical", OTHER, "host two", "out of reach")
    assert core.pid(running, NEEDED) == needed
    # What comes back takes part again.
    core.cluster.order("start-agent", agent="two")
    warning(core, running, "host two is back")
    core.destroy(running)


def test_an_operator_tells_mesos_that_an_agent_is_gone(core: MesosCore) -> None:
    environment_id = start(core, create(core, host="three"))
    needed, other = core.pids(environment_id, NEEDED, OTHER)
    core.cluster.order("mark-gone", agent="three")
    core.reaches(environment_id, "ERROR", DEADLINE_S)
    check_cause(core, environment_id, NEEDED, "host three", "Agent has been marked gone")
    core.wait_until(lambda: core.has_left(needed), DEADLINE_S, "Mesos ends what is left there")
    assert core.pid(environment_id, OTHER) == other
    core.destroy(environment_id)


def test_an_executor_is_killed(core: MesosCore, running: str) -> None:
    needed, other = core.pids(running, NEEDED, OTHER)
    os.kill(core.executor("one"), signal.SIGKILL)
    core.reaches(running, "ERROR", DEADLINE_S)
    check_cause(core, running, NEEDED, "host one", "executor", "SIGKILL")
    core.wait_until(lambda: core.has_left(needed), DEADLINE_S, "its task has died with it")
    assert core.pid(running, OTHER) == other
    core.recover(running)
    assert core.environment(running).state == "DEPLOYED"
    assert core.pid(running, OTHER) == other
    core.destroy(running)
    check_another_runs(core)


def test_an_executor_of_a_task_that_is_not_critical_is_killed(
    core: MesosCore, running: str
) -> None:
    run = core.environment(running).currentRunNumber
    needed, other = core.pids(running, NEEDED, OTHER)
    os.kill(core.executor("two"), signal.SIGKILL)
    warning(core, running, OTHER, "host two", "not critical", "executor")
    core.wait_until(lambda: core.has_left(other), DEADLINE_S, "its task has died with it")
    seen = core.environment(running)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert core.control(running, "STOP_ACTIVITY").state == "CONFIGURED"
    assert core.pid(running, NEEDED) == needed
    core.destroy(running)
    check_another_runs(core)


# --- masters -------------------------------------------------------------------------------------


def test_a_transition_is_asked_for_while_the_master_is_away(core: MesosCore, running: str) -> None:
    run, pids = core.environment(running).currentRunNumber, core.pids(running, NEEDED, OTHER)
    before = subscriptions(core)
    core.cluster.order("kill-master")
    stopping = core.later(core.control, running, "STOP_ACTIVITY")
    core.wait_until(lambda: "STOP is held back for up to 15 s" in core.log(), 5, "it is held")
    seen = core.environment(running)
    assert (seen.state, seen.currentTransition, seen.currentRunNumber) == (
        "RUNNING", "STOP_ACTIVITY", run,
    )  # fmt: skip
    core.cluster.order("start-master")
    assert stopping.result(DEADLINE_S).state == "CONFIGURED"
    assert subscriptions(core) == before + 1
    assert core.pids(running, NEEDED, OTHER) == pids
    assert transitions_of(core, running, NEEDED) == TRANSITIONS
    assert not core.record(running).HasField("cause")
    core.destroy(running)


def test_the_master_stays_away_for_longer_than_a_transition_may_take(
    core: MesosCore, running: str
) -> None:
    pids, before = core.pids(running, NEEDED, OTHER), subscriptions(core)
    core.cluster.order("kill-master")
    reply = core.control(running, "STOP_ACTIVITY")
    assert reply.state == "ERROR"
    check_cause(
        core, running, "STOP", NEEDED, "host one", f"no answer within {LIMIT_S} s",
        "it cannot be told", "no connection to a Mesos master",
    )  # fmt: skip
    core.cluster.order("start-master")
    subscribed_again(core, before)
    assert core.pids(running, NEEDED, OTHER) == pids
    core.destroy(running)
    check_another_runs(core)


def test_the_master_is_restarted_in_the_middle_of_a_transition(core: MesosCore) -> None:
    environment_id = create(core, start_s="1")
    pids = core.pids(environment_id, NEEDED, OTHER)
    before = subscriptions(core)
    starting = core.later(core.control, environment_id, "START_ACTIVITY")
    core.wait_until(
        lambda: "start" in transitions_of(core, environment_id, NEEDED), 10, "the task is at it"
    )
    # It is back when the task has answered: to nobody.
    core.cluster.order("restart-master", away_s=12)
    subscribed_again(core, before)
    assert starting.result(DEADLINE_S).state == "RUNNING"
    assert transitions_of(core, environment_id, NEEDED) == ["configure", "start"]
    assert core.pids(environment_id, NEEDED, OTHER) == pids
    assert not core.record(environment_id).HasField("cause")
    core.destroy(environment_id, allowInRunningState=True)


def test_a_deployment_is_asked_for_while_the_master_is_away(core: MesosCore) -> None:
    before = subscriptions(core)
    core.cluster.order("kill-master")
    creating = core.later(create, core)
    core.wait_until(lambda: core.environments(), 10, "DEPLOY waits")
    core.cluster.order("start-master")
    start(core, creating.result(DEADLINE_S))
    assert subscriptions(core) == before + 1


def test_the_master_is_restarted_while_tasks_come_up(core: MesosCore) -> None:
    before = subscriptions(core)
    creating = core.later(create, core, options="--late 1.5")
    core.wait_until(lambda: len(puppets(core)) == 2, 10, "both are launched")
    pids = puppets(core)
    core.cluster.order("restart-master", away_s=5)
    environment_id = creating.result(DEADLINE_S)
    assert subscriptions(core) == before + 1
    assert set(core.pids(environment_id, NEEDED, OTHER)) == pids
    start(core, environment_id)


@pytest.mark.parametrize("action", ["drop", "refuse"])
def test_a_launch_is_done_and_not_confirmed_or_taken_a_little_later(
    core: MesosCore, action: str
) -> None:
    core.cluster.misbehave(action, "ACCEPT")
    environment_id = start(core, create(core))
    assert len(puppets(core)) == 2
    core.destroy(environment_id)


def test_the_master_dies_over_a_launch(core: MesosCore) -> None:
    core.cluster.misbehave("ignore", "ACCEPT", count=2)
    creating = core.later(create, core)
    core.wait_until(lambda: len(core.tasks()) == 2, 10, "both are ordered")
    (environment,) = core.environments()
    core.cluster.order("restart-master")
    with pytest.raises(RpcError) as problem:
        creating.result(DEADLINE_S)
    for part in ("DEPLOY", NEEDED, "host one"):
        assert part in problem.value.message
    check_cause(core, environment.id, "DEPLOY", NEEDED, "host one", "the launch or the end was")
    assert not puppets(core)
    check_another_runs(core)


def test_another_master_is_elected(core: MesosCore, running: str) -> None:
    run, pids = core.environment(running).currentRunNumber, core.pids(running, NEEDED, OTHER)
    before = subscriptions(core)
    core.cluster.order("elect", number=1)
    subscribed_again(core, before)
    seen = core.environment(running)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    stopping = core.later(core.control, running, "STOP_ACTIVITY")
    core.cluster.order("elect", number=0)
    assert stopping.result(DEADLINE_S).state == "CONFIGURED"
    assert core.pids(running, NEEDED, OTHER) == pids
    assert transitions_of(core, running, NEEDED) == TRANSITIONS
    core.destroy(running)


# --- the wire ------------------------------------------------------------------------------------


def test_the_stream_is_cut_in_the_middle_of_a_record(core: MesosCore, running: str) -> None:
    pids = core.pids(running, NEEDED, OTHER)
    before = subscriptions(core)
    core.cluster.misbehave("cut", "MESSAGE")
    assert core.control(running, "STOP_ACTIVITY").state == "CONFIGURED"
    subscribed_again(core, before)
    assert "in the middle of an event" in core.log()
    assert core.pids(running, NEEDED, OTHER) == pids
    assert transitions_of(core, running, NEEDED) == TRANSITIONS
    core.destroy(running)


WIRE = {
    "an answer is lost before the core": ("lose", "MESSAGE", ""),
    "an answer comes twice": ("double", "MESSAGE", ""),
    "answers come in another order": ("reorder", "MESSAGE", ""),
    "a command is lost before the agent": ("ignore", "MESSAGE", ""),
    "a command arrives, its confirmation does not": ("drop", "MESSAGE", ""),
    "the master does not answer a command": ("refuse", "MESSAGE", ""),
    "a command is lost before the executor": ("lose", "MESSAGE", "one"),
    "a command comes twice": ("double", "MESSAGE", "one"),
    "an executor's answer is lost in the agent": ("ignore", "MESSAGE", "one"),
    "an executor's answer is taken and not confirmed": ("drop", "MESSAGE", "one"),
}


def test_messages_do_not_arrive_as_they_were_sent(core: MesosCore) -> None:
    environment_id = create(core)
    pids = core.pids(environment_id, NEEDED, OTHER)
    did = ["configure"]
    for what, (action, kind, agent) in WIRE.items():
        core.cluster.misbehave(action, kind, agent, count=2 if action == "reorder" else 1)
        assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING", what
        assert core.task(environment_id, NEEDED).state == "RUNNING", what
        assert core.task(environment_id, OTHER).state == "RUNNING", what
        core.cluster.order("behave")
        assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED", what
        did += ["start", "stop"]
        assert transitions_of(core, environment_id, NEEDED) == did, what
        assert transitions_of(core, environment_id, OTHER) == did, what
    assert core.pids(environment_id, NEEDED, OTHER) == pids
    record = core.record(environment_id)
    assert not record.HasField("cause")
    assert not record.warnings
    core.destroy(environment_id)


def test_the_end_of_a_hook_is_lost(core: MesosCore) -> None:
    environment = core.create(core.template("pair"))
    # That it was started, and that it has ended: of both hooks.
    core.cluster.misbehave("ignore", "MESSAGE", "two", count=4)
    assert core.control(environment.id, "START_ACTIVITY").state == "RUNNING"
    record = core.record(environment.id)
    assert not record.HasField("cause")
    assert not record.warnings
    core.destroy(environment.id, allowInRunningState=True)


UPDATES = {
    "lost": ("lose", {"count": 1}),
    "doubled": ("double", {"count": 4}),
    "late": ("delay", {"seconds": 5}),
    "reordered": ("reorder", {"count": 2}),
}


@pytest.mark.parametrize("what", UPDATES)
def test_updates_do_not_arrive_as_they_were_sent(core: MesosCore, what: str) -> None:
    action, more = UPDATES[what]
    core.cluster.misbehave(action, "UPDATE", **more)
    environment_id = start(core, create(core))
    run = core.environment(environment_id).currentRunNumber
    core.cluster.misbehave(action, "UPDATE", **more)
    os.kill(core.pid(environment_id, OTHER), signal.SIGKILL)
    warning(core, environment_id, OTHER, "not critical", "killed by SIGKILL")
    warnings = [w for w in core.record(environment_id).warnings if "SIGKILL" in w]
    assert len(warnings) == 1
    assert core.environment(environment_id).currentRunNumber == run
    core.destroy(environment_id)


# --- the core is cut off -------------------------------------------------------------------------


def cut_off(core: MesosCore) -> None:
    """Nothing goes between the core and its master any more, and neither is told."""
    core.cluster.order("silence-master")
    core.cluster.order("suspend-master")


def silence(core: MesosCore) -> int:
    """How often the core has noticed that the master is silent."""
    return core.log().count("nothing was heard of the master")


def test_the_core_is_cut_off_during_a_transition(core: MesosCore) -> None:
    environment_id = create(core, start_s="1")
    pids = core.pids(environment_id, NEEDED, OTHER)
    before, silences = subscriptions(core), silence(core)
    cut_off(core)
    asked = core.later(core.control, environment_id, "START_ACTIVITY")
    core.wait_until(lambda: silence(core) > silences, DEADLINE_S, "the silence is noticed")
    core.cluster.order("resume-master")
    subscribed_again(core, before)
    assert asked.result(DEADLINE_S).state == "RUNNING"
    assert core.pids(environment_id, NEEDED, OTHER) == pids
    assert transitions_of(core, environment_id, NEEDED) == ["configure", "start"]
    core.destroy(environment_id)


def test_the_core_is_cut_off_during_a_deployment(core: MesosCore) -> None:
    before, silences = subscriptions(core), silence(core)
    creating = core.later(create, core, options="--late 1")
    core.wait_until(lambda: len(puppets(core)) == 2, 10, "both are launched")
    cut_off(core)
    core.wait_until(lambda: silence(core) > silences, DEADLINE_S, "the silence is noticed")
    core.cluster.order("resume-master")
    start(core, creating.result(DEADLINE_S))
    assert subscriptions(core) > before
