"""The OpenAPI document of REST: valid, complete, and what the messages look like in JSON."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from aliecs.api.mapping import to_value
from aliecs.api.rest.document import openapi
from aliecs.api.rest.page import page
from aliecs.api.rest.table import ROUTES, SECTIONS
from aliecs.event.bus import Bus
from aliecs.event.record import EnvironmentEvent, RoleEvent, User
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2


def document() -> Any:
    """The document as clients get it."""
    return msgspec.json.decode(msgspec.json.encode(openapi(SECTIONS, "1.2.3")))


def check(name: str, value: Any) -> list[str]:
    """What is wrong with a value of a schema of the document."""
    schema = {**document(), "$ref": f"#/components/schemas/{name}"}
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


def test_it_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_every_route_is_in_it_once() -> None:
    told = {
        (method.upper(), re.sub(r"{(\w+)}", r"<\1>", path))
        for path, methods in document()["paths"].items()
        for method in methods
    }
    assert told == {(route.method, route.path) for route in ROUTES}
    names = Counter(route.handler.__name__ for route in ROUTES)
    assert [name for name, count in names.items() if count > 1] == []
    assert [route.path for route in ROUTES if not route.summary.endswith(".")] == []


def test_long_actions_say_how_they_answer() -> None:
    destroy = document()["paths"]["/api/v1/environments/{environment_id}"]["delete"]
    assert "wait" in [one["name"] for one in destroy["parameters"]]
    assert destroy["responses"]["202"]["headers"]["Location"]
    problem = destroy["responses"]["409"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}


def test_messages_are_as_their_schemas_say() -> None:
    environment = o2control_pb2.EnvironmentInfo(id="x", createdWhen=2**53, vars={"a": "b"})
    environment.tasks.add(name="t").deploymentInfo.hostname = "flp001"
    reply = o2control_pb2.GetEnvironmentReply(environment=environment)
    reply.workflow.roles.add(name="r").roles.add(name="s")
    assert check("o2control.GetEnvironmentReply", to_value(reply)) == []
    empty = to_value(o2control_pb2.GetEnvironmentReply())
    assert check("o2control.GetEnvironmentReply", empty) == []
    specification = o2control_pb2.VarSpecMessage(type=2, widget=3, allowedValues=["1"])
    assert check("o2control.VarSpecMessage", to_value(specification)) == []
    host = aliecs_v1_pb2.Host(name="flp001", cpus=1.5, attributes={"a": "b"})
    value = to_value(host)
    assert check("aliecs.v1.Host", value) == []
    for wrong in ({**value, "cpus": "1"}, {**value, "tasks": -1}, {"name": "flp001"}):
        assert check("aliecs.v1.Host", wrong) != []
    operation = to_value(aliecs_v1_pb2.Operation(state=aliecs_v1_pb2.OPERATION_STATE_FAILED))
    assert check("aliecs.v1.Operation", operation) == []
    assert check("aliecs.v1.Operation", {**operation, "state": "OVER"}) != []


def test_events_are_as_their_schema_says() -> None:
    bus = Bus()
    for payload in (
        EnvironmentEvent("env", "RUNNING", lastRequestUser=User(name="me"), vars={"a": "b"}),
        RoleEvent("role", "a.role", "env", state="ERROR"),
    ):
        value = msgspec.json.decode(bus.tell(payload).json())
        assert check("Event", value) == []
        assert check("Event", {**value, "seq": "1"}) != []


def test_the_page_tells_every_route_and_needs_nothing_from_elsewhere() -> None:
    text = page(SECTIONS, "<1.2.3>").decode()
    assert "<1.2.3>" not in text
    for route in ROUTES:
        assert route.path.replace("<", "&lt;").replace(">", "&gt;") in text
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["openapi.json"]
