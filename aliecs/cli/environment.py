"""`coconut environment`: create, look at, move and destroy environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from aliecs.api.mapping import to_value
from aliecs.cli.history import (
    history_value,
    print_cause,
    print_record,
    print_warnings,
    record_of,
)
from aliecs.cli.modification import exclusions_of, modify, print_exclusions
from aliecs.cli.option import Group
from aliecs.cli.output import Output, local_time, local_time_exact, state_text
from aliecs.cli.reconfiguration import reconfigure
from aliecs.cli.role import role_tree
from aliecs.cli.service import ask_configuration
from aliecs.cli.session import EXTENDED, Session, session, user_name
from aliecs.cli.timeline import print_timeline
from aliecs.cli.variables import Payload, parse_payload, parse_variables
from aliecs.cli.watching import logs, watch
from aliecs.errors import InvalidInput, NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.identifier import new_xid
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError

group = Group("environment", help="Create, look at, move and destroy environments.")

_SAVED = "COG-v1"
_SHORT_EVENTS = {"START": "START_ACTIVITY", "STOP": "STOP_ACTIVITY"}
_EVENTS = ("DEPLOY", "CONFIGURE", "START", "STOP", "RESET", "RECOVER")


def _print_maps(output: Output, info: Any) -> None:
    output.map("global defaults", info.defaults)
    output.map("global variables", info.vars)
    output.map("user-provided variables", info.userVars)


# --- list -----------------------------------------------------------------------------------------


@click.option("-s", "--show-all", is_flag=True, help="also those of templates that are not public")
def list_(show_all: bool) -> None:
    """List environments."""
    with session() as here:
        request = o2control_pb2.GetEnvironmentsRequest(showAll=show_all)
        reply = here.ask("GetEnvironments", request)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.environments:
            here.output.line("no environments running")
        else:
            here.output.table(
                ("id", "workflow template", "created", "state"),
                [
                    (info.id, info.rootRole, local_time(info.createdWhen), state_text(info.state))
                    for info in reply.environments
                ],
            )


# --- show -----------------------------------------------------------------------------------------


@click.argument("environment_id", metavar="ID")
@click.option("-t", "--tasks", is_flag=True, help="with its tasks")
@click.option("-w", "--workflow", is_flag=True, help="with its tree of roles")
@click.option("-s", "--services", is_flag=True, help="with what outside services know of it")
def show(environment_id: str, tasks: bool, workflow: bool, services: bool) -> None:
    """Show one environment; also one that ended, where the core still knows of it."""
    with session() as here:
        request = o2control_pb2.GetEnvironmentRequest(id=environment_id, showWorkflowTree=True)
        try:
            reply = here.ask("GetEnvironment", request)
        except RpcError as error:
            record = record_of(here, environment_id) if error.status == "NOT_FOUND" else None
            if record is None:
                raise
            print_record(here.output, record)
            return
        record = record_of(here, environment_id)
        exclusions = exclusions_of(here, environment_id)
        if here.output.is_text:
            _print_environment(here.output, reply, record, exclusions)
            _print_parts(here.output, reply, tasks, workflow, services, exclusions)
        else:
            value = to_value(reply)
            if record is not None:
                value["history"] = history_value(record)
            if exclusions.exclusions:
                value |= to_value(exclusions)
            here.output.value(value)


def _print_environment(output: Output, reply: Any, record: Any, exclusions: Any) -> None:
    info = reply.environment
    output.label("environment id", info.id)
    output.label("workflow template", info.rootRole)
    output.label("description", info.description)
    output.label("created", local_time(info.createdWhen))
    output.label("state", state_text(info.state))
    if record is not None and info.state == "ERROR":
        print_cause(output, record)
    if record is not None:
        print_warnings(output, record)
    if info.currentTransition:
        output.label("transition", info.currentTransition, 25)
    output.label("public", str(reply.public).lower())
    output.label("run number", info.currentRunNumber or "none")
    output.label("number of FLPs", info.numberOfFlps or "none")
    output.label("detectors", " ".join(info.includedDetectors) or "none")
    if exclusions.exclusions:
        print_exclusions(output, exclusions)
    _print_maps(output, info)


def _print_parts(
    output: Output, reply: Any, tasks: bool, workflow: bool, services: bool, exclusions: Any
) -> None:
    info = reply.environment
    if tasks:
        output.line()
        output.table(
            (f"task id ({len(info.tasks)})", "class name", "hostname", "crit", "status", "state"),
            [
                (
                    task.taskId,
                    task.className,
                    task.deploymentInfo.hostname,
                    "YES" if task.critical else "NO",
                    task.status,
                    state_text(task.state),
                )
                for task in info.tasks
            ],
        )
    if workflow:
        output.line()
        output.tree(role_tree(reply.workflow, {one.role for one in exclusions.exclusions}))
    if services:
        output.line()
        for name in sorted(info.integratedServicesData):
            data = yaml.safe_load(info.integratedServicesData[name] or "{}")
            output.line(yaml.safe_dump({name: data}, sort_keys=False).rstrip())


# --- create ---------------------------------------------------------------------------------------


@click.option("-w", "--workflow-template", default="", help="[<repository>/workflows/]name[@rev]")
@click.option("-c", "--configuration", default="", help="saved configuration, or a .json file")
@click.option("-e", "--extra-vars", default=None, help="key=value,key=value or a JSON object")
@click.option("-a", "--auto", is_flag=True, help="take one run and end, and follow it")
@click.option(
    "-p",
    "--public",
    type=bool,
    is_flag=False,
    flag_value=True,
    default=True,
    help="without effect: the template says",
)
@click.option("-y", "--asynchronous", is_flag=True, help="do not wait until it is CONFIGURED")
def create(
    workflow_template: str,
    configuration: str,
    extra_vars: str | None,
    auto: bool,
    public: bool,
    asynchronous: bool,
) -> None:
    """Create an environment."""
    with session() as here:
        payload = _payload(here, configuration) if configuration else Payload("", {})
        template = workflow_template or payload.workflow
        if not template:
            raise InvalidInput("name a workflow template: -w NAME (see: coconut template list)")
        variables = {} if extra_vars is None else parse_variables(extra_vars)
        variables = {**payload.variables, **variables}
        if auto:
            _follow(here, template, variables)
            return
        request = o2control_pb2.NewEnvironmentRequest(
            workflowTemplate=template, vars=variables, public=public, requestUser=here.user
        )
        if asynchronous:
            reply = here.ask("NewEnvironmentAsync", request)
        else:
            reply = _create_and_wait(here, request)
        _print_created(here.output, reply)


def _create_and_wait(here: Session, request: Any) -> Any:
    try:
        return here.move("NewEnvironment", request, f"creating {request.workflowTemplate}")
    except RpcError as error:
        info = o2control_pb2.EnvironmentInfo()
        if error.details and error.details[0].Unpack(info) and info.id and here.has_extended():
            more = f"{error.message}\n(what became of it: coconut environment show {info.id})"
            raise RpcError(error.status, more, error.details, error.trailing) from None
        raise


def _print_created(output: Output, reply: Any) -> None:
    if not output.is_text:
        output.value(to_value(reply))
        return
    info = reply.environment
    output.line(f"new environment created with {info.numberOfTasks} tasks")
    output.label("environment id", info.id)
    output.label("workflow template", info.rootRole)
    output.label("description", info.description)
    output.label("state", state_text(info.state))
    output.label("public", str(reply.public).lower())
    output.label("tasks active", info.numberOfActiveTasks)
    output.label("tasks inactive", info.numberOfInactiveTasks)
    output.label("tasks total", info.numberOfTasks)
    _print_maps(output, info)


def _payload(here: Session, name: str) -> Payload:
    """A saved configuration: a file, or a runtime entry of the configuration service."""
    if name.lower().endswith(".json"):
        try:
            return parse_payload(Path(name).read_text(), name)
        except OSError as error:
            raise InvalidInput(f"{name}: {error.strerror}") from None
    for prefix in (f"consul:///o2/runtime/{_SAVED}/", f"consul://o2/runtime/{_SAVED}/"):
        name = name.removeprefix(prefix)
    try:
        text = ask_configuration(
            here.settings, lambda service: service.runtime_get(_SAVED, name)
        )
    except NotFound as error:
        raise NotFound(
            f"there is no saved configuration {name} in {here.settings.config_endpoint}"
        ) from error
    return parse_payload(text, name)


def _follow(here: Session, template: str, variables: Mapping[str, str]) -> None:
    """Create an environment that goes through one run by itself, and tell what is heard of it until
    it has ended. The exit code is 1 where something went wrong on the way."""
    name = new_xid()
    request = o2control_pb2.NewAutoEnvironmentRequest(
        workflowTemplate=template, vars=variables, id=name, requestUser=here.user
    )
    here.ask("NewAutoEnvironment", request)
    failed = False
    for event in here.stream("Subscribe", o2control_pb2.SubscribeRequest(id=name)):
        failed = failed or bool(event.environmentEvent.error)
        if here.output.is_text:
            line = _event_line(event)
            if line:
                here.output.line(line)
        else:
            here.output.value(to_value(event))
    if failed:
        raise click.exceptions.Exit(1)


def _event_line(event: Any) -> str:
    kind = event.WhichOneof("Payload")
    if kind == "environmentEvent":
        happened = event.environmentEvent
        parts = [f"environment {happened.environmentId}", happened.message, happened.state]
        if happened.runNumber:
            parts.append(f"run {happened.runNumber}")
        parts.append(happened.error and f"error: {happened.error}")
        return "  ".join(part for part in parts if part)
    if kind == "taskEvent":
        happened = event.taskEvent
        parts = ["task", happened.taskid, happened.className, happened.state or happened.status]
        return "  ".join([*parts, happened.hostname])
    return ""


# --- control --------------------------------------------------------------------------------------


@click.argument("environment_id", metavar="ID")
@click.option("-e", "--event", required=True, help=f"one of {', '.join(_EVENTS)}, in any case")
def control(environment_id: str, event: str) -> None:
    """Take an environment through a transition.

    A transition that was tried and failed is told, with its cause; look at the state.
    """
    name = _SHORT_EVENTS.get(event.upper(), event.upper())
    with session() as here:
        if name == "RECOVER":
            _recover(here, environment_id)
            return
        types = o2control_pb2.ControlEnvironmentRequest.Optype
        if name not in types.keys() or name == "NOOP":  # noqa: SIM118 (no dictionary)
            raise InvalidInput(f"there is no event {event}; there are {', '.join(_EVENTS)}")
        request = o2control_pb2.ControlEnvironmentRequest(
            id=environment_id, type=name, requestUser=here.user
        )
        reply = here.move("ControlEnvironment", request, name)
        record = record_of(here, environment_id) if reply.state == "ERROR" else None
        if here.output.is_text:
            _print_transition(here.output, reply, record)
        else:
            value = to_value(reply)
            if record is not None:
                value["history"] = history_value(record)
            here.output.value(value)


def _print_transition(output: Output, reply: Any, record: Any) -> None:
    output.line("transition failed" if reply.state == "ERROR" else "transition complete")
    output.label("environment id", reply.id, 21)
    output.label("state", state_text(reply.state), 21)
    if record is not None:
        print_cause(output, record, 21)
    output.label("run number", reply.currentRunNumber or "none", 21)
    output.label("start of transition", local_time_exact(reply.startOfTransition), 21)
    output.label("end of transition", local_time_exact(reply.endOfTransition), 21)
    output.label("transition duration", f"{reply.transitionDuration / 1000:.6f}s", 21)


def _recover(here: Session, environment_id: str) -> None:
    """Bring an environment out of ERROR: our own service, which the reference's core lacks."""
    if not here.has_extended():
        raise InvalidInput("this core cannot recover environments: destroy it and create another")
    request = aliecs_v1_pb2.RecoverRequest(environment_id=environment_id, requested_by=user_name())
    operation = here.move("Recover", request, "RECOVER", EXTENDED)
    if not here.output.is_text:
        here.output.value(to_value(operation))
        return
    here.output.line("transition complete")
    here.output.label("environment id", environment_id, 21)
    here.output.label(
        "transition duration", f"{(operation.ended_ms - operation.started_ms) / 1000:.6f}s", 21
    )


# --- destroy --------------------------------------------------------------------------------------


@click.argument("environment_id", metavar="ID")
@click.option("-k", "--keep-tasks", is_flag=True, help="leave its tasks to later environments")
@click.option("-a", "--allow-in-running-state", is_flag=True, help="stop a run first, gently")
@click.option("-f", "--force", is_flag=True, help="from any state, without STOP and RESET")
def destroy(
    environment_id: str, keep_tasks: bool, allow_in_running_state: bool, force: bool
) -> None:
    """Destroy an environment."""
    with session() as here:
        request = o2control_pb2.DestroyEnvironmentRequest(
            id=environment_id,
            keepTasks=keep_tasks,
            allowInRunningState=allow_in_running_state,
            force=force,
            requestUser=here.user,
        )
        reply = here.move("DestroyEnvironment", request, "destroying")
        if here.output.is_text:
            here.output.line(f"teardown complete for environment {environment_id}")
        else:
            here.output.value(to_value(reply))


# --- history --------------------------------------------------------------------------------------


@click.argument("environment_id", metavar="[ID]", default="")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, help="how many, at most")
def history(environment_id: str, limit: int) -> None:
    """Show the time line of an environment: its transitions, what each step took, and the slowest
    tasks. Without an ID, list environments that ended or failed, the latest first."""
    with session() as here:
        if environment_id:
            _show_history(here, environment_id)
            return
        request = aliecs_v1_pb2.GetEnvironmentHistoryRequest(limit=limit)
        reply = here.ask_extended("GetEnvironmentHistory", request)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.environments:
            here.output.line("no environment has ended")
        else:
            here.output.table(
                ("id", "workflow template", "created", "ended", "state", "cause"),
                [_history_row(record) for record in reply.environments],
            )


def _show_history(here: Session, environment_id: str) -> None:
    request = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
    record = here.ask_extended("GetEnvironmentHistory", request).environments[0]
    if here.output.is_text:
        print_timeline(here.output, record)
    else:
        here.output.value(history_value(record))


def _history_row(record: Any) -> Sequence[Any]:
    return (
        record.id,
        record.workflow_template,
        local_time(record.created_ms),
        local_time(record.ended_ms),
        state_text(record.state),
        record.cause.line,
    )


group.add(group.command("list")(list_), "ls", "l")
group.add(group.command("show")(show), "get", "s", "g")
group.add(group.command("create")(create), "new", "c", "n")
group.add(group.command("control")(control), "ctl", "ct", "t")
group.add(group.command("modify")(modify), "mod", "m")
group.add(group.command("reconfigure")(reconfigure), "reconf")
group.add(group.command("destroy")(destroy), "des", "d")
group.add(group.command("history")(history), "h")
group.add(group.command("watch")(watch), "w")
group.add(group.command("logs")(logs), "log")
