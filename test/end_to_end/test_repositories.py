"""Repositories added, used and removed in a running core, with `coconut`, gRPC and REST."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.status import RpcError
from aliecs.txgrpc.stub import Stub
from test.end_to_end.core import RunningCore
from test.repository.gitting import WorkingCopy

pytestmark = pytest.mark.end_to_end

CONTROL = o2control_pb2.DESCRIPTOR.services_by_name["Control"]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


@pytest.fixture
def flows(tmp_path: Path) -> WorkingCopy:
    copy = WorkingCopy(tmp_path / "flows")
    copy.write("tasks/a.yaml", "name: a\n")
    copy.commit(one="name: !public one\nroles: []\n")
    copy.git("tag", "v1")
    return copy


def test_with_coconut(core: RunningCore, flows: WorkingCopy) -> None:
    name = f"file:{flows.path}"
    told = core.coconut("repository", "add", f"file://{flows.path}").stdout
    assert f"Repository added: file://{flows.path}\n" in told
    assert "the default revision is 'main' (fallback value)" in told
    index = 1 if name > "builtin" else 0
    listed = core.coconut("repo", "list").stdout
    assert f" {index} | {name}" in listed
    assert "[revision] v1" in core.coconut("template", "list", f"{index}@v1").stdout
    assert core.coconut("repo", "refresh", str(index)).stdout == "Repository refreshed.\n"
    assert core.coconut("repo", "update").stdout == "Repositories refreshed.\n"
    core.coconut("repo", "default-revision", name, "v1")
    core.coconut("repo", "default", name)
    assert "YES" in next(li for li in core.coconut("repo", "l").stdout.splitlines() if name in li)
    refused = core.coconut("repo", "default-revision", str(index), "nope", check=False)
    assert refused.returncode == 1
    assert refused.stdout.split() == ["main", "v1"]
    for wrong in ("nonsense", "-1", "1.5"):
        done = core.coconut("repo", "remove", "--", wrong, check=False)
        assert done.returncode == 1
    told = core.coconut("repo", "remove", str(index)).stdout
    assert "The default repository is now builtin" in told
    assert (flows.path / "workflows" / "one.yaml").is_file()
    core.coconut("repo", "default-revision", "main")
    assert core.coconut("repo", "l").stdout.endswith("Global default revision: main\n")


def test_over_rest(core: RunningCore, flows: WorkingCopy) -> None:
    api = "/api/v1/repositories"
    status, body, _ = core.rest("POST", api, {"name": str(flows.path)})
    assert (status, body["newDefaultRevision"]) == (201, "local")
    status, body, _ = core.rest("POST", api, {"name": str(flows.path)})
    assert (status, body["detail"]) == (409, "Repo already present")
    names = [repo["name"] for repo in core.rest("GET", api)[1]["repos"]]
    index = names.index(str(flows.path))
    assert core.rest("POST", f"{api}/{index}/refresh", {})[0] == 200
    assert core.rest("PATCH", f"{api}/{index}", {"defaultRevision": "v1"})[0] == 200
    status, body, _ = core.rest("PATCH", f"{api}/{index}", {"defaultRevision": "nope"})
    assert (status, "it has local, main, v1" in body["detail"]) == (404, True)
    for wrong in ({}, {"default": False}, {"default": True, "defaultRevision": "v1"}, {"a": 1}):
        assert core.rest("PATCH", f"{api}/{index}", wrong)[0] == 400
    assert core.rest("DELETE", f"{api}/7")[0] == 404
    assert core.rest("DELETE", f"{api}/x")[0] == 400
    assert core.rest("DELETE", f"{api}/{index}")[0] == 204
    assert str(flows.path) not in [repo["name"] for repo in core.rest("GET", api)[1]["repos"]]


def test_what_clients_of_the_protocol_see(core: RunningCore) -> None:
    with BlockingChannel(core.addresses["grpc"]) as channel:
        control = Stub(channel, CONTROL)
        for method, request, status in (
            ("AddRepo", o2control_pb2.AddRepoRequest(), "INVALID_ARGUMENT"),
            ("AddRepo", o2control_pb2.AddRepoRequest(name="\x00"), "INVALID_ARGUMENT"),
            ("RemoveRepo", o2control_pb2.RemoveRepoRequest(index=-1), "INVALID_ARGUMENT"),
            ("RemoveRepo", o2control_pb2.RemoveRepoRequest(index=0), "FAILED_PRECONDITION"),
            ("RefreshRepos", o2control_pb2.RefreshReposRequest(index=-2), "INVALID_ARGUMENT"),
            ("SetDefaultRepo", o2control_pb2.SetDefaultRepoRequest(index=9), "NOT_FOUND"),
            ("SetDefaultRepo", o2control_pb2.SetDefaultRepoRequest(), "FAILED_PRECONDITION"),
        ):
            with pytest.raises(RpcError) as told:
                getattr(control, method)(request, deadline_s=10)
            assert told.value.status == status, method


def test_a_repository_that_is_away_is_not_told_as_a_core_that_is_away(
    core: RunningCore, flows: WorkingCopy, tmp_path: Path
) -> None:
    name = f"file:{tmp_path}/nowhere/flows"
    done = core.coconut("repo", "add", name, check=False)
    assert done.returncode == 1
    assert "no core answers" not in done.stderr
    assert f"the repository {name}" in done.stderr
