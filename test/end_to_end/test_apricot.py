"""The configuration served by real processes: from a core, alone, and from one to another."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliecs.configuration.wire import APRICOT
from aliecs.protocol.protos import apricot_pb2, o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.status import RpcError
from aliecs.txgrpc.stub import Stub
from test.docs.documents import ROOT
from test.end_to_end.apricot import RunningApricot, coconut
from test.end_to_end.core import BIN, RunningCore

pytestmark = pytest.mark.end_to_end

PATH = "qc/ANY/any/entry"


@pytest.fixture(scope="module")
def apricot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApricot]:
    with RunningApricot(tmp_path_factory.mktemp("apricot")) as running:
        yield running


def fetch(address: str, path: str) -> str:
    with urllib.request.urlopen(address + path, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def imported(tmp_path: Path, uri: str, text: str, *options: str) -> str:
    """Import a text as the entry of `PATH`."""
    file = tmp_path / "payload.json"
    file.write_text(text)
    return coconut(uri, "import", PATH, str(file), *options)


def test_on_its_own(apricot: RunningApricot, tmp_path: Path) -> None:
    told = imported(tmp_path, apricot.uri, '{"a": 1}', "--new-component")
    assert f"new entry: {PATH}" in told
    imported(tmp_path, apricot.uri, '{"a": 2}', "--comment", "better")
    assert coconut(apricot.uri, "show", PATH) == '{"a": 2}\n'
    assert "better" in coconut(apricot.uri, "history", PATH)
    assert coconut(apricot.uri, "history", PATH, "--show", "1") == '{"a": 1}\n'
    address = apricot.addresses["http"]
    assert fetch(address, f"/components/{PATH}/?process=true") == '{"a": 2}\n'
    assert fetch(address, "/components") == "qc\n"
    with BlockingChannel(apricot.addresses["grpc"]) as channel:
        stub = Stub(channel, APRICOT)
        assert stub.NewRunNumber(apricot_pb2.Empty(), deadline_s=10).runNumber == 1
        with pytest.raises(RpcError, match="nil") as told_error:
            stub.GetRuntimeEntry(apricot_pb2.GetRuntimeEntryRequest(key="x"), deadline_s=10)
        assert told_error.value.status == "UNKNOWN"
    coconut(apricot.uri, "show", "qc", "nothing", code=4)
    coconut(apricot.uri, "show", "qc", code=1)
    coconut("apricot://127.0.0.1:1", "list", code=3)
    coconut(apricot.uri, "import", "gpu", "x", str(tmp_path / "payload.json"), code=6)


def test_what_it_keeps_survives_it(tmp_path: Path) -> None:
    with RunningApricot(tmp_path) as apricot:
        imported(tmp_path, apricot.uri, "{}", "-n")
    assert apricot.process.returncode == -signal.SIGTERM
    assert not (apricot.working_dir / "apricot.json").exists()
    with RunningApricot(tmp_path) as apricot:
        assert coconut(apricot.uri, "show", PATH) == "{}\n"
    assert "Traceback" not in apricot.log()


def test_one_hands_on_what_another_answers(apricot: RunningApricot, tmp_path: Path) -> None:
    with RunningApricot(tmp_path, f"--backendUri={apricot.uri}") as proxy:
        assert "only hands on" in proxy.log()
        told = coconut(proxy.uri, "dump", "o2/nothing", code=4)
        assert "o2/nothing" in told
        coconut(proxy.uri, "list", "nothing", code=4)


def test_who_wants_details_sees_every_call(tmp_path: Path) -> None:
    for options, told in ((), False), (("--verbose",), True):
        with RunningApricot(tmp_path, *options) as apricot:
            coconut(apricot.uri, "list")
            fetch(apricot.addresses["http"], "/components?format=json")
        assert ("/apricot.Apricot/ListComponents for ipv4:127.0.0.1" in apricot.log()) == told
        assert ("HTTP GET /components for 127.0.0.1: 200" in apricot.log()) == told


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--backendUri=ftp://x", "backendUri: 'ftp://x' is no address"),
        ("--workingDir=/proc/apricot", "workingDir: /proc/apricot cannot be made"),
        ("--backendUri=sqlite:///nowhere/x.db", "/nowhere is no folder"),
    ],
)
def test_it_says_in_one_line_why_it_does_not_start(tmp_path: Path, option: str, told: str) -> None:
    apricot = RunningApricot(tmp_path, option)
    apricot.launch()
    assert apricot.process.wait(30) == 1
    (line,) = [line for line in apricot.log().splitlines() if "apricot does not start" in line]
    assert told in line
    assert "Traceback" not in apricot.log()


def test_it_needs_the_right_reactor() -> None:
    done = subprocess.run(
        [BIN / "twistd", "-n", "--pidfile=", "--reactor=select", "apricot"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "twistd --reactor=asyncio apricot" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        place = tmp_path / "notify"
        manager.bind(str(place))
        manager.settimeout(20)
        told = {"NOTIFY_SOCKET": str(place), "WATCHDOG_USEC": "200000"}
        with RunningApricot(tmp_path / "one", outer=told):
            assert manager.recv(100) == b"READY=1"
            assert {manager.recv(100) for _ in range(3)} == {b"WATCHDOG=1"}


@pytest.mark.parametrize("setting", ["listenPort", "httpListenPort"])
def test_a_port_is_taken(tmp_path: Path, setting: str) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        apricot = RunningApricot(tmp_path, f"--{setting}={port}")
        apricot.launch()
        assert apricot.process.wait(30) == 1
    assert f"{setting}: 127.0.0.1:{port} cannot be listened on" in apricot.log()
    assert not apricot.working_dir.exists()


def test_a_variable_that_is_no_setting(tmp_path: Path) -> None:
    apricot = RunningApricot(tmp_path, variables={"LISTENPROT": "1"})
    apricot.launch()
    assert apricot.process.wait(30) == 1
    assert "APRICOT_LISTENPROT: there is no setting" in apricot.log()
    assert "did you mean 'listenPort'" in apricot.log()


def test_a_core_serves_its_configuration(tmp_path: Path) -> None:
    with RunningCore(tmp_path, hosts=["one"]) as core:
        uri = f"apricot://{core.addresses['apricot']}"
        imported(tmp_path, uri, "{}", "-n")
        assert fetch(core.addresses["apricot_http"], f"/components/{PATH}") == "{}\n"
        assert core.coconut("c", "list").stdout == "- qc\n"


WHERE = """
name: where
vars:
  seen: "{{ apricot_endpoint }}"
roles:
  - name: clock
    task: { load: clock }
"""


def test_workflows_know_where_it_is_served(tmp_path: Path) -> None:
    clock = (ROOT / "tasks" / "clock.yaml").read_text()
    workflows = {"workflows/where.yaml": WHERE, "tasks/clock.yaml": clock}
    with RunningCore(tmp_path, hosts=["one"], workflows=workflows) as core:
        environment = core.create(core.template("where"))
        request = o2control_pb2.GetRolesRequest(envId=environment.id, pathSpec="where")
        (role,) = core.control_stub.GetRoles(request, deadline_s=20).roles
        assert f"http://{role.vars['seen']}" == core.addresses["apricot_http"]
        # The tree has the last word.
        uri = f"apricot://{core.addresses['apricot']}"
        with BlockingChannel(uri.removeprefix("apricot://")) as channel:
            entry = {"component": "aliecs/defaults", "key": "apricot_endpoint", "value": "a:1"}
            Stub(channel, APRICOT).SetRuntimeEntry(
                apricot_pb2.SetRuntimeEntryRequest(**entry), deadline_s=20
            )
        environment = core.create(core.template("where"))
        request = o2control_pb2.GetRolesRequest(envId=environment.id, pathSpec="where")
        (role,) = core.control_stub.GetRoles(request, deadline_s=20).roles
        assert role.vars["seen"] == "a:1"


def test_a_core_may_keep_it_to_itself(tmp_path: Path) -> None:
    with RunningCore(tmp_path, hosts=["one"], settings={"serveApricot": False}) as core:
        assert not {"apricot", "apricot_http"} & set(core.addresses)


def test_a_core_with_the_configuration_of_another_process(
    apricot: RunningApricot, tmp_path: Path
) -> None:
    store = sqlite3.connect(apricot.working_dir / "configuration.db")
    with store:
        store.execute(
            "INSERT INTO entry VALUES ('o2/runtime/run_number', '4000')"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
        store.execute("INSERT INTO entry VALUES ('o2/runtime/aliecs/vars/known', 'yes')")
    store.close()
    settings = {"configServiceUri": apricot.uri}
    with RunningCore(tmp_path, hosts=["one"], settings=settings) as core:
        assert "apricot" not in core.addresses
        environment = core.create("builtin/workflows/minimal@main")
        assert environment.vars["known"] == "yes"
        assert core.control(environment.id, "START_ACTIVITY").currentRunNumber == 4001
        core.destroy(environment.id, allowInRunningState=True)


def test_a_core_whose_configuration_is_away(tmp_path: Path) -> None:
    core = RunningCore(tmp_path, hosts=["one"], settings={"configServiceUri": "apricot://[::1]:1"})
    try:
        with pytest.raises(AssertionError, match="no configuration service answers at"):
            core.start()
        assert core.process is not None
        assert core.process.returncode == 1
    finally:
        core.end_processes()
