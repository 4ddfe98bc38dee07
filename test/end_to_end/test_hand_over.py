"""The end of the core itself: asked for or not, tasks go on, and the core that follows knows."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def core(tmp_path: Path) -> Iterator[RunningCore]:
    with RunningCore(tmp_path, hosts=["one", "two"], workflows=BASE) as running:
        yield running


def start_run(core: RunningCore) -> tuple[str, int]:
    """An environment of `pair` in a run: id and run number."""
    environment_id = core.create(core.template("pair")).id
    return environment_id, core.control(environment_id, "START_ACTIVITY").currentRunNumber


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_tasks_go_on_and_the_next_core_tells_what_was_lost(
    core: RunningCore, number: signal.Signals
) -> None:
    ended_id, _ = start_run(core)
    core.destroy(ended_id, allowInRunningState=True)
    lost_id, lost_run = start_run(core)
    assert core.process is not None
    mine = core.process.pid
    before = dict(core.processes())
    del before[mine]
    assert sum("puppet.py" in text for text in before.values()) == 2
    assert sum("aliecs.executor.main" in text for text in before.values()) == 2

    # What was only seen is written within milliseconds; what was intended is written already.
    time.sleep(0.1)
    status = core.stop(number)
    # What a shell, and the service manager, call 143: it ended in order and then by the signal.
    assert status == -number
    assert ("Server Shut Down." in core.log()) == (number == signal.SIGTERM)
    assert dict(core.processes()) == before

    core.start()
    after = dict(core.processes())
    assert not before.keys() & after.keys(), "what the predecessor left has ended"
    assert (core.environments(), core.tasks()) == ([], [])
    record = core.record(lost_id)
    assert record.state == "ERROR"
    assert record.cause.line.startswith("lost with the core")
    assert list(record.run_numbers) == [lost_run]
    assert [one.event for one in record.transitions] == ["DEPLOY", "CONFIGURE", "START_ACTIVITY"]
    assert record.ended_ms >= record.transitions[-1].ended_ms > 0
    assert core.record(ended_id).state == "DONE"
    assert lost_id in core.log()

    # Run numbers go on, and so does everything else.
    _, run = start_run(core)
    assert run > lost_run


def test_what_was_under_way_is_told_and_no_run_number_is_given_twice(core: RunningCore) -> None:
    starting = core.create(core.template("pair"), start_s="2").id
    request = o2control_pb2.NewEnvironmentRequest(
        workflowTemplate=core.template("pair"), vars={"configure_s": "4"}
    )
    configuring = core.control_stub.NewEnvironmentAsync(request, deadline_s=10).environment.id

    def under_way(event: str) -> bool:
        return event in [e.currentTransition for e in core.environments()]

    core.wait_until(lambda: under_way("CONFIGURE"), 10, "CONFIGURE is under way")
    start = o2control_pb2.ControlEnvironmentRequest(id=starting, type="START_ACTIVITY")
    with pytest.raises(RpcError):
        core.control_stub.ControlEnvironment(start, deadline_s=0.3)
    assert under_way("START_ACTIVITY")
    assert under_way("CONFIGURE")
    core.stop(signal.SIGKILL)
    core.start()
    for environment_id, event in ((starting, "START_ACTIVITY"), (configuring, "CONFIGURE")):
        record = core.record(environment_id)
        assert record.state == "ERROR"
        assert record.cause.line.startswith(f"lost with the core, during {event}")
    (lost_run,) = core.record(starting).run_numbers
    assert start_run(core)[1] > lost_run


def test_executors_without_a_core_end_by_themselves(tmp_path: Path) -> None:
    core = RunningCore(tmp_path, hosts=["one"], settings={"recoveryTimeout": "1s"}, workflows=BASE)
    with core:
        core.create("builtin/workflows/minimal@main")
        core.stop(signal.SIGKILL)
        assert any("aliecs.executor.main" in text for _, text in core.processes())
        deadline_s = 15
        core.process = None
        core.wait_until(lambda: not list(core.processes()), deadline_s, "nothing is left")
