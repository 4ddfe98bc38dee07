"""Requests that nobody should make, to every method of the control API, against a real core.

Each is answered with a status that is documented, one that is refused changes nothing, and nothing
is logged that could be taken for something else. `ALIECS_REQUESTS_BY_CHANCE` says how many there
are for each method, beside those that are always made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import hypothesis
import pytest

from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.route import Method, service_methods
from test.end_to_end import hostile
from test.end_to_end.core import RunningCore

# After our own: see docs/dependencies.md.
import grpc  # isort: skip

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
COUNT = int(os.environ.get("ALIECS_REQUESTS_BY_CHANCE", "20"))
DEADLINE_S = 30.0

METHODS = {
    f"{service.full_name}/{name}": method
    for service in (
        o2control_pb2.DESCRIPTOR.services_by_name["Control"],
        aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"],
    )
    for name, method in service_methods(service).items()
}
QUESTIONS = "/(Get|List|Explain|Inspect|Preview)"
TEARDOWN = "o2control.Control/Teardown"
REFUSALS = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "RESOURCE_EXHAUSTED",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
}


class Client:
    """Sends bytes to methods, and says with which status they were answered."""

    def __init__(self, core: RunningCore) -> None:
        self.core = core
        self.channel = grpc.insecure_channel(
            core.addresses["grpc"], options=[("grpc.max_receive_message_length", -1)]
        )

    def status(self, method: Method, request: bytes) -> str:
        """Call a method. Of a stream that begins, the status is OK."""
        try:
            if method.streams:
                stream = self.channel.unary_stream(method.path)(request, timeout=0.2)
                next(iter(stream), None)
                return "OK"
            self.channel.unary_unary(method.path)(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    def check(self, method: Method, request: bytes) -> None:
        """A request is done, or refused as it is documented."""
        before = self.seen()
        status = self.status(method, request)
        shown = f"{method.path} with {request[:60]!r} ({len(request)} bytes)"
        assert status in REFUSALS | {"OK"}, f"{shown}: {status}"
        if status != "OK":
            assert self.seen() == before, f"{shown}: {status}, and something has changed"

    def seen(self) -> Any:
        """What a refused request must leave as it was."""
        core = self.core
        hosts = core.extended.ListHosts(aliecs_v1_pb2.ListHostsRequest(), deadline_s=10).hosts
        repositories = core.control_stub.ListRepos(o2control_pb2.ListReposRequest(), deadline_s=10)
        return (
            [(one.id, one.state, one.currentTransition) for one in core.environments()],
            [(one.taskId, one.state, one.locked) for one in core.tasks()],
            [(host.name, host.HasField("drain")) for host in hosts],
            [(repo.name, repo.default, repo.defaultRevision) for repo in repositories.repos],
            repositories.globalDefaultRevision,
        )


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


@pytest.fixture(scope="module")
def bystander(core: RunningCore) -> str:
    """An environment that nobody asks for anything."""
    return str(core.create(DEMO).id)


@pytest.fixture(scope="module")
def client(core: RunningCore, bystander: str) -> Iterator[Client]:
    made = Client(core)
    yield made
    made.channel.close()


@pytest.mark.parametrize("name", METHODS)
def test_bytes_that_are_no_message(client: Client, name: str) -> None:
    method = METHODS[name]
    for request in hostile.unreadable(method.request):
        assert client.status(method, request) == "INVALID_ARGUMENT", request


@pytest.mark.parametrize("name", sorted(set(METHODS) - {TEARDOWN}))
def test_fields_in_a_form_that_they_do_not_have(client: Client, name: str) -> None:
    for request in hostile.wrong_wires(METHODS[name].request):
        client.check(METHODS[name], request)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {TEARDOWN}))
def test_one_odd_field(client: Client, name: str) -> None:
    for message in hostile.messages(METHODS[name].request):
        client.check(METHODS[name], message.SerializeToString())


@pytest.mark.parametrize("name", sorted(set(METHODS) - {TEARDOWN}))
def test_several_odd_fields(client: Client, bystander: str, name: str) -> None:
    # What is there may be asked about; an action on it would be one.
    known: Sequence[str] = ()
    if re.search(QUESTIONS, name):
        task = client.core.task(bystander, "demo.sender")
        known = (bystander, task.taskId, task.deploymentInfo.hostname, DEMO, "demo.**", "DESTROY")

    @hypothesis.settings(
        max_examples=COUNT, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(message=hostile.combined(METHODS[name].request, known))
    def run(message: Any) -> None:
        client.check(METHODS[name], message.SerializeToString())

    run()


def test_odd_names_of_what_is_to_be_modified(client: Client, bystander: str) -> None:
    for service, request in (
        ("o2control.Control", o2control_pb2.ModifyEnvironmentRequest(id=bystander)),
        ("aliecs.v1.Control", aliecs_v1_pb2.ModifyEnvironmentRequest(environment_id=bystander)),
    ):
        method = METHODS[f"{service}/ModifyEnvironment"]
        for field in request.DESCRIPTOR.fields:
            if field.is_repeated:
                for value in hostile.values(field):
                    odd = type(request)()
                    odd.CopyFrom(request)
                    hostile.set_field(odd, field, value)
                    client.check(method, odd.SerializeToString())


def test_a_request_that_is_too_large(client: Client) -> None:
    method = METHODS["o2control.Control/GetEnvironment"]
    request = method.request(id="x" * 17_000_000)  # type: ignore[call-arg]
    assert client.status(method, request.SerializeToString()) == "RESOURCE_EXHAUSTED"


def test_nothing_of_it_was_a_fault(core: RunningCore, client: Client, bystander: str) -> None:
    assert core.environment(bystander).state == "CONFIGURED"
    log = core.log()
    assert "Traceback" not in log
    assert not re.search(f"^{re.escape(hostile.FORGED)}", log, re.M)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", log)
    assert all(re.match(r"\d{4}-\d\d-\d\d |    ", line) for line in log.splitlines())
