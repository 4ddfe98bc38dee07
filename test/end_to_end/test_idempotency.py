"""Requests that are sent twice and done once, over both faces and over a restart of the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end

KEY = "aliecs-idempotency-key"


def ask(stub: Any, method: str, request: Any, key: str) -> tuple[Any, Any]:
    """A call with a key: reply and trailing metadata."""
    return getattr(stub, method).answer(
        request, deadline_s=CALL_DEADLINE_S, metadata={KEY: key}
    )


def creation(core: RunningCore, user: str = "tester", **variables: str) -> Any:
    request = o2control_pb2.NewEnvironmentRequest(
        workflowTemplate=core.template("duo"), vars=variables
    )
    request.requestUser.name = user
    return request


def operations(core: RunningCore) -> list[tuple[str, str]]:
    reply = core.extended.ListOperations(
        aliecs_v1_pb2.ListOperationsRequest(), deadline_s=CALL_DEADLINE_S
    )
    return [(one.kind, one.environment_id) for one in reversed(reply.operations)]


def test_what_is_asked_twice_is_done_once(tmp_path: Path) -> None:
    with RunningCore(tmp_path, hosts=["one", "two"], workflows=BASE) as core:
        control = core.control_stub
        first, trailing = ask(control, "NewEnvironment", creation(core), "k1")
        again, more = ask(control, "NewEnvironment", creation(core), "k1")
        assert first == again
        assert trailing["aliecs-operation-id"] == more["aliecs-operation-id"]
        assert more["aliecs-idempotent-replay"] == "true"
        environment_id = first.environment.id
        assert operations(core) == [("CREATE", environment_id)]

        with pytest.raises(RpcError) as reused:
            ask(control, "NewEnvironment", creation(core, other_options="--late 0.1"), "k1")
        assert reused.value.status == "INVALID_ARGUMENT"
        assert "used for another request already (NewEnvironment)" in reused.value.message
        # Keys belong to whoever asks.
        other, _ = ask(control, "NewEnvironment", creation(core, "somebody else"), "k1")
        assert other.environment.id != environment_id
        core.destroy(other.environment.id)

        # An error is the same again, and what began nothing may be tried anew.
        for _ in range(2):
            with pytest.raises(RpcError) as failed:
                ask(control, "NewEnvironment", creation(core, needed_options="--die 3"), "k2")
            assert "exit code 3" in failed.value.message
            assert len(failed.value.details) == 1
        assert [kind for kind, _ in operations(core)].count("CREATE") == 3
        start = o2control_pb2.ControlEnvironmentRequest(
            id=environment_id, type=o2control_pb2.ControlEnvironmentRequest.START_ACTIVITY
        )
        stop = o2control_pb2.ControlEnvironmentRequest(
            id=environment_id, type=o2control_pb2.ControlEnvironmentRequest.STOP_ACTIVITY
        )
        with pytest.raises(RpcError) as refused:
            ask(control, "ControlEnvironment", stop, "k3")
        assert refused.value.status == "FAILED_PRECONDITION"
        run = ask(control, "ControlEnvironment", start, "k4")[0].currentRunNumber
        assert ask(control, "ControlEnvironment", stop, "k3")[0].state == "CONFIGURED"
        # The first answer, though the run has ended.
        replay, _ = ask(control, "ControlEnvironment", start, "k4")
        assert (replay.state, replay.currentRunNumber) == ("RUNNING", run)
        assert core.environment(environment_id).state == "CONFIGURED"

        headers = {"Idempotency-Key": "r1", "Content-Type": "application/json"}
        path = f"/api/v1/environments/{environment_id}/transitions?wait=30"
        status, one, _ = core.rest("POST", path, {"type": "RESET", "user": "me"}, headers)
        assert (status, one["kind"]) == (200, "RESET")
        status, two, _ = core.rest("POST", path, {"type": "RESET", "user": "me"}, headers)
        assert (status, two) == (200, one)
        status, problem, _ = core.rest("POST", path, {"type": "CONFIGURE", "user": "me"}, headers)
        assert (status, problem["code"]) == (422, "idempotency_key_reused")

        core.stop()
        core.start()
        again, more = ask(core.control_stub, "NewEnvironment", creation(core), "k1")
        assert (again, more["aliecs-idempotent-replay"]) == (first, "true")
        assert operations(core) == []
