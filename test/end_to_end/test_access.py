"""Who may do what, over gRPC and REST alike, with locks enforced: every row of the table in
`docs/access.md`, on a real core with tokens and an identity provider."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from aliecs.access.token import entry_for, new_token
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import ERROR_CODE, RpcError
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.workflows import BASE
from test.standin.openid import SECRET, OpenIdProvider

pytestmark = pytest.mark.end_to_end

ACCESS = {
    "nobody": ["guest"],
    "its": ["det-its"],
    "tpc": ["det-tpc"],
    "shift": ["global"],
    "boss": ["admin"],
}
TOKENS = {name: new_token() for name in ACCESS}
OLD = new_token()


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as running:
        yield running


@pytest.fixture(scope="module")
def core(
    tmp_path_factory: pytest.TempPathFactory, provider: OpenIdProvider
) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("access")
    entries = [entry_for(name, TOKENS[name], ACCESS[name]) for name in ACCESS]
    entries.append(entry_for("late", OLD, ["admin"], "2020-01-01"))
    (folder / "tokens.yaml").write_text("".join(entries))
    (folder / "secret").write_text(SECRET + "\n")
    settings = {
        "tokenFile": str(folder / "tokens.yaml"),
        "openIdIssuer": provider.issuer,
        "openIdSecretFile": str(folder / "secret"),
        "lockPolicy": "enforce",
        "verbose": True,
    }
    running = RunningCore(folder, ["one", "two"], settings, BASE)
    running.token = TOKENS["boss"]
    with running:
        yield running


@pytest.fixture(autouse=True)
def free_locks(core: RunningCore) -> Iterator[None]:
    yield
    core.rest("DELETE", "/api/v1/locks/ALL?force=true")


@pytest.fixture(scope="module")
def environment(core: RunningCore) -> str:
    """One with the detectors ITS and TPC, CONFIGURED."""
    core.rest("PUT", "/api/v1/locks/ITS", {})
    core.rest("PUT", "/api/v1/locks/TPC", {})
    return str(core.create(core.template("duo"), detectors='["ITS","TPC"]').id)


def refusal(call: Any) -> tuple[str, str]:
    """The status and the code with which a call was refused."""
    with pytest.raises(RpcError) as caught:
        call()
    return caught.value.status, str(caught.value.trailing.get(ERROR_CODE))


def asks(core: RunningCore, token: str) -> tuple[Any, Any]:
    return core.stubs(TOKENS.get(token, token))


def rest_as(core: RunningCore, token: str, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKENS.get(token, token)}"}
    return core.rest(method, path, body, headers)


def start(environment_id: str) -> o2control_pb2.ControlEnvironmentRequest:
    return o2control_pb2.ControlEnvironmentRequest(id=environment_id, type="START_ACTIVITY")


# --- who is who ----------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "rubbish", "aliecs_unknown", "late", "a.b.c"])
def test_whoever_is_not_known_is_told_so(core: RunningCore, token: str) -> None:
    token = OLD if token == "late" else token
    control, _ = core.stubs(token)
    request = o2control_pb2.GetFrameworkInfoRequest()
    assert refusal(lambda: control.GetFrameworkInfo(request, deadline_s=5)) == (
        "UNAUTHENTICATED",
        "unauthenticated",
    )
    status, answer, headers = core.rest(
        "GET", "/api/v1/framework", headers={"Authorization": f"Bearer {token}" if token else ""}
    )
    assert (status, answer["code"]) == (401, "unauthenticated")
    assert headers["WWW-Authenticate"].startswith("Bearer")


def test_no_token_is_ever_in_the_log(core: RunningCore) -> None:
    core.rest("GET", f"/api/v1/framework?ticket={OLD}")
    for token in (*TOKENS.values(), OLD, SECRET):
        assert token not in core.log()


def test_health_is_for_everybody(core: RunningCore) -> None:
    for path in ("/healthz", "/readyz"):
        assert core.rest("GET", path, headers={"Authorization": ""})[0] == 200


def test_a_session_says_who_one_is(core: RunningCore) -> None:
    _, extended = asks(core, "its")
    session = extended.GetSession(aliecs_v1_pb2.GetSessionRequest(), deadline_s=5)
    assert (session.name, session.role, list(session.detectors)) == ("its", "DETECTOR", ["ITS"])
    assert session.roles_enforced
    assert session.lock_policy == "enforce"
    assert rest_as(core, "shift", "GET", "/api/v1/session")[1]["role"] == "GLOBAL"


def test_what_a_client_says_of_itself_does_not_count(core: RunningCore, environment: str) -> None:
    control, _ = asks(core, "nobody")
    request = start(environment)
    request.requestUser.name = "boss"
    assert refusal(lambda: control.ControlEnvironment(request, deadline_s=5))[1] == (
        "role_insufficient"
    )


# --- roles ---------------------------------------------------------------------------------


def empty(environment_id: str) -> Mapping[str, Any]:
    """A request for each operation that changes something, with no effect of its own."""
    v1 = aliecs_v1_pb2
    return {
        "ControlEnvironment": start(environment_id),
        "DestroyEnvironment": o2control_pb2.DestroyEnvironmentRequest(id=environment_id),
        "ModifyEnvironment": o2control_pb2.ModifyEnvironmentRequest(id=environment_id),
        "CleanupTasks": o2control_pb2.CleanupTasksRequest(taskIds=["none"]),
        "Teardown": o2control_pb2.TeardownRequest(),
        "AddRepo": o2control_pb2.AddRepoRequest(name="nowhere"),
        "RemoveRepo": o2control_pb2.RemoveRepoRequest(index=99),
        "RefreshRepos": o2control_pb2.RefreshReposRequest(index=99),
        "SetDefaultRepo": o2control_pb2.SetDefaultRepoRequest(index=99),
        "SetRepoDefaultRevision": o2control_pb2.SetRepoDefaultRevisionRequest(index=99),
        "DrainHost": v1.DrainHostRequest(name="nowhere"),
        "ResumeHost": v1.ResumeHostRequest(name="nowhere"),
        "Recover": v1.RecoverRequest(environment_id=environment_id),
        "ReconfigureEnvironment": v1.ReconfigureEnvironmentRequest(
            environment_id=environment_id, dry_run=True
        ),
        "KillTasks": v1.KillTasksRequest(task_ids=["none"]),
        "RestartTask": v1.RestartTaskRequest(task_id="none"),
        "AbortOperation": v1.AbortOperationRequest(id="none"),
        "TakeLock": v1.TakeLockRequest(detector="ITS"),
        "ReleaseLock": v1.ReleaseLockRequest(detector="ITS"),
        "HandOverLock": v1.HandOverLockRequest(detector="ITS", to="x"),
        "ListAudit": v1.ListAuditRequest(),
        "InspectWorkflow": v1.InspectWorkflowRequest(workflow_template="nothing"),
        "NewEnvironment": o2control_pb2.NewEnvironmentRequest(workflowTemplate="nothing"),
        "NewEnvironmentAsync": o2control_pb2.NewEnvironmentRequest(workflowTemplate="nothing"),
        "NewAutoEnvironment": o2control_pb2.NewAutoEnvironmentRequest(workflowTemplate="nothing"),
    }


MOST = {
    "nobody": frozenset(),
    # What was not asked for by somebody else may be given up; of that is a test of its own.
    "tpc": {
        *("InspectWorkflow", "NewEnvironment", "NewEnvironmentAsync", "NewAutoEnvironment"),
        *("AbortOperation", "KillTasks", "RestartTask"),
    },
    "its": {"TakeLock", "ReleaseLock", "HandOverLock"},
    "shift": {
        *("AddRepo", "RemoveRepo", "RefreshRepos", "SetDefaultRepo", "SetRepoDefaultRevision"),
        *("DrainHost", "ResumeHost", "ControlEnvironment", "DestroyEnvironment", "Recover"),
        *("ModifyEnvironment", "ReconfigureEnvironment"),
    },
}
MOST["its"] |= MOST["tpc"]
MOST["shift"] |= MOST["its"]


@pytest.mark.parametrize("name", MOST)
def test_every_role_may_do_what_the_table_says(
    core: RunningCore, environment: str, name: str
) -> None:
    control, extended = asks(core, name)
    allowed = set()
    for method, request in empty(environment).items():
        stub = control if hasattr(control._stub, method) else extended
        try:
            getattr(stub, method)(request, deadline_s=CALL_DEADLINE_S)
        except RpcError as error:
            if error.trailing.get(ERROR_CODE) == "role_insufficient":
                assert error.status == "PERMISSION_DENIED"
                continue
        allowed.add(method)
    assert allowed == MOST[name]
    assert core.environment(environment).state == "CONFIGURED"


def test_operations_and_tasks_belong_to_the_detectors(core: RunningCore, environment: str) -> None:
    v1 = aliecs_v1_pb2
    for detector in ("ITS", "TPC"):
        rest_as(core, "shift", "PUT", f"/api/v1/locks/{detector}", {})
    _, reader = asks(core, "shift")
    listed = reader.ListOperations(
        v1.ListOperationsRequest(environment_id=environment), deadline_s=CALL_DEADLINE_S
    )
    operation = v1.AbortOperationRequest(id=listed.operations[-1].id)
    (task, *_) = core_tasks(core, environment)
    kill = v1.KillTasksRequest(task_ids=[task])
    restart = v1.RestartTaskRequest(task_id=task)
    for name, status in (
        ("nobody", "PERMISSION_DENIED"),
        ("tpc", "PERMISSION_DENIED"),
        # It is over, and the task is critical.
        ("shift", "FAILED_PRECONDITION"),
    ):
        _, extended = asks(core, name)
        for method, request in (("AbortOperation", operation), ("KillTasks", kill)):
            with pytest.raises(RpcError) as refused:
                getattr(extended, method)(request, deadline_s=CALL_DEADLINE_S)
            assert refused.value.status == status, (name, method)
    _, extended = asks(core, "tpc")
    with pytest.raises(RpcError) as refused:
        extended.RestartTask(restart, deadline_s=CALL_DEADLINE_S)
    assert refused.value.status == "PERMISSION_DENIED"


def core_tasks(core: RunningCore, environment_id: str) -> Sequence[str]:
    """The critical tasks of an environment."""
    tasks = core.environment(environment_id).tasks
    return [task.taskId for task in tasks if task.critical]


def test_rest_refuses_what_grpc_refuses(core: RunningCore, environment: str) -> None:
    path = f"/api/v1/environments/{environment}"
    for method, suffix, body in (
        ("POST", "/transitions", {"type": "START_ACTIVITY"}),
        ("DELETE", "", None),
        ("POST", "/modifications", {"exclude": ["duo.other"]}),
    ):
        for name in ("nobody", "its"):
            status, answer, _ = rest_as(core, name, method, path + suffix, body)
            assert (status, answer["code"]) == (403, "role_insufficient"), (name, method, answer)
    assert rest_as(core, "shift", "GET", "/api/v1/audit")[0] == 403
    assert rest_as(core, "shift", "POST", "/api/v1/cleanups", {})[0] == 403
    assert rest_as(core, "nobody", "GET", path)[0] == 200


# --- locks ---------------------------------------------------------------------------------


def test_an_environment_takes_the_locks_of_its_detectors(
    core: RunningCore, environment: str
) -> None:
    control, _ = asks(core, "shift")
    request = start(environment)
    with pytest.raises(RpcError) as caught:
        control.ControlEnvironment(request, deadline_s=5)
    assert caught.value.trailing[ERROR_CODE] == "lock_missing"
    assert "ITS (free), TPC (free)" in caught.value.message
    assert rest_as(core, "shift", "PUT", "/api/v1/locks/its", {"reason": "scan"})[0] == 200
    path = f"/api/v1/environments/{environment}/transitions?wait=30"
    status, answer, _ = rest_as(core, "shift", "POST", path, {"type": "START_ACTIVITY"})
    assert (status, answer["code"], answer["missing_locks"]) == (403, "lock_missing", ["TPC"])
    rest_as(core, "shift", "PUT", "/api/v1/locks/TPC", {})
    for event in ("START_ACTIVITY", "STOP_ACTIVITY"):
        assert rest_as(core, "shift", "POST", path, {"type": event})[0] == 200


def test_a_creation_is_refused_when_its_detectors_are_known(core: RunningCore) -> None:
    tasks = len(core.tasks())
    control, _ = asks(core, "its")
    wanted = o2control_pb2.NewEnvironmentRequest(
        workflowTemplate=core.template("duo"), vars={"detectors": '["MFT","ITS"]'}
    )
    assert refusal(lambda: control.NewEnvironment(wanted, deadline_s=30)) == (
        "PERMISSION_DENIED",
        "role_insufficient",
    )
    control, _ = asks(core, "shift")
    rest_as(core, "shift", "PUT", "/api/v1/locks/ITS", {})
    wanted.vars["detectors"] = '["MFT"]'
    assert refusal(lambda: control.NewEnvironment(wanted, deadline_s=30)) == (
        "PERMISSION_DENIED",
        "lock_missing",
    )
    assert len(core.tasks()) == tasks


def test_a_kill_is_for_administrators(core: RunningCore) -> None:
    rest_as(core, "shift", "PUT", "/api/v1/locks/MCH", {})
    status, answer, _ = rest_as(
        core,
        "shift",
        "POST",
        "/api/v1/environments?wait=30",
        {"template": core.template("duo"), "variables": {"detectors": '["MCH"]'}},
    )
    assert status == 200, answer
    path = f"/api/v1/environments/{answer['environmentId']}?force=true&wait=30"
    status, refused, _ = rest_as(core, "shift", "DELETE", path)
    assert (status, refused["code"]) == (403, "role_insufficient")
    status, refused, _ = rest_as(core, "boss", "DELETE", path)
    assert (status, refused["code"]) == (403, "lock_missing")
    headers = {"Authorization": f"Bearer {TOKENS['boss']}", "aliecs-reason": "it hangs"}
    assert core.rest("DELETE", path, headers=headers)[0] == 200
    entry = core.rest("GET", "/api/v1/audit?action=DestroyEnvironment&limit=1")[1]["entries"][0]
    assert (entry["user"], entry["reason"], entry["result"]) == ("boss", "it hangs", "done")


def test_a_lock_has_one_owner(core: RunningCore) -> None:
    status, answer, _ = rest_as(core, "its", "PUT", "/api/v1/locks/ITS", {"reason": "mine"})
    assert status == 200
    assert answer["locks"][0]["mine"]
    status, answer, _ = rest_as(core, "shift", "PUT", "/api/v1/locks/ITS", {})
    assert (status, answer["code"]) == (409, "lock_taken")
    assert "held by its since" in answer["detail"]
    assert "mine" in answer["detail"]
    status, answer, _ = rest_as(core, "shift", "PUT", "/api/v1/locks/ITS", {"force": True})
    assert (status, answer["code"]) == (403, "role_insufficient")
    assert rest_as(core, "shift", "DELETE", "/api/v1/locks/ITS")[0] == 409
    assert rest_as(core, "tpc", "PUT", "/api/v1/locks/ITS", {})[0] == 403
    assert rest_as(core, "its", "PUT", "/api/v1/locks/ALL", {})[0] == 403
    status, answer, _ = rest_as(core, "shift", "PUT", "/api/v1/locks/ALL", {"reason": "beam"})
    assert status == 200
    assert [lock["detector"] for lock in answer["leftOut"]] == ["ITS"]
    assert len(answer["locks"]) > 10
    status, answer, _ = rest_as(core, "boss", "PUT", "/api/v1/locks/ITS", {"force": True})
    assert (status, answer["locks"][0]["owner"]) == (200, "boss")
    status, answer, _ = rest_as(core, "boss", "PUT", "/api/v1/locks/ITS", {"to": "its"})
    assert answer["locks"][0]["owner"] == "its"
    assert rest_as(core, "its", "DELETE", "/api/v1/locks/ITS")[0] == 200
    assert rest_as(core, "its", "DELETE", "/api/v1/locks/ITS")[0] == 200
    status, answer, _ = rest_as(core, "boss", "PUT", "/api/v1/locks/XYZ", {})
    assert status == 404
    assert "TPC" in answer["detail"]


def test_a_lock_may_end_by_itself(core: RunningCore) -> None:
    rest_as(core, "its", "PUT", "/api/v1/locks/ITS", {"lasts": 1})

    def is_free() -> bool:
        lock = rest_as(core, "its", "GET", "/api/v1/locks?detector=ITS")[1]["locks"][0]
        return not lock["owner"]

    core.wait_until(is_free, 10.0, "the lock is free")
    assert rest_as(core, "shift", "PUT", "/api/v1/locks/ITS", {})[0] == 200


def test_the_command_line_has_it_all(core: RunningCore, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKENS["shift"] + "\n")
    mine = ("--token-file", str(file))
    assert "GLOBAL" in core.coconut("whoami", *mine).stdout
    taken = core.coconut("lock", "take", "its", "tpc", "-r", "scan", "-l", "8h", *mine).stdout
    assert "ITS is locked by shift until" in taken
    listed = core.coconut("lock", "list", *mine, "--output", "json").stdout
    assert {lock["detector"] for lock in json.loads(listed)} == {"ITS", "TPC"}
    assert "ITS is locked by bob" in core.coconut("lock", "give", "ITS", "-t", "bob", *mine).stdout
    refused = core.coconut("lock", "release", "ITS", *mine, check=False)
    assert refused.returncode == 1
    assert "held by bob" in refused.stderr
    assert "TPC is free" in core.coconut("lock", "release", "ALL", *mine).stdout
    file.write_text(TOKENS["boss"] + "\n")
    audit = json.loads(core.coconut("audit", "-u", "shift", "-o", "json", *mine).stdout)
    assert [(one["action"], one["result"]) for one in audit[:3]] == [
        ("ReleaseLock", "done"),
        ("ReleaseLock", "failed"),
        ("HandOverLock", "done"),
    ]
    assert "ReleaseLock" in core.coconut("audit", *mine).stdout
    nobody = core.coconut("info", check=False)
    assert nobody.returncode == 1
    assert "who are you?" in nobody.stderr


def test_the_configuration_is_read_by_all_and_changed_by_few(
    core: RunningCore, tmp_path: Path
) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"a": 1}\n')
    order = ("configuration", "import", "trial", "entry", str(payload), "--new-component")
    told = core.coconut(*order, check=False)
    assert told.returncode != 0
    assert "who are you?" in told.stderr
    file = tmp_path / "token"
    file.write_text(TOKENS["its"])
    told = core.coconut(*order, "--token-file", str(file), check=False)
    assert "ImportPayload takes the role GLOBAL; its has DETECTOR" in told.stderr
    file.write_text(TOKENS["shift"])
    core.coconut(*order, "--token-file", str(file))
    assert '"a": 1' in core.coconut("configuration", "show", "trial", "entry").stdout


# --- people --------------------------------------------------------------------------------


def test_a_token_of_the_provider_is_known(core: RunningCore, provider: OpenIdProvider) -> None:
    status, answer, _ = rest_as(core, provider.token(), "GET", "/api/v1/session")
    assert status == 200
    assert (answer["name"], answer["person"], answer["detectors"]) == ("alice", "4711", ["ITS"])
    control, _ = core.stubs(provider.token(cern_roles=["admin"]))
    control.CleanupTasks(o2control_pb2.CleanupTasksRequest(taskIds=["none"]), deadline_s=5)


@pytest.mark.parametrize(
    ("claims", "what"),
    [
        ({"exp": 1}, "too old"),
        ({"exp": None}, "exp"),
        ({"aud": "somebody else"}, "Audience"),
        ({"iss": "http://127.0.0.1/other"}, "issuer"),
    ],
)
def test_a_token_for_others_is_refused(
    core: RunningCore, provider: OpenIdProvider, claims: dict[str, Any], what: str
) -> None:
    status, answer, _ = rest_as(core, provider.token(**claims), "GET", "/api/v1/session")
    assert status == 401
    assert what in answer["detail"]


def test_a_token_without_signature_is_refused(core: RunningCore, provider: OpenIdProvider) -> None:
    head, body, signature = provider.token().split(".")
    for forged in (f"{head}.{body}.", f"{head}.{body}.{signature[:-6]}AAAAAA"):
        assert rest_as(core, forged, "GET", "/api/v1/session")[0] == 401


def test_the_same_name_with_another_number_is_another_person(
    core: RunningCore, provider: OpenIdProvider
) -> None:
    first, second = provider.token(), provider.token(cern_person_id=12)
    assert rest_as(core, first, "PUT", "/api/v1/locks/ITS", {})[0] == 200
    assert rest_as(core, second, "PUT", "/api/v1/locks/ITS", {})[0] == 409
    assert rest_as(core, second, "DELETE", "/api/v1/locks/ITS")[0] == 409
    assert rest_as(core, first, "DELETE", "/api/v1/locks/ITS")[0] == 200


class Browser:
    """Follows redirects one at a time and keeps cookies."""

    def __init__(self, core: RunningCore) -> None:
        self.cookies: dict[str, str] = {}
        self.core = core

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPResponse]:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        path = f"{parts.path}?{parts.query}"
        connection.request(method, path, headers={"Cookie": cookies, **(headers or {})})
        answer = connection.getresponse()
        body = answer.read()
        for line in answer.headers.get_all("Set-Cookie", []):
            assert "httponly" in line.lower()
            assert "samesite=lax" in line.lower()
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, body, answer

    def log_in(self) -> http.client.HTTPResponse:
        url = f"{self.core.addresses['rest']}/api/v1/auth/login?back=/here"
        for _ in range(2):
            status, body, answer = self.ask("GET", url)
            assert status == 302, body
            url = str(answer.headers["Location"])
        return self.ask("GET", url)[2]


def test_a_person_logs_in_by_browser(core: RunningCore, provider: OpenIdProvider) -> None:
    browser, base = Browser(core), core.addresses["rest"]
    answer = browser.log_in()
    assert (answer.status, answer.headers["Location"]) == (302, "/here")
    status, body, _ = browser.ask("GET", f"{base}/api/v1/session")
    session = json.loads(body)
    assert (status, session["name"], session["person"]) == (200, "alice", "4711")

    # A page of somebody else acts in vain.
    status, body, _ = browser.ask(
        "PUT", f"{base}/api/v1/locks/ITS", {"Origin": "http://evil.example"}
    )
    assert (status, json.loads(body)["code"]) == (403, "forbidden")

    status, body, _ = browser.ask("POST", f"{base}/api/v1/auth/tickets")
    assert status == 201
    ticket = json.loads(body)["ticket"]
    bare = {"Authorization": ""}
    path = f"/api/v1/session?ticket={ticket}"
    assert core.rest("GET", path, headers=bare)[1]["name"] == "alice"
    assert core.rest("GET", path, headers=bare)[0] == 401

    cookie = browser.cookies["aliecs_session"]
    assert browser.ask("POST", f"{base}/api/v1/auth/logout")[0] == 204
    browser.cookies["aliecs_session"] = cookie
    status, body, _ = browser.ask("GET", f"{base}/api/v1/session")
    assert status == 401
    assert "logged out" in json.loads(body)["detail"]
    entry = core.rest("GET", "/api/v1/audit?action=Login")[1]["entries"][0]
    assert (entry["user"], entry["result"]) == ("alice", "done")


def test_a_login_is_bound_to_its_browser(core: RunningCore, provider: OpenIdProvider) -> None:
    """Whoever is sent the end of somebody else's login is not logged in as that person."""
    attacker, victim = Browser(core), Browser(core)
    url = f"{core.addresses['rest']}/api/v1/auth/login"
    for _ in range(2):
        url = str(attacker.ask("GET", url)[2].headers["Location"])
    status, body, _ = victim.ask("GET", url)
    assert status == 401
    assert "another browser" in json.loads(body)["detail"]
    assert "aliecs_session" not in victim.cookies
    assert attacker.ask("GET", url)[0] == 401, "it is good once"


def test_a_browser_is_sent_to_our_own_pages_only(
    core: RunningCore, provider: OpenIdProvider
) -> None:
    browser = Browser(core)
    url = f"{core.addresses['rest']}/api/v1/auth/login?back=//evil.example/"
    for _ in range(2):
        url = str(browser.ask("GET", url)[2].headers["Location"])
    assert browser.ask("GET", url)[2].headers["Location"] == "/"


def test_the_provider_may_be_away_for_those_who_are_known(
    core: RunningCore, provider: OpenIdProvider
) -> None:
    known = provider.token()
    assert rest_as(core, known, "GET", "/api/v1/session")[0] == 200
    provider.is_away = True
    try:
        assert rest_as(core, known, "GET", "/api/v1/session")[0] == 200
        assert rest_as(core, provider.token(), "GET", "/api/v1/session")[0] == 200
    finally:
        provider.is_away = False


def test_a_stream_ends_with_the_credentials(core: RunningCore, provider: OpenIdProvider) -> None:
    ends_s = time.time() - 27  # thirty more are granted for clocks that differ
    token = provider.token(exp=int(ends_s))
    address = urllib.parse.urlsplit(core.addresses["rest"]).netloc
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert b'"user":"alice"' in answer.readline() + answer.readline()
    answer.read()
    assert time.time() >= ends_s + 29
    connection.close()


# --- over time -----------------------------------------------------------------------------


def test_a_token_is_taken_back_without_a_restart(core: RunningCore) -> None:
    path = Path(core.settings["tokenFile"])
    before = path.read_text()
    token = new_token()
    path.write_text(before + entry_for("guest", token, ["guest"]))
    core.wait_until(
        lambda: rest_as(core, token, "GET", "/api/v1/session")[0] == 200, 15.0, "it is known"
    )
    path.write_text(before + "- rubbish\n")
    core.wait_until(lambda: "stay valid" in core.log(), 15.0, "the fault is told")
    assert rest_as(core, token, "GET", "/api/v1/session")[0] == 200
    path.write_text(before)
    core.wait_until(
        lambda: rest_as(core, token, "GET", "/api/v1/session")[0] == 401, 15.0, "it is unknown"
    )
    assert len(yaml.safe_load(before)) == len(ACCESS) + 1


def test_locks_sessions_and_the_audit_outlive_the_core(
    core: RunningCore, provider: OpenIdProvider, environment: str
) -> None:
    browser = Browser(core)
    browser.log_in()
    rest_as(core, "its", "PUT", "/api/v1/locks/ITS", {"reason": "noise run"})
    lock = rest_as(core, "its", "GET", "/api/v1/locks?detector=ITS")[1]["locks"][0]
    assert core.stop() in (0, 143, -15)
    core.start()
    kept = rest_as(core, "its", "GET", "/api/v1/locks?detector=ITS")[1]["locks"][0]
    assert {**kept, "environmentId": ""} == {**lock, "environmentId": ""}
    assert browser.ask("GET", f"{core.addresses['rest']}/api/v1/session")[0] == 200
    entries = core.rest("GET", "/api/v1/audit?user=its")[1]["entries"]
    assert (entries[0]["action"], entries[0]["reason"]) == ("TakeLock", "noise run")


def test_reads_are_not_written_down(core: RunningCore) -> None:
    since = int(time.time() * 1000)
    for _ in range(3):
        rest_as(core, "nobody", "GET", "/api/v1/environments")
    assert core.rest("GET", f"/api/v1/audit?since={since}&user=nobody")[1]["entries"] == []
