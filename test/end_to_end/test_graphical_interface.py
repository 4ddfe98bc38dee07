"""The calls of the reference's graphical interface, with its own libraries, as it makes them: its
older definition of the API, its options, its way to look at errors, and every field that it reads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test.end_to_end.core import RunningCore
from test.javascript import PROTOS, CallFailed, JavaScriptClient, find_grpc_js, older_protocol

find_grpc_js()

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
SHORT = {"blocks_per_run": "5", "block_rate": "100"}
INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, CANCELLED = 3, 4, 5, 1
FAILED_PRECONDITION, UNKNOWN = 9, 2
USER = {"name": "operator", "externalId": 0}
CONFIGURATION = """\
o2:
  hardware:
    detectors:
      ITS: { flps: { flp001: { cards: "{}" } } }
      TPC: { flps: { flp002: { cards: "{}" } } }
    flps:
      flp001: { cards: "{}" }
      flp002: { cards: "{}" }
"""
WORKFLOW = """\
name: many
roles:
  - name: "task{{ number }}"
    for: { begin: "1", end: "15000", var: number }
    task: { load: process }
"""
TASK = """\
name: process
control: { mode: direct }
wants: { cpu: 0.01, memory: 1 }
command: { value: process }
"""


def services(core: RunningCore, proto: Path, **options: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": "Control",
            "package": "o2control",
            "file": str(proto),
            # The interface's files import each other from where they are, ours from their root.
            "loading": {"includeDirs": [str(PROTOS.parent)]} if proto.parent == PROTOS else {},
            "address": core.addresses["grpc"],
            "options": options,
        },
        {
            "name": "Apricot",
            "package": "apricot",
            "file": str(PROTOS / "apricot.proto"),
            "address": core.addresses["apricot"],
            "options": options,
        },
    ]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("interface")
    configuration = folder / "configuration.yaml"
    configuration.write_text(CONFIGURATION)
    settings = {
        "configServiceUri": f"file://{configuration}",
        "instanceName": "the control room",
    }
    with RunningCore(folder, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(
    core: RunningCore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JavaScriptClient]:
    """With the definition that the interface has."""
    proto = older_protocol(tmp_path_factory.mktemp("protobuf"))
    with JavaScriptClient(*services(core, proto)) as made:
        yield made


def create(client: JavaScriptClient, **variables: str) -> Any:
    return client.call(
        "NewEnvironment",
        {
            "workflowTemplate": DEMO,
            "vars": {"hosts": '["flp001","flp002"]', **variables},
            "requestUser": USER,
            "selectedConfiguration": "unknown to the API",
        },
    )["environment"]


def destroy(client: JavaScriptClient, environment_id: str, **how: bool) -> None:
    client.call("DestroyEnvironment", {"id": environment_id, "requestUser": USER, **how})


def test_the_status_page(core: RunningCore, client: JavaScriptClient) -> None:
    info = client.call("GetFrameworkInfo")
    assert info["state"] == "CONNECTED"
    assert info["frameworkId"]
    assert info["hostsCount"] == 3
    assert "environmentsCount" not in info and "tasksCount" not in info
    assert info["instanceName"] == "the control room"
    assert info["configurationEndpoint"].startswith("file://")
    assert info["version"]["productName"] == "AliECS"
    assert info["version"]["versionStr"]
    assert info["detectorsInInstance"] == ["ITS", "TPC"]
    assert info["availableDetectors"] == ["ITS", "TPC"]
    assert info["activeDetectors"] == []
    found = client.call("GetIntegratedServices")["services"]
    assert found["testplugin"]["enabled"] is True
    assert found["testplugin"]["connectionState"] == "READY"
    assert found["testplugin"]["name"]
    for name, service in found.items():
        assert service.get("connectionState") not in ("TRANSIENT_FAILURE", "SHUTDOWN")
        if service.get("data") and name != "testplugin":
            json.loads(service["data"])


def test_the_polls(client: JavaScriptClient) -> None:
    """The heart-beat and the cache: the list, then each environment of it."""
    empty = client.call("GetEnvironments", deadline_s=9)
    assert empty["frameworkId"] and empty["environments"] == []
    environment_id = create(client, **SHORT)["id"]
    (listed,) = client.call("GetEnvironments", deadline_s=9)["environments"]
    assert listed["id"] == environment_id
    assert listed["tasks"] == []
    found = client.call("GetEnvironment", {"id": environment_id}, deadline_s=9)
    assert "workflow" not in found
    assert found["public"] is True
    one = found["environment"]
    assert one["state"] == "CONFIGURED"
    assert "currentTransition" not in one
    assert "currentRunNumber" not in one
    assert one["createdWhen"].isdecimal() and abs(int(one["createdWhen"]) / 1e3 - time.time()) < 600
    assert one["rootRole"] == "demo"
    assert one["description"]
    assert one["numberOfFlps"] == 2
    assert one["numberOfHosts"] == 3
    assert one["numberOfTasks"] == len(one["tasks"]) == one["numberOfActiveTasks"]
    assert one["includedDetectors"] == ["ITS", "TPC"]
    assert json.loads(one["userVars"]["hosts"]) == ["flp001", "flp002"]
    assert json.loads(one["defaults"]["detectors"]) == ["ITS", "TPC"]
    assert one["userVars"]["environment_id"] == environment_id
    assert one["userVars"]["blocks_per_run"] == "5"
    assert isinstance(one["vars"], dict)
    assert isinstance(one["integratedServicesData"]["testplugin"], str)
    for task in one["tasks"]:
        assert task["name"].split("tasks/")[1].split("@")[0] in task["className"]
        assert task["locked"] is True
        assert task["state"] in ("CONFIGURED", "STANDBY", "DONE", "UNKNOWN")
        assert task["status"] in ("ACTIVE", "INACTIVE")
        assert task["deploymentInfo"]["hostname"] in ("flp001", "flp002", "epn001")
        assert all(task["deploymentInfo"][f"{of}Id"] for of in ("agent", "offer", "executor"))
        assert task["sandboxStdout"].startswith("http://")
        assert "claimable" not in task
    assert any(task.get("critical") for task in one["tasks"])
    assert any(task.get("pid", "").isdecimal() for task in one["tasks"])
    tree = client.call("GetEnvironment", {"id": environment_id, "showWorkflowTree": True})
    root = tree["workflow"]
    assert (root["name"], root["fullPath"], root["state"]) == ("demo", "demo", "CONFIGURED")
    assert set(root["taskIds"]) == {task["taskId"] for task in one["tasks"]}
    assert {role["fullPath"] for role in root["roles"]} >= {"demo.sender"}
    assert root["consolidatedStack"]["environment_id"] == environment_id
    assert client.call("GetActiveDetectors")["detectors"] == ["ITS", "TPC"]
    assert client.call("GetFrameworkInfo")["availableDetectors"] == []
    destroy(client, environment_id)


def test_a_run(client: JavaScriptClient) -> None:
    """A transition's type goes as the name of the enumeration's value, or as its number."""
    environment_id = create(client)["id"]
    started = client.call(
        "ControlEnvironment",
        {"id": environment_id, "type": "START_ACTIVITY", "requestUser": USER},
    )
    assert (started["id"], started["state"]) == (environment_id, "RUNNING")
    assert started["currentRunNumber"] > 0
    one = client.call("GetEnvironment", {"id": environment_id})["environment"]
    assert one["currentRunNumber"] == started["currentRunNumber"]
    assert one["userVars"]["run_start_time_ms"].isdecimal()
    assert json.loads(one["userVars"]["last_request_user"]) == {"externalId": 0, "name": "operator"}
    stopped = client.call("ControlEnvironment", {"id": environment_id, "type": 2})
    assert stopped["state"] == "CONFIGURED"
    assert "currentRunNumber" not in stopped
    one = client.call("GetEnvironment", {"id": environment_id})["environment"]
    assert one["userVars"]["run_end_time_ms"].isdecimal()
    for refused in ("NOOP", "GO_ERROR"):
        with pytest.raises(CallFailed) as problem:
            client.call("ControlEnvironment", {"id": environment_id, "type": refused})
        assert problem.value.code == INVALID_ARGUMENT
    with pytest.raises(CallFailed) as problem:
        client.call("ControlEnvironment", {"id": environment_id, "type": "STOP_ACTIVITY"})
    assert problem.value.code == FAILED_PRECONDITION
    destroy(client, environment_id, allowInRunningState=True, force=True)
    with pytest.raises(CallFailed) as problem:
        client.call("GetEnvironment", {"id": environment_id})
    assert problem.value.code == NOT_FOUND
    assert environment_id in problem.value.details


def test_an_environment_that_cannot_be_created(client: JavaScriptClient) -> None:
    """Its id is in the details of the status."""
    with pytest.raises(CallFailed) as problem:
        client.call("NewEnvironment", {"workflowTemplate": "builtin/workflows/nothing@main"})
    failed = problem.value
    assert failed.details.startswith("cannot create new environment: ")
    assert failed.status == {"code": failed.code, "message": failed.details}
    (environment,) = failed.environments
    assert environment["state"] == "ERROR" and environment["id"]
    assert environment["createdWhen"].isdecimal()


def test_bad_ids(client: JavaScriptClient) -> None:
    for given in ({}, {"id": "0O"}, {"id": "a-b"}):
        with pytest.raises(CallFailed) as problem:
            client.call("GetEnvironment", given)
        assert problem.value.code == INVALID_ARGUMENT


def test_created_without_waiting(client: JavaScriptClient) -> None:
    said = client.call(
        "NewEnvironmentAsync", {"workflowTemplate": DEMO, "vars": SHORT, "requestUser": USER}
    )["environment"]
    assert said["state"] == "PENDING" and said["userVars"]["blocks_per_run"] == "5"
    deadline_s = time.monotonic() + 60
    while True:
        listed = client.call("GetEnvironments", {"showAll": True})["environments"]
        if any(one["id"] == said["id"] and one["state"] == "CONFIGURED" for one in listed):
            break
        assert time.monotonic() < deadline_s, listed
        time.sleep(0.1)
    destroy(client, said["id"])


def test_a_deadline_ends_the_waiting_only(client: JavaScriptClient) -> None:
    with pytest.raises(CallFailed) as problem:
        client.call(
            "NewEnvironment", {"workflowTemplate": DEMO, "requestUser": USER}, deadline_s=0.05
        )
    assert problem.value.code == DEADLINE_EXCEEDED
    deadline_s = time.monotonic() + 60
    while not (listed := client.call("GetEnvironments")["environments"]) or (
        listed[0]["state"] != "CONFIGURED"
    ):
        assert time.monotonic() < deadline_s, listed
        time.sleep(0.1)
    destroy(client, listed[0]["id"])


@pytest.mark.parametrize("subscribed_first", [True, False])
def test_an_automatic_environment(client: JavaScriptClient, subscribed_first: bool) -> None:
    """With an id of six digits that the client makes up, in either order, without waiting."""
    number = "123456" if subscribed_first else "654321"
    request = {"id": number, "workflowTemplate": DEMO, "vars": SHORT, "requestUser": USER}
    if subscribed_first:
        stream = client.begin("Subscribe", {"id": number}, deadline_s=0)
        assert client.call("NewAutoEnvironment", request) == {}
    else:
        assert client.call("NewAutoEnvironment", request) == {}
        stream = client.begin("Subscribe", {"id": number}, deadline_s=0)
    events = list(client.messages(stream))
    told = [event["environmentEvent"] for event in events if "environmentEvent" in event]
    assert [one["state"] for one in told] == [
        *("DEPLOYED", "CONFIGURED", "RUNNING", "CONFIGURED", "RESET", "DONE", "DONE")
    ]
    assert not any(one.get("error") for one in told)
    assert {one["environmentId"] for one in told} == {told[0]["environmentId"]}
    assert all(event["timestamp"].isdecimal() and "timestampNano" not in event for event in events)
    tasks = [event["taskEvent"] for event in events if "taskEvent" in event]
    assert tasks and all(task["hostname"] and task["taskid"] for task in tasks)
    assert not any(
        task.get("state") == "ERROR" or task.get("status") == "TASK_FAILED" for task in tasks
    )


def test_an_automatic_environment_that_cannot_be(client: JavaScriptClient) -> None:
    request = {"id": "111111", "workflowTemplate": "builtin/workflows/nothing@main"}
    stream = client.begin("Subscribe", {"id": "111111"}, deadline_s=0)
    client.call("NewAutoEnvironment", request)
    (event,) = client.messages(stream)
    assert event["environmentEvent"]["error"]


def test_a_subscriber_that_goes_away(client: JavaScriptClient) -> None:
    stream = client.begin("Subscribe", {"id": "222222"}, deadline_s=0)
    client.call("GetFrameworkInfo")
    client.cancel(stream)
    with pytest.raises(CallFailed) as problem:
        list(client.messages(stream))
    assert problem.value.code == CANCELLED


def test_the_form_of_a_workflow(client: JavaScriptClient) -> None:
    found = client.call("ListRepos", {"getRevisions": True})["repos"]
    (default,) = [one for one in found if one.get("default")]
    assert default["name"] and default["defaultRevision"] in default["revisions"]
    assert client.call("RefreshRepos", {"index": -1}) == {}
    templates = client.call(
        "GetWorkflowTemplates",
        {
            "repoPattern": default["name"],
            "revisionPattern": default["defaultRevision"],
            "allBranches": False,
            "allTags": False,
        },
    )["workflowTemplates"]
    demo = next(one for one in templates if one["template"] == "demo")
    assert demo["description"]
    assert demo["repo"] == default["name"]
    assert demo["revision"] == default["defaultRevision"]
    hosts, rate = demo["varSpecMap"]["hosts"], demo["varSpecMap"]["block_rate"]
    # Enumerations are numbers, and what is 0 is absent: `editBox` and `string`.
    assert (hosts["type"], "widget" in hosts, hosts["label"]) == (3, False, "FLPs")
    assert (rate["type"], rate["widget"], rate["allowedValues"]) == (1, 1, ["1", "1000"])
    assert hosts["panel"] and hosts["description"] and json.loads(hosts["defaultValue"])
    assert "index" not in hosts and rate["index"] == 1


def test_the_page_of_tasks(client: JavaScriptClient) -> None:
    environment_id = create(client)["id"]
    one = client.call("GetEnvironment", {"id": environment_id})["environment"]
    mine = {task["taskId"] for task in one["tasks"]}
    # Others end after the environment that they belonged to.
    tasks = [one for one in client.call("GetTasks")["tasks"] if one["taskId"] in mine]
    assert len(tasks) == len(mine)
    for task in tasks:
        assert task["name"] and task["deploymentInfo"]["hostname"] and task["className"]
        one = client.call("GetTask", {"taskId": task["taskId"]})["task"]
        assert one["shortInfo"]["className"] == task["className"]
        assert one["shortInfo"]["sandboxStdout"] == task["sandboxStdout"]
        assert isinstance(one["commandInfo"]["env"], list)
        assert isinstance(one["commandInfo"]["arguments"], list)
        assert one["commandInfo"]["value"]
        assert one["envId"] == environment_id and one["taskPath"].startswith("demo.")
    cleaned = client.call("CleanupTasks")
    assert not mine & {one["taskId"] for one in cleaned["killedTasks"]}
    assert mine <= {one["taskId"] for one in cleaned["runningTasks"]}
    with pytest.raises(CallFailed) as problem:
        client.call("GetTask", {"taskId": "x"})
    assert (problem.value.code, problem.value.details) == (NOT_FOUND, "task not found")
    destroy(client, environment_id)


def test_the_configuration(client: JavaScriptClient) -> None:
    """What the interface asks of apricot."""

    def ask(method: str, request: Any = None) -> Any:
        return client.call(method, request, service="Apricot")

    assert ask("ListDetectors")["detectors"] == ["ITS", "TPC"]
    assert ask("GetHostInventory", {"detector": "ITS"})["hosts"] == ["flp001"]
    entry = {"component": "COG-v1", "key": "mine"}
    with pytest.raises(CallFailed) as problem:
        ask("GetRuntimeEntry", entry)
    assert problem.value.code == UNKNOWN and "nil" in problem.value.details
    assert ask("SetRuntimeEntry", {**entry, "value": '{"a": 1}'}) == {}
    assert ask("GetRuntimeEntry", entry)["payload"] == '{"a": 1}'
    assert ask("ListRuntimeEntries", {"component": "COG-v1"})["payload"] == ["mine"]


def test_with_the_definition_of_today(core: RunningCore) -> None:
    with JavaScriptClient(*services(core, PROTOS / "o2control.proto")) as client:
        for method in ("GetFrameworkInfo", "GetEnvironments", "GetTasks", "ListRepos"):
            asked = client.call(method)["timestamp"]
            assert asked.isdecimal() and abs(int(asked) / 1e3 - time.time()) < 600
        found = client.call("GetWorkflowTemplates", {"allWorkflows": True})["workflowTemplates"]
        assert any(one["template"] == "demo" for one in found)


def test_pings_more_often_than_the_reference_allows(core: RunningCore) -> None:
    """Its server ends the connection of a client that asks every second whether it is there."""
    options = {
        "grpc.keepalive_time_ms": 1000,
        "grpc.keepalive_timeout_ms": 5000,
        "grpc.keepalive_permit_without_calls": 1,
    }
    proto = PROTOS / "o2control.proto"
    with JavaScriptClient(*services(core, proto, **options)) as client:
        stream = client.begin("Subscribe", {"id": "333333"}, deadline_s=6)
        with pytest.raises(CallFailed) as problem:
            list(client.messages(stream))
        assert problem.value.code == DEADLINE_EXCEEDED
        client.call("GetFrameworkInfo")


def test_a_reply_that_is_longer_than_libraries_expect(tmp_path: Path) -> None:
    """4 MB is what they take unless told otherwise; the interface takes 50."""
    core = RunningCore(
        tmp_path,
        [{"name": f"host{number}", "cpus": 1000, "memory": 1000000} for number in range(10)],
        settings={"backend": "simulated"},
        workflows={"workflows/many.yaml": WORKFLOW, "tasks/process.yaml": TASK},
    )
    with core:
        environment_id = core.create(core.template("many")).id
        with JavaScriptClient(*services(core, PROTOS / "o2control.proto")) as client:
            one = client.call("GetEnvironment", {"id": environment_id}, deadline_s=60)
            assert len(one["environment"]["tasks"]) == 15000
            assert len(client.call("GetTasks", deadline_s=60)["tasks"]) == 15000
        usual = {"grpc.max_receive_message_length": 4 * 1024 * 1024}
        proto = PROTOS / "o2control.proto"
        with (
            JavaScriptClient(*services(core, proto, **usual)) as client,
            pytest.raises(CallFailed, match="larger than max"),
        ):
            client.call("GetEnvironment", {"id": environment_id}, deadline_s=60)
