"""The built-in repository: its templates load, and the demo's channels meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import define, frozen

from aliecs.interfaces import TemplateText
from aliecs.language.expression import Compiler
from aliecs.language.functions import Scope, make_library
from aliecs.occ.example.channel import channel_settings
from aliecs.protocol.message import ControlMode
from aliecs.task.taskclass import TaskClass, TaskIdentity, parse_task_class
from aliecs.workflow.channel import BoundTask, channel_properties, make_bind_map
from aliecs.workflow.loader import LoadRequest, Workflow, load
from aliecs.workflow.role import TaskRole

ROOT = Path(__file__).resolve().parents[2]


@define
class Sources:
    """The built-in repository read from its folder; nothing else may be asked for."""

    def workflow(self, expression: str) -> TemplateText:
        return text("templates", "workflows", expression)

    def task_class(self, identifier: str) -> TemplateText:
        return text("tasks", "tasks", identifier.rpartition("/")[2].partition("@")[0])

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the built-in templates ask for {name}")


def text(folder: str, shown: str, name: str) -> TemplateText:
    data = (ROOT / folder / f"{name}.yaml").read_bytes()
    return TemplateText("builtin", "0" * 40, f"{shown}/{name}.yaml", data)


def loaded(name: str, **variables: str) -> Workflow:
    request = LoadRequest(
        expression=name,
        environment_id="2oDvieFrVTi",
        user_variables=variables,
        defaults={"python_executable": "/venv/bin/python"},
    )
    return load(request, Sources())  # type: ignore[arg-type]


def class_of(workflow: Workflow, role: TaskRole) -> TaskClass:
    return parse_task_class(workflow.class_texts[role.class_identifier])


def identity(role: TaskRole, host: str) -> TaskIdentity:
    return TaskIdentity("name", "id", role.class_identifier, host, "2oDvieFrVTi", role.path)


def scope(role: TaskRole) -> Scope:
    return Scope(role.stack(), make_library(Compiler()))


@pytest.mark.parametrize("path", sorted((ROOT / "templates").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_workflow_loads_and_its_commands_can_be_built(path: Path) -> None:
    workflow = loaded(path.stem)
    assert workflow.public and workflow.description
    assert workflow.warnings == ()
    for role in workflow.task_roles:
        task_class = class_of(workflow, role)
        assert task_class.warnings == ()
        assert task_class.wants.cpus and task_class.wants.memory_mb
        command = task_class.build_command(
            scope(role), identity(role, "flp001"), role.trigger, role.timeout
        )
        assert command.value and "{{" not in command.value
        assert command.stdout == "stdout"


def test_every_task_template_is_used() -> None:
    used = {
        class_of(workflow, role).name
        for workflow in map(loaded, ("demo", "minimal"))
        for role in workflow.task_roles
    }
    assert used == {path.stem for path in (ROOT / "tasks").glob("*.yaml")}


@frozen
class Endpoint:
    """A bound channel's place."""

    address: str
    transport: str = "default"


def test_the_demo_s_channels_meet() -> None:
    workflow = loaded("demo", hosts='["flp001","flp002","flp003"]', block_size="1000")
    roles = [
        role
        for role in workflow.task_roles
        if class_of(workflow, role).effective_mode(role.trigger) is ControlMode.DIRECT
    ]
    inbound = {
        role.path: [*role.effective_bind(), *class_of(workflow, role).bind] for role in roles
    }
    ports = iter(range(9000, 9100))
    endpoints = {
        path: {channel.name: Endpoint(f"tcp://*:{next(ports)}") for channel in channels}
        for path, channels in inbound.items()
    }
    bind_map = make_bind_map(
        BoundTask(path, "10.0.0.1", inbound[path], endpoints[path]) for path in inbound
    )
    meeting: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for role in roles:
        path = role.path
        channels = channel_properties(
            path, inbound[path], endpoints[path], role.effective_connect(), bind_map
        )
        task_class = class_of(workflow, role)
        properties = task_class.build_properties(scope(role), identity(role, "h"), channels)
        assert "{{" not in "".join(properties.values())
        if task_class.name == "readout":
            assert (properties["source"], properties["block_size"]) == (path, "1000")
        for settings in channel_settings(properties).values():
            port = settings.address.rpartition(":")[2]
            meeting.setdefault((settings.name, port), set()).add(
                (settings.method, settings.direction)
            )
    # Three readouts, each with its builder, and one sender for all of them.
    assert len(meeting) == 4
    for (name, _), ends in meeting.items():
        if name == "blocks":
            assert ends == {("bind", "push"), ("connect", "pull")}
        else:
            assert ends == {("bind", "pull"), ("connect", "push")}


def test_the_demo_has_what_it_shows() -> None:
    workflow = loaded("demo")
    paths = {role.path: role for role in workflow.task_roles}
    hosts = {"flp001": "demo.flp-flp001", "flp002": "demo.flp-flp002"}
    for host, path in hosts.items():
        for name in ("readout", "builder", "before-configure"):
            (constraint,) = paths[f"{path}.{name}"].effective_constraints()
            assert (constraint.attribute, constraint.value) == ("machine_id", host)
    triggers = {role.trigger for role in [*workflow.task_roles, *workflow.call_roles]}
    assert triggers == {"", "before_CONFIGURE", "enter_RUNNING", "DESTROY"}
    assert [role.func for role in workflow.call_roles] == ["testplugin.Test()"]
    clock = paths["demo.clock"]
    assert class_of(workflow, clock).effective_mode(clock.trigger) is ControlMode.BASIC
    assert not clock.critical
    assert "demo.clock" not in {r.path for r in loaded("demo", clock_enabled="false").task_roles}
