"""REST: lists by what things are, in pages and in parts; what an action would do; every method by
its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from aliecs.protocol import aliecs_v1_pb2
from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

API = "/api/v1"
DEMO = "builtin/workflows/demo@main"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


@pytest.fixture(scope="module")
def pair(core: RunningCore) -> Iterator[Sequence[str]]:
    """Two environments, the second of them running."""
    first = core.create(DEMO, run_type="PHYSICS").id
    second = core.create(DEMO, run_type="COSMICS").id
    core.control(second, "START_ACTIVITY")
    yield first, second
    core.control(second, "STOP_ACTIVITY")
    for one in (first, second):
        core.destroy(one)


def get(core: RunningCore, path: str) -> Any:
    status, body, _ = core.rest("GET", f"{API}{path}")
    assert status == 200, body
    return body


def refused(core: RunningCore, method: str, path: str, body: Any = None) -> tuple[int, str]:
    status, problem, headers = core.rest(method, f"{API}{path}", body)
    assert headers["Content-Type"] == "application/problem+json"
    return status, problem["detail"]


def test_environments_by_what_they_are(core: RunningCore, pair: Sequence[str]) -> None:
    first, second = pair

    def found(query: str) -> list[str]:
        return [one["id"] for one in get(core, f"/environments?{query}")["environments"]]

    assert found("") == [first, second]
    assert found("state=RUNNING") == [second]
    assert found("state=running&state=CONFIGURED") == [first, second]
    assert found("run_type=physics") == [first]
    assert found("detector=ITS") == []
    assert found("state=ERROR") == []


def test_environments_in_pages_and_parts(core: RunningCore, pair: Sequence[str]) -> None:
    page = get(core, "/environments?limit=1&fields=id,state")
    assert page["environments"] == [{"id": pair[0], "state": "CONFIGURED"}]
    page = get(core, f"/environments?limit=1&cursor={page['nextCursor']}&fields=id")
    assert (page["environments"], page["nextCursor"]) == ([{"id": pair[1]}], "")
    status, text = refused(core, "GET", "/environments?cursor=soon")
    assert (status, "no cursor of this list" in text) == (400, True)
    status, text = refused(core, "GET", "/environments?fields=id,colour")
    assert (status, "colour" in text) == (400, True)


def test_tasks_by_what_they_are(core: RunningCore, pair: Sequence[str]) -> None:
    everything = get(core, "/tasks")["tasks"]
    mine = get(core, f"/environments/{pair[0]}/tasks")["tasks"]
    assert len(everything) == 2 * len(mine) > 2
    assert {one["taskId"] for one in mine} == {
        one["taskId"] for one in get(core, f"/tasks?environment={pair[0]}")["tasks"]
    }
    (sender,) = get(core, f"/environments/{pair[0]}/tasks?name=demo.sender")["tasks"]
    assert sender["state"] == "CONFIGURED"
    host = sender["deploymentInfo"]["hostname"]
    there = get(core, f"/environments/{pair[0]}/tasks?host={host}")["tasks"]
    assert {one["deploymentInfo"]["hostname"] for one in there} == {host}
    assert get(core, f"/environments/{pair[0]}/tasks?state=RUNNING")["tasks"] == []
    assert len(get(core, "/tasks?state=RUNNING&state=CONFIGURED&locked=true")["tasks"]) >= 10
    assert get(core, "/tasks?locked=false")["tasks"] == []
    assert refused(core, "GET", "/tasks?environment=2rvUhqKFcLZ")[0] == 404
    assert refused(core, "GET", "/tasks?name=" + "&name=".join("abc" * 40))[0] == 400


def test_tasks_in_pages(core: RunningCore, pair: Sequence[str]) -> None:
    cursor, seen = "", []
    while True:
        page = get(core, f"/tasks?limit=5&cursor={cursor}&fields=taskId")
        seen += [one["taskId"] for one in page["tasks"]]
        assert len(page["tasks"]) <= 5
        if not (cursor := page["nextCursor"]):
            break
    assert seen == sorted(one["taskId"] for one in get(core, "/tasks")["tasks"])


def test_tasks_by_host(core: RunningCore, pair: Sequence[str]) -> None:
    page = get(core, "/tasks?group_by=host")
    names = [group["name"] for group in page["groups"]]
    assert names == sorted({one["deploymentInfo"]["hostname"] for one in page["tasks"]})
    assert sum(len(group["taskIds"]) for group in page["groups"]) == len(page["tasks"])
    for group in page["groups"]:
        assert sum(group["states"].values()) == len(group["taskIds"])


def test_roles_only_so_deep(core: RunningCore, pair: Sequence[str]) -> None:
    (root,) = get(core, f"/environments/{pair[0]}/roles?depth=1")["roles"]
    assert root["fullPath"] == "demo"
    assert len(root["taskIds"]) == len(get(core, f"/environments/{pair[0]}/tasks")["tasks"])
    assert root["roles"] and not any(one["roles"] for one in root["roles"])
    (bare,) = get(core, f"/environments/{pair[0]}/roles?depth=0")["roles"]
    assert (bare["roles"], bare["taskIds"]) == ([], root["taskIds"])
    (whole,) = get(core, f"/environments/{pair[0]}/roles")["roles"]
    assert any(one["roles"] for one in whole["roles"])
    cursor, seen = "", []
    while True:
        path = f"/environments/{pair[0]}/roles?path=**&depth=0&limit=3&cursor={cursor}"
        page = get(core, path)
        seen += [one["fullPath"] for one in page["roles"]]
        if not (cursor := page["nextCursor"]):
            break
    assert seen[0] == "demo" and len(seen) == len(set(seen)) > 5
    assert refused(core, "GET", f"/environments/{pair[0]}/roles?cursor=nowhere")[0] == 400


def test_an_environment_that_has_not_changed(core: RunningCore, pair: Sequence[str]) -> None:
    path = f"{API}/environments/{pair[0]}"
    _, _, headers = core.rest("GET", path)
    known = {"If-None-Match": headers["ETag"]}
    status, body, again = core.rest("GET", path, headers=known)
    assert (status, body, again["ETag"]) == (304, None, headers["ETag"])
    assert core.rest("GET", f"{path}?workflow=true", headers=known)[0] == 200
    assert core.rest("GET", f"{API}/environments/{pair[1]}", headers=known)[0] == 200


def test_events_of_one_environment(core: RunningCore, pair: Sequence[str]) -> None:
    told = get(core, f"/environments/{pair[1]}/events")
    assert not told["gap"]
    assert {event["data"]["environmentId"] for event in told["events"]} == {pair[1]}
    numbers = [event["seq"] for event in told["events"]]
    assert numbers == sorted(numbers) and numbers[-1] <= told["seq"]
    later = get(core, f"/environments/{pair[1]}/events?since={numbers[-2]}")
    assert [event["seq"] for event in later["events"]] == [numbers[-1]]
    assert refused(core, "GET", "/environments/2rvUhqKFcLZ/events")[0] == 404


def test_detectors_and_services(core: RunningCore) -> None:
    detectors = get(core, "/detectors")["detectors"]
    assert [one["name"] for one in detectors] == sorted(one["name"] for one in detectors)
    assert refused(core, "GET", "/detectors?name=XYZ")[0] == 404
    assert get(core, "/services/testplugin")["connectionState"] == "READY"
    status, text = refused(core, "GET", "/services/nobody")
    assert (status, "testplugin" in text) == (404, True)


def test_the_default_workflow(core: RunningCore) -> None:
    status, text = refused(core, "GET", "/workflow-templates/default")
    assert (status, "builtin has no workflow readout-dataflow" in text) == (404, True)


def test_what_a_transition_would_do(core: RunningCore, pair: Sequence[str]) -> None:
    first, second = pair
    path = f"/environments/{first}/transitions?dry_run=true"
    status, told, _ = core.rest("POST", f"{API}{path}", {"type": "START_ACTIVITY"})
    assert (status, told["transitions"]) == (200, ["START_ACTIVITY"])
    assert told["tasks"] == len(get(core, f"/environments/{first}/tasks")["tasks"])
    assert [step["kind"] for step in told["steps"]].count("tasks") == 1
    assert told["endedTasks"] == 0
    assert refused(core, "POST", path, {"type": "STOP_ACTIVITY"})[0] == 409
    # A destruction stops the run first only where it is told to.
    path = f"{API}/environments/{second}?dry_run=true"
    assert core.rest("DELETE", path)[1]["transitions"] == ["DESTROY"]
    _, told, _ = core.rest("DELETE", f"{path}&allow_in_running_state=true")
    assert told["transitions"] == ["STOP_ACTIVITY", "RESET", "DESTROY"]
    assert told["endedTasks"] == told["tasks"]
    _, told, _ = core.rest("DELETE", f"{path}&allow_in_running_state=true&keep_tasks=true")
    assert told["endedTasks"] == 0
    states = [core.environment(one).state for one in pair]
    assert states == ["CONFIGURED", "RUNNING"]


def test_what_a_cleanup_would_end(core: RunningCore) -> None:
    environment = core.create(DEMO).id
    core.destroy(environment, keepTasks=True)
    idle = [one["taskId"] for one in get(core, "/tasks?locked=false")["tasks"]]
    status, told, _ = core.rest("POST", f"{API}/cleanups?dry_run=true", {"taskIds": idle[:1]})
    assert (status, [one["taskId"] for one in told["tasks"]]) == (200, idle[:1])
    assert len(get(core, "/tasks?locked=false")["tasks"]) == len(idle) > 1
    assert core.rest("POST", f"{API}/cleanups", {"reason": "the end of the day"})[0] == 200
    assert get(core, "/tasks?locked=false")["tasks"] == []


def test_why_something_was_done_is_in_the_audit(core: RunningCore) -> None:
    status, operation, _ = core.rest(
        "POST", f"{API}/environments?wait=30", {"template": DEMO, "reason": "a first try"}
    )
    assert status == 200, operation
    environment = operation["environmentId"]
    path = f"{API}/environments/{environment}"
    core.rest("POST", f"{path}/transitions?wait=30", {"type": "RESET", "reason": "not this one"})
    core.rest("DELETE", f"{path}?wait=30&reason=that+is+all")
    told = get(core, "/audit")["entries"]
    reasons = {one["action"]: one["reason"] for one in told if one["reason"]}
    assert reasons["NewEnvironment"] == "a first try"
    assert reasons["ControlEnvironment"] == "not this one"
    assert reasons["DestroyEnvironment"] == "that is all"


def test_statistics_of_transitions(core: RunningCore, pair: Sequence[str]) -> None:
    ended = core.create(DEMO).id
    core.destroy(ended)
    told = get(core, "/statistics/transitions")
    of = {one["event"]: one for one in told["statistics"]}
    assert of["CONFIGURE"]["count"] >= 3
    assert of["CONFIGURE"]["failed"] == 0
    assert of["CONFIGURE"]["successRate"] == 1
    configure = of["CONFIGURE"]
    assert 0 < configure["shortestMs"] <= configure["medianMs"] <= configure["longestMs"]
    told = get(core, "/statistics/transitions?group_by=environment")
    assert {ended, *pair} <= {one["group"] for one in told["statistics"]}
    assert get(core, "/statistics/transitions?to=1000")["statistics"] == []
    day = get(core, "/statistics/transitions?group_by=day")["statistics"][0]["group"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    (workflow,) = {
        one["group"] for one in get(core, "/statistics/transitions?group_by=workflow")["statistics"]
    }
    assert workflow == DEMO


def test_any_method_by_its_name(core: RunningCore, pair: Sequence[str]) -> None:
    path = f"{API}/rpc/o2control.Control/GetEnvironment"
    status, body, _ = core.rest("POST", path, {"id": pair[0], "showWorkflowTree": True})
    assert (status, body["workflow"]["fullPath"]) == (200, "demo")
    status, body, _ = core.rest(
        "POST", f"{API}/rpc/aliecs.v1.Control/ListTasks", {"environment_id": pair[0], "limit": 1}
    )
    assert (status, len(body["tasks"])) == (200, 1)
    status, body, headers = core.rest(
        "POST",
        f"{API}/rpc/o2control.Control/ControlEnvironment",
        {"id": pair[0], "type": "RESET", "requestUser": {"name": "me"}},
    )
    assert (status, body["state"]) == (200, "DEPLOYED")
    assert core.rest("GET", headers["Location"])[1]["requestedBy"] == "me"
    core.control(pair[0], "CONFIGURE")
    for service, method, body, status in (
        ("o2control.Control", "GetEnvironment", {"id": "2rvUhqKFcLZ"}, 404),
        ("o2control.Control", "GetEnvironment", {"name": "x"}, 400),
        ("o2control.Control", "GetEnvironment", {"id": 5}, 400),
        ("o2control.Control", "Subscribe", {"id": "x"}, 400),
        ("o2control.Control", "__init__", {}, 404),
        ("apricot.Apricot", "NewRunNumber", {}, 404),
    ):
        assert refused(core, "POST", f"/rpc/{service}/{method}", body)[0] == status


def test_lists_over_grpc(core: RunningCore, pair: Sequence[str]) -> None:
    reply = core.extended.ListTasks(
        aliecs_v1_pb2.ListTasksRequest(environment_id=pair[0], limit=2), deadline_s=10
    )
    assert len(reply.tasks) == 2 and reply.next_cursor
    request = aliecs_v1_pb2.PreviewTransitionRequest(environment_id=pair[1], event="STOP_ACTIVITY")
    assert core.extended.PreviewTransition(request, deadline_s=10).transitions == ["STOP_ACTIVITY"]
