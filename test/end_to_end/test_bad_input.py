"""Bad input, and what it gets: a clear text, the right codes, and nothing else is touched.

Through all of it an environment of the demonstration takes one and the same run; at the end it is
looked at, to the last block.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import frozen

from aliecs.language.declaration import REFUSED_CONTROL_MODES
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, task_class, workflow

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).resolve().parents[2]
CONFIGURE_TIMEOUT_S = 3
DEMO = "builtin/workflows/demo@main"
NEVER_WAS = "2oDvieFrVTi"
DEMO_TEXT = (ROOT / "templates" / "demo.yaml").read_text()
DEMO_TASKS = {f"tasks/{p.name}": p.read_text() for p in sorted((ROOT / "tasks").glob("*.yaml"))}


def one_role(name: str, body: str) -> dict[str, str]:
    """A workflow with a single role."""
    return workflow(name, f"  - name: only\n{body}")


def demo_variant(name: str, target: str) -> dict[str, str]:
    """The demonstration's workflow, with builders that send their blocks somewhere else."""
    right = "{{ Up(2).Path }}.sender:collect"
    assert DEMO_TEXT.count(right) == 1
    text = DEMO_TEXT.replace("name: !public demo", f"name: {name}").replace(right, target)
    return {f"workflows/{name}.yaml": text}


FILES = {
    **BASE,
    **DEMO_TASKS,
    "workflows/not-yaml.yaml": "name: not-yaml\nroles:\n  - name: [a\n  - {\n",
    "workflows/no-roles.yaml": "name: no-roles\nroles:\n  - name: a\n    task: {laod: puppet}\n",
    **one_role("missing-task", "    task: {load: nowhere}\n"),
    **one_role("broken-task", "    task: {load: broken}\n"),
    "tasks/broken.yaml": "name: broken\ncontrol: {mode: direct}\nwants: {cpu: many}\n"
    "command: {value: sleep}\n",
    **one_role("undefined", "    vars: {a: 'x{{ nothing }}'}\n    task: {load: puppet}\n"),
    **one_role("undefined-name", "    task: {load: '{{ nothing }}'}\n"),
    **one_role("nonsense", "    vars: {a: '{{ 1 + }}'}\n    task: {load: puppet}\n"),
    **one_role(
        "no-host",
        "    constraints: [{attribute: machine_id, value: mars}]\n    task: {load: puppet}\n",
    ),
    **one_role("too-large", "    task: {load: large}\n"),
    **task_class("large", wants={"cpu": "1000", "memory": "8"}),
    **one_role("static-port", "    task: {load: static-port}\n"),
    **one_role("blocked", "    vars: {options: --blocked}\n    task: {load: puppet}\n"),
    **one_role("dies", "    vars: {options: --die 3}\n    task: {load: puppet}\n"),
    **one_role("rubbish", "    vars: {options: --deaf}\n    task: {load: puppet}\n"),
    **one_role("no-program", "    task: {load: no-program}\n"),
    **task_class(
        "no-program", control={"mode": "direct"}, command={"value": "/no/such/program"}
    ),
    **one_role("no-user", "    task: {load: no-user}\n"),
    **task_class(
        "no-user",
        control={"mode": "direct"},
        command={"value": "sleep", "arguments": ["1"], "user": "nobody-of-that-name"},
    ),
    **{
        path: text
        for mode in REFUSED_CONTROL_MODES
        for path, text in {
            **one_role(mode, f"    task: {{load: {mode}-class}}\n"),
            f"tasks/{mode}-class.yaml": f"name: {mode}-class\ncontrol:\n  mode: {mode}\n"
            "wants: {cpu: 0.1, memory: 8}\ncommand: {value: sleep}\n",
        }.items()
    },
    **demo_variant("wrong-port", "tcp://127.0.0.1:{{ wrong_port }}"),
    **demo_variant("wrong-channel", "{{ Parent().Path }}.readout:blocks"),
    **demo_variant("no-channel", "{{ Up(2).Path }}.sender:nothing"),
    **workflow(
        "half",
        "  - name: only\n    constraints: [{attribute: machine_id, value: small}]\n"
        "    task: {load: half}\n",
    ),
    **task_class("half", wants={"cpu": "0.6", "memory": "8"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def listener() -> Iterator[int]:
    """A port that a stranger listens on, who never answers."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        yield stranger.getsockname()[1]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory, listener: int) -> Iterator[RunningCore]:
    files = {**FILES, **task_class("static-port", wants={"cpu": "0.1", "ports": str(listener)})}
    hosts = ["one", "two", "flp001", "flp002", "epn001", {"name": "small", "cpus": 1}]
    settings = {"configureTimeout": f"{CONFIGURE_TIMEOUT_S}s"}
    folder = tmp_path_factory.mktemp("bad")
    with RunningCore(folder, hosts=hosts, settings=settings, workflows=files) as running:
        yield running


@frozen
class Bystander:
    """The environment that nothing of this may touch."""

    id: str
    run: int
    tasks: frozenset[str]


@pytest.fixture(scope="module")
def bystander(core: RunningCore) -> Iterator[Bystander]:
    environment_id = core.create(DEMO).id
    run = core.control(environment_id, "START_ACTIVITY").currentRunNumber
    yield Bystander(environment_id, run, frozenset(task.taskId for task in core.tasks()))
    assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED"
    sender = core.task(environment_id, "demo.sender")
    told = [line for line in core.task_log(sender.taskId) if f"run={run} " in line]
    assert len(told) == 3
    assert not any("incomplete" in line for line in told)
    core.destroy(environment_id)


@pytest.fixture(autouse=True)
def untouched(core: RunningCore, bystander: Bystander) -> Iterator[None]:
    """After every test the core has the bystander and nothing else, and that takes its run."""
    yield
    core.wait_until(
        lambda: {task.taskId for task in core.tasks()} == bystander.tasks, 10, "all else is gone"
    )
    (only,) = core.environments()
    assert (only.id, only.state, only.currentRunNumber) == (bystander.id, "RUNNING", bystander.run)
    assert not core.record(bystander.id).HasField("cause")


def creations(
    core: RunningCore, template: str, variables: Mapping[str, str]
) -> tuple[RpcError, tuple[int, Any, Mapping[str, str]]]:
    """Ask for the same environment over gRPC and over REST; gives both refusals."""
    body = {"template": template, "variables": dict(variables), "user": "tester"}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(core.rest, "POST", "/api/v1/environments?wait=50", body)
        with pytest.raises(RpcError) as problem:
            core.create(template, **variables)
        return problem.value, asked.result(60)


def check_refused(
    core: RunningCore,
    template: str,
    status: str,
    http_status: int,
    parts: Sequence[str],
    **variables: str,
) -> str:
    """The same refusal on both faces, with all `parts` in its text; gives the text."""
    problem, (answered, document, headers) = creations(core, template, variables)
    text = problem.message
    assert text.startswith("cannot create new environment: ")
    for part in parts:
        assert part in text, text
        assert part in document["detail"], document
    assert (problem.status, answered) == (status, http_status), text
    assert headers["Content-Type"] == "application/problem+json"
    assert document["status"] == http_status
    assert document["code"] == problem.trailing["aliecs-error-code"]
    info = o2control_pb2.EnvironmentInfo()
    assert problem.details[0].Unpack(info)
    assert info.state == "ERROR"
    record = core.record(info.id)
    assert record.state == "ERROR"
    assert record.created_by == "tester"
    assert record.cause.line and "\n" not in record.cause.line
    # The operation tells it as well, to whoever did not wait.
    _, operation, _ = core.rest("GET", headers["Location"])
    assert operation["state"] == "OPERATION_STATE_FAILED"
    assert all(part in operation["error"] for part in parts)
    return text


# --- what a template can say ---------------------------------------------------------------------

PLACE = "/workflows/{name}.yaml@"
TEMPLATES = {
    "not-yaml": ["{path}:4", "YAML"],
    "no-roles": ["{path}:4", "no-roles.a", "'load' names no task class"],
    "missing-task": ["nowhere", "{path}:12", "missing-task.only", "puppet"],
    "broken-task": ["tasks/broken.yaml@", ":3", "many"],
    "undefined": ["{path}:12", "undefined.only", "nothing"],
    "undefined-name": ["{path}:12", "undefined-name.only", "nothing"],
    "nonsense": ["{path}:12", "nonsense.only", "ends too early in {{{{ 1 + }}}}"],
}
"""What the text names: the file with the line, the role, what is wrong and what there is."""


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_that_cannot_be(core: RunningCore, name: str) -> None:
    text = creations(core, core.template(name), {})[0].message
    where = re.search(rf"\S+/workflows/{name}\.yaml@[0-9a-f]{{12}}", text)
    parts = TEMPLATES[name]
    if any("{path}" in part for part in parts):
        assert where is not None, text
        parts = [part.format(path=where[0]) for part in parts]
    check_refused(core, core.template(name), "INVALID_ARGUMENT", 422, parts)


@pytest.mark.parametrize("mode", REFUSED_CONTROL_MODES)
def test_a_control_mode_of_kubernetes(core: RunningCore, mode: str) -> None:
    template = core.template(mode)
    parts = [f"{core.repository}/tasks/{mode}-class.yaml@", f"the control mode {mode!r} is not"]
    text = check_refused(core, template, "INVALID_ARGUMENT", 422, parts)
    assert re.search(rf"{mode}-class\.yaml@[0-9a-f]+:3: the control mode", text), text
    # Whoever asks beforehand reads the same.
    checked = core.coconut("workflow", "check", template, check=False)
    assert checked.returncode == 1
    said = rf"/tasks/{mode}-class\.yaml@[0-9a-f]+:3: error: the control mode '{mode}' is not"
    assert re.search(said, checked.stdout), checked


@pytest.mark.parametrize(
    ("template", "status", "http_status", "parts"),
    [
        ("{r}/workflows/nowhere@main", "NOT_FOUND", 404, ["nowhere", "pair"]),
        ("{r}/workflows/pair@no-such", "NOT_FOUND", 404, ["no-such", "main"]),
        ("github.com/no/such/workflows/pair@main", "NOT_FOUND", 404, ["no/such", "builtin"]),
        ("{r}/workflows/../../secret@main", "INVALID_ARGUMENT", 400, ["../../secret"]),
        ("{r}/workflows/pair%00@main", "INVALID_ARGUMENT", 400, ["pair%00"]),
        ("{r}/workflows/pair\x07@main", "INVALID_ARGUMENT", 400, [r"pair\x07"]),
        ("{r}/workflows/pair@main\n", "", 0, []),
        ("https://example.org/workflows/pair", "INVALID_ARGUMENT", 400, ["is an address"]),
    ],
)  # fmt: skip
def test_a_template_that_is_not_there(
    core: RunningCore, template: str, status: str, http_status: int, parts: Sequence[str]
) -> None:
    template = template.format(r=core.repository)
    if status:
        check_refused(core, template, status, http_status, parts)
    else:
        # White space around it does no harm.
        core.destroy(core.create(template).id)


def test_no_template_at_all(core: RunningCore) -> None:
    with pytest.raises(RpcError) as problem:
        core.create("")
    assert problem.value.status == "INVALID_ARGUMENT"
    assert "workflowTemplate" in problem.value.message
    for body in ({}, {"template": ""}, {"template": 3}, {"template": {"revision": "main"}}):
        status, document, _ = core.rest("POST", "/api/v1/environments?wait=5", body)
        assert (status, document["code"]) == (400, "invalid_input")
        assert "template" in document["detail"]


@pytest.mark.parametrize("name", ["a%b", "a b", "x\x01", "a.b", "ä", "{{ it }}"])
def test_odd_names_of_variables_do_no_harm(core: RunningCore, name: str) -> None:
    environment_id = core.create("builtin/workflows/minimal@main", **{name: f"%s{name}"}).id
    assert core.environment(environment_id).userVars[name] == f"%s{name}"
    core.destroy(environment_id)


# --- what a host can have ------------------------------------------------------------------------


def test_a_constraint_that_no_host_meets(core: RunningCore) -> None:
    parts = ["no-host.only", "no host can run it", "flp001: machine_id is flp001, not mars"]
    check_refused(core, core.template("no-host"), "FAILED_PRECONDITION", 409, parts)


def test_more_than_any_host_has(core: RunningCore) -> None:
    parts = ["too-large.only", "flp001: wants 1000 cpus, the host has 16"]
    check_refused(core, core.template("too-large"), "FAILED_PRECONDITION", 409, parts)


def test_what_could_be_had_at_another_time(core: RunningCore, listener: int) -> None:
    """A port that somebody else has; and the last of a host, for two. All wait at the same time."""
    parts = ["static-port.only", "no room within 5 s", f"port {listener}", "flp001: "]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(core.create, core.template("half")) for _ in range(2)]
        check_refused(core, core.template("static-port"), "RESOURCE_EXHAUSTED", 429, parts)
        made = [one.result().id for one in both if one.exception() is None]
        refused = [one.exception() for one in both if one.exception() is not None]
    assert (len(made), len(refused)) == (1, 1)
    (problem,) = refused
    assert isinstance(problem, RpcError)
    assert problem.status == "RESOURCE_EXHAUSTED"
    for part in ("half.only", "no room within 5 s", "small: wants 0.6 cpus, 0.4 free"):
        assert part in problem.message
    assert core.environment(made[0]).state == "CONFIGURED"
    core.destroy(made[0])
    # What is free again can be had.
    core.destroy(core.create(core.template("half")).id)


# --- what a task can do --------------------------------------------------------------------------


def test_a_control_port_that_somebody_else_has(core: RunningCore) -> None:
    parts = ["blocked.only", "exit code 1", "cannot listen on 127.0.0.1:", "in use"]
    check_refused(core, core.template("blocked"), "ABORTED", 500, parts)


def test_a_task_that_dies_at_start(core: RunningCore) -> None:
    parts = ["DEPLOY", "dies.only", "host ", "exit code 3", "the puppet's last word"]
    check_refused(core, core.template("dies"), "ABORTED", 500, parts)


def test_a_program_that_is_not_there(core: RunningCore) -> None:
    parts = ["no-program.only", "cannot execute /no/such/program: No such file"]
    check_refused(core, core.template("no-program"), "ABORTED", 500, parts)


def test_a_user_who_is_not_there(core: RunningCore) -> None:
    parts = ["no-user.only", "nobody-of-that-name"]
    check_refused(core, core.template("no-user"), "ABORTED", 500, parts)


def test_a_task_that_hangs_in_configure(core: RunningCore) -> None:
    parts = ["CONFIGURE", "pair.needed", "host ", f"no answer within {CONFIGURE_TIMEOUT_S} s"]
    check_refused(core, core.template("pair"), "ABORTED", 500, parts, configure_s="5")


def test_a_task_that_fails_in_configure(core: RunningCore) -> None:
    parts = ["CONFIGURE", "pair.needed", "host ", "the puppet does not configure"]
    check_refused(core, core.template("pair"), "ABORTED", 500, parts, fail_in="configure")


def test_a_task_that_answers_rubbish(core: RunningCore) -> None:
    parts = ["DEPLOY", "rubbish.only", "host ", "not up within 3 s", "control port 2"]
    check_refused(core, core.template("rubbish"), "ABORTED", 500, parts, deploy_timeout="3s")


def test_a_channel_that_leads_to_a_stranger(core: RunningCore, listener: int) -> None:
    parts = ["CONFIGURE", "builder", "collect", f"tcp://127.0.0.1:{listener}"]
    check_refused(
        core,
        core.template("wrong-port"),
        "ABORTED",
        500,
        parts,
        wrong_port=str(listener),
        connect_deadline_s="1",
    )


def test_a_channel_that_leads_to_another_channel(core: RunningCore) -> None:
    parts = ["CONFIGURE", "builder", "collect", "tcp://127.0.0.1:", "blocks"]
    check_refused(
        core, core.template("wrong-channel"), "ABORTED", 500, parts, connect_deadline_s="1"
    )


def test_a_channel_that_leads_nowhere(core: RunningCore) -> None:
    parts = ["builder", "collect", "no-channel.sender:nothing"]
    check_refused(core, core.template("no-channel"), "INVALID_ARGUMENT", 400, parts)


# --- what can be asked of an environment ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "http_status"),
    [
        ("", "INVALID_ARGUMENT", 0),
        ("0OIl", "INVALID_ARGUMENT", 400),
        ("%", "INVALID_ARGUMENT", 400),
        ("a\nb", "INVALID_ARGUMENT", 400),
        ("ü", "INVALID_ARGUMENT", 400),
        ("z" * 5000, "NOT_FOUND", 404),
        (NEVER_WAS, "NOT_FOUND", 404),
    ],
    ids=["empty", "not base58", "percent", "line feed", "umlaut", "long", "unknown"],
)
def test_an_environment_that_is_not_there(
    core: RunningCore, name: str, status: str, http_status: int
) -> None:
    for ask in (
        core.environment,
        core.destroy,
        core.recover,
        lambda one: core.control(one, "CONFIGURE"),
        lambda one: core.task(one, "*"),
    ):
        with pytest.raises(RpcError) as problem:
            ask(name)
        assert problem.value.status == status
        assert 0 < len(problem.value.message) < 500
    if not http_status:
        return
    path = f"/api/v1/environments/{quote(name, safe='')}"
    for method, address, body in (
        ("GET", path, None),
        ("DELETE", path, None),
        ("GET", f"{path}/roles", None),
        ("GET", f"{path}/transitions", None),
        ("POST", f"{path}/transitions?wait=5", {"type": "CONFIGURE"}),
        ("POST", f"{path}/transitions?wait=5", {"type": "RECOVER"}),
    ):
        answered, document, _ = core.rest(method, address, body)
        assert (answered, document["status"]) == (http_status, http_status), address
        assert document["detail"]


def test_a_transition_that_does_not_exist(core: RunningCore, bystander: Bystander) -> None:
    for number in (0, 5, 77):
        request = o2control_pb2.ControlEnvironmentRequest(id=bystander.id)
        request.type = number
        with pytest.raises(RpcError) as problem:
            core.control_stub.ControlEnvironment(request, deadline_s=5)
        assert problem.value.status == "INVALID_ARGUMENT"
        assert "cannot prepare invalid transition" in problem.value.message
    path = f"/api/v1/environments/{bystander.id}/transitions?wait=5"
    for word in ("DANCE", "", "%", "EXIT", "GO_ERROR", "DESTROY", 7):
        status, document, _ = core.rest("POST", path, {"type": word})
        assert (status, document["code"]) == (400, "invalid_input")
        assert str(word) in document["detail"]
    status, document, _ = core.rest("POST", path, {"type": "STOP_ACTIVITY", "colour": "red"})
    assert (status, "colour" in document["detail"]) == (400, True)


def test_a_transition_that_is_not_allowed_now(core: RunningCore, bystander: Bystander) -> None:
    path = f"/api/v1/environments/{bystander.id}/transitions?wait=5"
    for event in ("CONFIGURE", "START_ACTIVITY", "RESET", "DEPLOY"):
        with pytest.raises(RpcError) as problem:
            core.control(bystander.id, event)
        assert problem.value.status == "FAILED_PRECONDITION"
        status, document, _ = core.rest("POST", path, {"type": event, "user": "tester"})
        assert (status, document["code"]) == (409, "conflict")
        for text in (problem.value.message, document["detail"]):
            assert f"event {event} inappropriate in current state RUNNING" in text
            assert "STOP_ACTIVITY" in text


def test_a_second_transition_while_one_runs(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair"), start_s="1.5").id
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(core.control, environment_id, "START_ACTIVITY")
        core.wait_until(
            lambda: core.environment(environment_id).currentTransition, 5, "it has begun"
        )
        time.sleep(0.2)
        path = f"/api/v1/environments/{environment_id}/transitions?wait=5"
        for event in ("STOP_ACTIVITY", "START_ACTIVITY", "RESET"):
            with pytest.raises(RpcError) as problem:
                core.control(environment_id, event)
            assert problem.value.status == "FAILED_PRECONDITION"
            status, document, _ = core.rest("POST", path, {"type": event, "user": "somebody"})
            assert (status, document["code"]) == (409, "conflict")
            for text in (problem.value.message, document["detail"]):
                assert event in text
                assert re.search(
                    r"in the transition START_ACTIVITY, asked for by tester [01]\.\d s ago", text
                )
        assert starting.result(10).state == "RUNNING"
    core.destroy(environment_id, allowInRunningState=True)


def test_a_destruction_aborts_what_runs(core: RunningCore) -> None:
    request = o2control_pb2.NewEnvironmentRequest(
        workflowTemplate=core.template("pair"), vars={"configure_s": "2"}
    )
    environment_id = core.control_stub.NewEnvironmentAsync(request, deadline_s=5).environment.id
    core.wait_until(
        lambda: [e for e in core.environments() if e.currentTransition == "CONFIGURE"],
        10,
        "CONFIGURE is under way",
    )
    core.destroy(environment_id)
    record = core.record(environment_id)
    assert [(one.event, one.error) for one in record.transitions][1:] == [
        ("CONFIGURE", "CONFIGURE aborted: destroyed by somebody"),
        ("DESTROY", ""),
    ]
    environment_id = core.create(core.template("pair"), start_s="1").id
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(core.control, environment_id, "START_ACTIVITY")
        core.wait_until(
            lambda: core.environment(environment_id).currentTransition, 5, "it has begun"
        )
        core.destroy(environment_id)
        assert starting.result(10).state != "RUNNING"


def test_unknown_tasks_and_operations(core: RunningCore) -> None:
    for ask, request in (
        (core.control_stub.GetTask, o2control_pb2.GetTaskRequest(taskId="nobody")),
        (core.extended.GetTaskLog, aliecs_v1_pb2.GetTaskLogRequest(task_id="nobody")),
        (core.extended.GetOperation, aliecs_v1_pb2.GetOperationRequest(id="nothing")),
        (
            core.extended.GetEnvironmentHistory,
            aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=NEVER_WAS),
        ),
    ):
        with pytest.raises(RpcError) as problem:
            ask(request, deadline_s=5)
        assert problem.value.status == "NOT_FOUND"
    for path in ("/api/v1/tasks/nobody", "/api/v1/operations/nothing", "/api/v1/nothing"):
        status, document, _ = core.rest("GET", path)
        assert (status, document["status"]) == (404, 404)
