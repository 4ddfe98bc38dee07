"""Requests made by chance from the OpenAPI document, valid and faulty ones, against a real core.

No answer is a fault of the server, has a status or a form that the document does not tell of, and
what the document does not allow is refused. `ALIECS_REQUESTS_BY_CHANCE` says how many there are for
each route.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import hypothesis
import msgspec
import pytest
import schemathesis
from schemathesis.specs.openapi import checks

from aliecs.api.rest.document import openapi
from aliecs.api.rest.table import SECTIONS
from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
COUNT = int(os.environ.get("ALIECS_REQUESTS_BY_CHANCE", "20"))
ENDLESS = ["/api/v1/events"]
GRAMMARS = {
    "GET /api/v1/environments": "cursor",
    "POST /api/v1/environments": "workflow expression",
    "GET /api/v1/environments/{environment_id}/roles": "cursor, glob",
    "GET /api/v1/environments/{environment_id}/tasks": "glob",
    "GET /api/v1/environments/{environment_id}/variables": "glob",
    "GET /api/v1/tasks": "glob",
    "POST /api/v1/repositories": "address of a repository",
    "PATCH /api/v1/repositories": "name of a revision",
    "PATCH /api/v1/repositories/{index}": "name of a revision",
    "GET /api/v1/workflow-templates": "glob",
    "POST /api/v1/workflow-inspections": "workflow expression, glob",
    "POST /api/v1/rpc/{service}/{method}": "any request",
}
"""Routes that refuse texts which no schema can tell from others, and what these are."""
TWO_ROUTES = {"POST /api/v1/repositories/refresh"}
"""Routes whose path another one with other methods takes for a part of its own."""

document = msgspec.json.decode(msgspec.json.encode(openapi(SECTIONS, "0")))
api = schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


@pytest.fixture(scope="module")
def there(core: RunningCore) -> Iterator[Mapping[str, str]]:
    """Parts of paths that lead to something."""
    status, operation, _ = core.rest("POST", "/api/v1/environments?wait=30", {"template": DEMO})
    assert status == 200, operation
    environment_id = operation["environmentId"]
    yield {
        "environment_id": environment_id,
        "operation_id": operation["id"],
        "task_id": core.task(environment_id, "demo.sender").taskId,
        "name": "flp001",
    }
    core.destroy(environment_id)


@api.exclude(path=ENDLESS).parametrize()
@hypothesis.settings(max_examples=COUNT, deadline=None)
def test_requests(case: Any, core: RunningCore) -> None:
    label = case.operation.label
    left_out = [checks.positive_data_acceptance] if label in GRAMMARS else []
    if label in TWO_ROUTES:
        left_out += [checks.unsupported_method, checks.allow_header_conformance]
    key = str((case.headers or {}).get("Idempotency-Key", ""))
    if key.isprintable() and 0 < len(key) <= 100:
        # Chance likes the same one twice, which is refused for another request.
        case.headers["Idempotency-Key"] = f"{key}{uuid4().hex}"
    elif key:
        left_out.append(checks.positive_data_acceptance)
    case.call_and_validate(base_url=core.addresses["rest"], excluded_checks=left_out)


@api.include(method="GET", path_regex="{(environment|task|operation)_id}|/hosts/").parametrize()
@hypothesis.settings(max_examples=COUNT, deadline=None)
def test_questions_about_what_is_there(
    case: Any, core: RunningCore, there: Mapping[str, str]
) -> None:
    case.path_parameters = {name: there[name] for name in case.path_parameters}
    # Whether a case was meant to be refused is no longer known.
    left_out = [checks.positive_data_acceptance, checks.negative_data_rejection]
    case.call_and_validate(base_url=core.addresses["rest"], excluded_checks=left_out)


def test_nothing_of_it_was_a_fault(core: RunningCore, there: Mapping[str, str]) -> None:
    assert core.environment(there["environment_id"]).state == "CONFIGURED"
    assert "Traceback" not in core.log()
