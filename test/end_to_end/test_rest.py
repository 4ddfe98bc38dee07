"""REST, the event stream and the manhole: the same operations through other doors."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.conch.ssh.keys import Key

from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
API = "/api/v1"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("core")
    password = folder / "manhole_password"
    password.write_text("open sesame\n")
    settings = {"manholePasswordFile": str(password), "taskUsageInterval": "200ms"}
    with RunningCore(folder, settings=settings) as running:
        yield running


def test_health(core: RunningCore) -> None:
    assert core.rest("GET", "/healthz")[:2] == (200, {"status": "ok"})
    assert core.rest("GET", "/readyz")[:2] == (200, {"ready": True})


def test_what_the_core_is(core: RunningCore) -> None:
    status, body, headers = core.rest("GET", f"{API}/framework")
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert body["state"] == "CONNECTED"
    assert body["hostsCount"] == 3
    assert body["version"]["productName"] == "AliECS"
    assert isinstance(body["timestamp"], int)
    status, body, _ = core.rest("GET", f"{API}/services")
    assert body["services"]["testplugin"]["connectionState"] == "READY"
    status, body, _ = core.rest("GET", f"{API}/repositories?include=revisions")
    assert [r["name"] for r in body["repos"] if r["default"]] == ["builtin"]
    status, body, _ = core.rest("GET", f"{API}/workflow-templates")
    demo = next(t for t in body["workflowTemplates"] if t["template"] == "demo")
    assert demo["varSpecMap"]["block_rate"]["widget"] == "slider"


def test_what_the_api_says_of_itself(core: RunningCore) -> None:
    status, document, headers = core.rest("GET", f"{API}/openapi.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == core.rest("GET", f"{API}/framework")[1]["version"][
        "versionStr"
    ]
    # Without its slash, the place of the page leads to it.
    with urllib.request.urlopen(core.addresses["rest"] + API, timeout=10) as answer:
        assert answer.url.endswith(f"{API}/")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "/api/v1/environments" in answer.read().decode()


def test_requests_that_are_too_large(core: RunningCore) -> None:
    body = {"template": DEMO, "variables": {"a": "x" * 5_000_000}}
    status, problem, _ = core.rest("POST", f"{API}/environments", body)
    assert (status, problem["code"]) == (413, "too_large")
    # More than is kept of any body is still read to its end, and answered.
    body["variables"]["a"] *= 3
    assert core.rest("POST", f"{API}/environments", body)[0] == 413
    status, problem, headers = core.rest("GET", f"{API}/environments?state=" + "x" * 300_000)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert "longer than 262144 bytes" in problem["detail"]
    assert core.rest("GET", "/healthz")[0] == 200


def test_a_method_that_a_path_does_not_have(core: RunningCore) -> None:
    status, problem, headers = core.rest("PUT", f"{API}/hosts/flp001", {})
    assert (status, problem["code"]) == (405, "path")
    assert headers["Allow"] == "GET, HEAD, PATCH"


def test_a_whole_life(core: RunningCore) -> None:
    status, operation, headers = core.rest(
        "POST",
        f"{API}/environments?wait=30",
        {"template": {"repository": "builtin", "name": "demo", "revision": "main"}, "user": "me"},
    )
    assert status == 200, operation
    assert operation["state"] == "OPERATION_STATE_SUCCEEDED"
    assert operation["requestedBy"] == "me"
    assert headers["Location"] == f"{API}/operations/{operation['id']}"
    environment = operation["environmentId"]
    status, operation, _ = core.rest(
        "POST", f"{API}/environments/{environment}/transitions?wait=30", {"type": "START_ACTIVITY"}
    )
    assert (status, operation["state"]) == (200, "OPERATION_STATE_SUCCEEDED")
    status, body, _ = core.rest("GET", f"{API}/environments/{environment}?workflow=true")
    assert body["environment"]["state"] == "RUNNING"
    assert body["environment"]["currentRunNumber"] > 0
    assert body["workflow"]["fullPath"] == "demo"
    status, body, _ = core.rest("GET", f"{API}/environments/{environment}/roles?path=demo.sender")
    (role,) = body["roles"]
    task = role["taskIds"][0]
    status, body, _ = core.rest("GET", f"{API}/tasks/{task}")
    assert body["task"]["taskPath"] == "demo.sender"
    assert "aliecs.occ.example.sender" in body["task"]["commandInfo"]["arguments"]
    check_usage(core, environment, task)
    status, body, _ = core.rest(
        "POST", f"{API}/environments/{environment}/transitions?wait=30", {"type": "stop_activity"}
    )
    assert status == 200
    status, body, _ = core.rest("GET", f"{API}/tasks/{task}/logs?tail=1")
    assert body["lines"][0].startswith("run=")
    status, operation, headers = core.rest("DELETE", f"{API}/environments/{environment}")
    assert status == 202
    core.wait_until(
        lambda: core.rest("GET", headers["Location"])[1]["state"] == "OPERATION_STATE_SUCCEEDED",
        30,
        "the environment is destroyed",
    )
    status, body, _ = core.rest("GET", f"{API}/environments/{environment}")
    assert status == 404
    status, body, _ = core.rest("GET", f"{API}/history?limit=1")
    assert body["environments"][0]["id"] == environment
    assert [t["event"] for t in body["environments"][0]["transitions"]] == [
        "DEPLOY",
        "CONFIGURE",
        "START_ACTIVITY",
        "STOP_ACTIVITY",
        "RESET",
        "DESTROY",
    ]


def check_usage(core: RunningCore, environment: str, task: str) -> None:
    """All tasks of a running demo are told of, the largest first."""
    path = f"{API}/task-usage?environment={environment}&order=memory"

    def told() -> list[dict[str, Any]]:
        status, body, _ = core.rest("GET", path)
        assert status == 200, body
        tasks: list[dict[str, Any]] = body["tasks"]
        # The command of the demo has a process of its own a little later than the others.
        return tasks if len(tasks) == 6 and any(one["processors"] for one in tasks) else []

    tasks = core.wait_until(told, 20, "what tasks use is known")
    memory = [one["memoryBytes"] for one in tasks]
    assert memory == sorted(memory, reverse=True)
    assert memory[-1] > 500_000
    _, body, _ = core.rest("GET", f"{API}/task-usage?task={task}&task=x")
    (one,) = body["tasks"]
    assert (one["taskId"], one["role"], one["processes"]) == (task, "demo.sender", 1)
    assert one["openFiles"] > 3
    _, body, _ = core.rest("GET", f"{path}&limit=1")
    assert len(body["tasks"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "text"),
    [
        ("GET", "/nowhere", None, 404, "path", "/nowhere"),
        ("GET", f"{API}/environments/0O", None, 400, "invalid_input", "bad environment id"),
        ("GET", f"{API}/environments/2rvUhqKFcLZ", None, 404, "not_found", "no environment"),
        ("GET", f"{API}/environments?all=maybe", None, 400, "invalid_input", "true or false"),
        ("GET", f"{API}/tasks/x", None, 404, "not_found", "task not found"),
        ("GET", f"{API}/task-usage?order=size", None, 400, "invalid_input", "it can be age"),
        ("GET", f"{API}/task-usage?environment=2rvUhqKFcLZ", None, 404, "not_found", "no env"),
        ("GET", f"{API}/operations/x", None, 404, "not_found", "no operation"),
        ("POST", f"{API}/environments", {}, 400, "invalid_input", "template is missing"),
        ("POST", f"{API}/environments", [1], 400, "invalid_input", "not a JSON object"),
        (
            "POST",
            f"{API}/environments",
            {"template": "x", "colour": 1},
            400,
            "invalid_input",
            "unknown fields: colour",
        ),
        (
            "POST",
            f"{API}/environments?wait=20",
            {"template": "builtin/workflows/nothing@main"},
            404,
            "not_found",
            "nothing",
        ),
    ],
)
def test_bad_requests(
    core: RunningCore, method: str, path: str, body: Any, status: int, code: str, text: str
) -> None:
    answer, problem, headers = core.rest(method, path, body)
    assert (answer, problem["code"]) == (status, code), problem
    assert text in problem["detail"]
    assert problem["message"] == problem["detail"]
    assert headers["Content-Type"] == "application/problem+json"


def test_a_problem_names_the_environment(core: RunningCore) -> None:
    status, problem, _ = core.rest("GET", f"{API}/environments/2rvUhqKFcLZ/roles")
    assert (status, problem["environment_id"]) == (404, "2rvUhqKFcLZ")
    assert "environment_id" not in core.rest("GET", f"{API}/tasks/x")[1]


def test_not_json(core: RunningCore) -> None:
    request = urllib.request.Request(
        core.addresses["rest"] + f"{API}/environments", data=b"{", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as problem:
        urllib.request.urlopen(request, timeout=10)
    assert problem.value.code == 400
    assert "not JSON" in json.loads(problem.value.read())["detail"]


def test_the_manhole_lets_in_whom_it_should(core: RunningCore, tmp_path: Path) -> None:
    user, _, place = core.addresses["manhole"].partition("@")
    _, _, port = place.partition(":")
    key = core.working_dir / "manhole_host_key"
    assert key.stat().st_mode & 0o077 == 0
    assert re.fullmatch(r"ssh-ed25519", Key.fromFile(str(key)).sshType().decode())
    script = tmp_path / "client.py"
    script.write_text(MANHOLE_CLIENT)
    for password, expected in (("open sesame", "CONNECTED"), ("wrong", "refused")):
        done = subprocess.run(
            [core_python(), str(script), port, user, password],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert expected in done.stdout, done.stdout + done.stderr


def core_python() -> str:
    import sys

    return sys.executable


MANHOLE_CLIENT = """
import sys
from twisted.conch.client.knownhosts import KnownHostsFile
from twisted.conch.endpoints import SSHCommandClientEndpoint
from twisted.conch.ssh import channel, connection, keys, session, transport, userauth
from twisted.internet import defer, protocol, reactor

port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]

class Auth(userauth.SSHUserAuthClient):
    tries = 0
    def getPassword(self, prompt=None):
        self.tries += 1
        if self.tries > 1:
            return None
        return defer.succeed(password.encode())
    def getPublicKey(self):
        return None

class Shell(channel.SSHChannel):
    name = b"session"
    seen = b""
    def channelOpen(self, data):
        size = (24, 80, 0, 0)
        self.conn.sendRequest(self, b"pty-req", session.packRequest_pty_req(b"xterm", size, b""))
        self.conn.sendRequest(self, b"shell", b"", wantReply=1)
        reactor.callLater(1, self.write, b"print(backend.state)\\r")
    def dataReceived(self, data):
        self.seen += data
        text = self.seen.split(b"print(backend.state)")[-1]
        if b"CONNECTED" in text:
            print("CONNECTED")
            reactor.stop()

class Connection(connection.SSHConnection):
    def serviceStarted(self):
        self.openChannel(Shell(conn=self))

class Transport(transport.SSHClientTransport):
    def verifyHostKey(self, key, fingerprint):
        return defer.succeed(True)
    def connectionSecure(self):
        self.requestService(Auth(user.encode(), Connection()))
    def connectionLost(self, reason):
        if reactor.running:
            print("refused")
            reactor.stop()

protocol.ClientCreator(reactor, Transport).connectTCP("127.0.0.1", port)
reactor.callLater(20, reactor.stop)
reactor.run()
"""


def test_a_page_of_somebody_else_acts_in_vain(core: RunningCore) -> None:
    """Nobody is asked who calls, so the browser of whoever sits at this machine could be used."""
    path, body = "/api/v1/environments", {"template": DEMO}
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        status, answer, _ = core.rest("POST", path, body, headers)
        assert (status, answer["code"]) == (403, "forbidden")
    status, _, _ = core.rest("GET", path, headers={"Host": "evil.example"})
    assert status == 403
    assert core.rest("GET", path, headers={"Host": "localhost:1"})[0] == 200
