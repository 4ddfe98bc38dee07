"""Environments that run by themselves, and the streams that tell of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aliecs.protocol.protos import events_pb2, o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
SHORT = {"blocks_per_run": "5", "block_rate": "100"}
GOOD = [
    ("DEPLOYED", ""),
    ("CONFIGURED", ""),
    ("RUNNING", ""),
    ("CONFIGURED", ""),
    ("RESET", ""),
    ("DONE", "teardown complete"),
    ("DONE", "environment teardown complete"),
]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    hosts = ["one", "two", "flp001", "flp002", "epn001"]
    folder = tmp_path_factory.mktemp("automatic")
    with RunningCore(folder, hosts=hosts, workflows=BASE) as running:
        yield running


def begin(core: RunningCore, name: str, template: str, **variables: str) -> None:
    request = o2control_pb2.NewAutoEnvironmentRequest(
        id=name, workflowTemplate=template, vars=variables
    )
    request.requestUser.name = "tester"
    assert core.control_stub.NewAutoEnvironment(request, deadline_s=10).timestamp > 0


def read(core: RunningCore, name: str, deadline_s: float = 60) -> list[events_pb2.Event]:
    """The whole stream, to its end."""
    request = o2control_pb2.SubscribeRequest(id=name)
    return list(core.control_stub.Subscribe(request, deadline_s=deadline_s))


def of_environment(events: list[events_pb2.Event]) -> list[Any]:
    return [e.environmentEvent for e in events if e.HasField("environmentEvent")]


def test_one_run_from_begin_to_end(core: RunningCore) -> None:
    begin(core, "good", DEMO, **SHORT)
    events = read(core, "good")
    told = of_environment(events)
    assert [(one.state, one.message) for one in told] == GOOD
    (environment_id,) = {one.environmentId for one in told}
    assert [bool(one.runNumber) for one in told] == [one.state == "RUNNING" for one in told]
    assert all(event.timestamp and not event.timestampNano for event in events)
    tasks = [event.taskEvent for event in events if event.HasField("taskEvent")]
    for task_id in {task.taskid for task in tasks}:
        mine = [task for task in tasks if task.taskid == task_id]
        assert mine[0].state == "LAUNCHED" and mine[0].hostname and mine[0].className
        assert all(bool(task.state) != bool(task.status) for task in mine)
        assert "RUNNING" in [task.state for task in mine] or "say" in mine[0].className
    roles = [event.roleEvent for event in events if event.HasField("roleEvent")]
    assert ("demo", "RUNNING") in [(role.rolePath, role.state) for role in roles]
    record = core.record(environment_id)
    assert record.state == "DONE"
    assert record.transitions[0].requested_by == "tester"
    assert environment_id not in [one.id for one in core.environments()]


def test_the_stream_may_be_asked_for_first(core: RunningCore) -> None:
    events: list[events_pb2.Event] = []
    reader = threading.Thread(target=lambda: events.extend(read(core, "early")))
    reader.start()
    begin(core, "early", DEMO, **SHORT)
    reader.join(60)
    assert [one.state for one in of_environment(events)] == [state for state, _ in GOOD]


def test_what_cannot_be_loaded_is_told_and_ends_it(core: RunningCore) -> None:
    for name, template in (("missing", "builtin/workflows/nothing@main"), ("empty", "")):
        begin(core, name, template)
        (told,) = of_environment(read(core, name))
        assert told.error and not told.state and not told.message


def test_one_that_fails_on_the_way(core: RunningCore) -> None:
    begin(core, "failing", core.template("pair"), fail_in="start")
    told = of_environment(read(core, "failing"))
    assert [one.state for one in told if one.state][:2] == ["DEPLOYED", "CONFIGURED"]
    (failure,) = [one for one in told if one.error]
    assert failure.message.endswith(", handling ERROR")
    assert "pair." in failure.error
    assert [one.message for one in told[-2:]] == [message for _, message in GOOD[-2:]]
    assert core.environments() == []


def test_one_that_somebody_else_destroys(core: RunningCore) -> None:
    begin(core, "outside", core.template("pair"))
    (environment,) = core.wait_until(core.environments, 20, "it is there")
    core.reaches(environment.id, "RUNNING", 20)
    core.destroy(environment.id, force=True)
    assert of_environment(read(core, "outside"))[-1].message == "environment teardown complete"


def test_a_reader_that_goes_away_ends_nothing(core: RunningCore) -> None:
    begin(core, "left", core.template("pair"))
    with pytest.raises(RpcError) as problem:
        read(core, "left", deadline_s=1.5)
    assert problem.value.status == "DEADLINE_EXCEEDED"
    (environment,) = core.environments()
    core.reaches(environment.id, "RUNNING", 20)
    # The rest is for the next one.
    os.kill(core.pid(environment.id, "pair.needed"), signal.SIGKILL)
    told = of_environment(read(core, "left"))
    assert any(one.error for one in told)
    assert told[-1].message == "environment teardown complete"


def test_coconut_follows_it(core: RunningCore) -> None:
    pairs = ",".join(f"{key}={value}" for key, value in SHORT.items())
    followed = core.coconut("environment", "create", "-w", "demo", "--auto", "-e", pairs)
    lines = [line for line in followed.stdout.splitlines() if line.startswith("environment")]
    assert lines[-1].endswith("environment teardown complete  DONE")
    failed = core.coconut("environment", "create", "-w", "nothing", "--auto", check=False)
    assert failed.returncode == 1
