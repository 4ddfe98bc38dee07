"""Task classes: a task template, and what it becomes for one task.

A class says how a kind of process is started, what it needs and what it is told. `build_command`
makes the command of one task when it is placed, `build_properties` what it is given at CONFIGURE;
both evaluate texts and may ask the configuration, so they run in a loader thread. In which order
variables hide each other is as in the reference: the role's stack over all that the class says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from aliecs.errors import InvalidInput, Location, TemplateError
from aliecs.interfaces import TemplateText
from aliecs.language.declaration import (
    CONTROL_MODES,
    OUTPUTS,
    REFUSED_CONTROL_MODES,
    Channel,
    Command,
    Constraint,
    Limits,
    Wants,
    parse_channels,
    parse_command,
    parse_constraints,
    parse_limits,
    parse_wants,
    without_targets,
)
from aliecs.language.document import Document, Field, MappingNode, parse_document
from aliecs.language.duration import parse_duration
from aliecs.language.functions import Scope, resolve_trees
from aliecs.language.value import ExpressionError
from aliecs.language.variables import Stack
from aliecs.protocol.message import NANOSECONDS, CommandPayload, ControlMode

START_TIME_VARIABLE = "pdp_override_run_start_time"
START_TIME_PROPERTY = "orbit-reset-time"
DEFAULT_SYSTEM = "FLP"
"""The environment variable O2_SYSTEM of tasks that do not set it."""

MOST_CLASSES = 5000
"""Parsed task templates that `TaskClasses` keeps."""


@frozen
class TaskIdentity:
    """Who a task is: the special variables of its evaluation, which nothing hides."""

    task_name: str
    task_id: str
    task_class_name: str
    task_hostname: str
    environment_id: str
    task_parent_role: str
    """The path of the role that the task plays."""


@frozen
class FairmqPlugin:
    """The plugin through which a FairMQ device is controlled."""

    name: str = "OCClite"
    search_path: str = "$CONTROL_OCCPLUGIN_ROOT/lib/"


@frozen
class ResolvedCommand:
    """The command of one task, all texts evaluated."""

    value: str
    shell: bool
    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    """Items `NAME=value`, as the class gives them."""
    user: str
    stdout: str
    stderr: str
    control_mode: ControlMode
    timeout_s: float
    """Time limit of the process of a basic task or hook; 0 for none."""
    host: str

    def payload(self, control_port: int) -> CommandPayload:
        """What the executor is told, once the task has its port (any number for basic tasks and
        hooks, which have none)."""
        controllable = self.control_mode.is_controllable
        environment, arguments = list(self.environment), list(self.arguments)
        if controllable:
            environment.append(f"OCC_CONTROL_PORT={control_port}")
        names = {item.partition("=")[0] for item in environment}
        for name, value in (("O2_ROLE", self.host), ("O2_SYSTEM", DEFAULT_SYSTEM)):
            if name not in names:
                environment.append(f"{name}={value}")
        if self.control_mode is ControlMode.FAIRMQ:
            arguments += ["--control-port", str(control_port)]
        return CommandPayload(
            environment=tuple(environment),
            shell=self.shell,
            value=self.value,
            user=self.user,
            arguments=tuple(arguments),
            stdout=self.stdout,
            stderr=self.stderr,
            control_port=control_port if controllable else 0,
            control_mode=self.control_mode,
            timeout_ns=round(self.timeout_s * NANOSECONDS),
        )

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form."""
        return {**asdict(self), "control_mode": self.control_mode.value}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ResolvedCommand:
        """The inverse of `to_document`."""
        return cls(
            **{
                **document,
                "arguments": tuple(document["arguments"]),
                "environment": tuple(document["environment"]),
                "control_mode": ControlMode(document["control_mode"]),
            }
        )


@frozen(kw_only=True)
class TaskClass:
    """A task template. Its texts are evaluated for each task."""

    text: TemplateText
    name: str
    defaults: tuple[tuple[str, Field], ...]
    variables: tuple[tuple[str, Field], ...]
    properties: tuple[tuple[str, Field], ...]
    control_mode: ControlMode
    """DIRECT, FAIRMQ, BASIC or HOOK."""
    wants: Wants
    limits: Limits
    bind: tuple[Channel, ...]
    connect: tuple[Channel, ...]
    """Without targets: only a role can say where to connect to."""
    constraints: tuple[Constraint, ...]
    command: Command
    warnings: tuple[str, ...]
    """What the author of the template should know, each with its place."""

    @property
    def identifier(self) -> str:
        """`<repository>/tasks/<name>@<revision>`"""
        return f"{self.text.repository}/tasks/{self.name}@{self.text.revision}"

    def effective_mode(self, trigger: str) -> ControlMode:
        """The mode of a task of this class whose role has that trigger, empty for none."""
        if self.control_mode is ControlMode.BASIC and trigger:
            return ControlMode.HOOK
        return self.control_mode

    def build_command(
        self,
        scope: Scope,
        identity: TaskIdentity,
        trigger: str = "",
        timeout: str = "0s",
        plugin: FairmqPlugin | None = None,
    ) -> ResolvedCommand:
        """The command of one task.

        `scope` sees the consolidated stack of the task's role; `trigger` and `timeout` are the
        role's texts. Raises `TemplateError` for an expression that fails, an output that is none,
        and a timeout that is no duration.
        """
        evaluation = _Evaluation(self, scope, identity)
        command = self.command
        scope = evaluation.command_scope()
        mode = self.effective_mode(trigger)
        return ResolvedCommand(
            value=evaluation.text(command.value, scope, "command value"),
            shell=command.shell,
            arguments=self._arguments(evaluation, scope, mode, plugin or FairmqPlugin()),
            environment=tuple(evaluation.text(e, scope, "env") for e in command.environment),
            user=evaluation.text(command.user, scope, "user"),
            stdout=evaluation.output(command.stdout, scope, "stdout"),
            stderr=evaluation.output(command.stderr, scope, "stderr"),
            control_mode=mode,
            timeout_s=0.0 if mode.is_controllable else evaluation.duration(timeout),
            host=identity.task_hostname,
        )

    def _arguments(
        self, evaluation: _Evaluation, scope: Scope, mode: ControlMode, plugin: FairmqPlugin
    ) -> tuple[str, ...]:
        arguments = [evaluation.text(a, scope, "arguments") for a in self.command.arguments]
        if mode is ControlMode.FAIRMQ:
            if "--id" not in arguments:
                arguments += ["--id", evaluation.identity.task_id]
            arguments += ["-S", plugin.search_path, "-P", plugin.name, "--color", "false"]
        return tuple(arguments)

    def build_properties(
        self,
        scope: Scope,
        identity: TaskIdentity,
        channel_properties: Mapping[str, str],
    ) -> dict[str, str]:
        """What one task is given at CONFIGURE, empty for a basic class.

        `scope` sees the consolidated stack of the task's role and a library with `ToPtree`;
        `channel_properties` are those of `aliecs.workflow.channel`. Raises `TemplateError`.
        """
        if self.control_mode is ControlMode.BASIC:
            return {}
        evaluation = _Evaluation(self, scope, identity)
        scope = evaluation.property_scope()
        texts = {"environment_id": Field(identity.environment_id), **dict(self.properties)}
        if START_TIME_VARIABLE in scope.variables:
            texts[START_TIME_PROPERTY] = Field(scope.variables[START_TIME_VARIABLE])
        if self.control_mode is not ControlMode.HOOK:
            texts |= {key: Field(value) for key, value in channel_properties.items()}
        evaluated = {key: evaluation.text(text, scope, key) for key, text in texts.items()}
        return resolve_trees(evaluated, scope)

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form: the template itself."""
        return {**asdict(self.text), "text": self.text.text.decode()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TaskClass:
        """The inverse of `to_document`."""
        return parse_task_class(TemplateText(**{**document, "text": document["text"].encode()}))


@frozen
class _Evaluation:
    """The texts of a class, evaluated for one task."""

    task_class: TaskClass
    scope: Scope
    identity: TaskIdentity

    def _seen(self) -> Stack:
        """What the class's own texts see first: the special variables over the role's stack."""
        return Stack(asdict(self.identity), self.scope.variables)

    def _class_variables(self) -> tuple[dict[str, str], dict[str, str]]:
        """Defaults and vars of the class; vars may refer to defaults."""
        seen = self._seen()
        defaults = self._evaluated(self.task_class.defaults, seen)
        return defaults, self._evaluated(self.task_class.variables, Stack(seen, defaults))

    def command_scope(self) -> Scope:
        """For the command the class's defaults hide its vars."""
        defaults, variables = self._class_variables()
        return evolve(self.scope, variables=Stack(self._seen(), defaults, variables))

    def property_scope(self) -> Scope:
        """For the properties the class's vars hide its defaults."""
        defaults, variables = self._class_variables()
        return evolve(self.scope, variables=Stack(self._seen(), variables, defaults))

    def _evaluated(self, fields: tuple[tuple[str, Field], ...], variables: Stack) -> dict[str, str]:
        scope = evolve(self.scope, variables=variables)
        return {name: self.text(field, scope, name) for name, field in fields}

    def text(self, field: Field, scope: Scope, what: str) -> str:
        """One text. Raises `TemplateError` for what the template has wrong; what the sources say
        of themselves passes."""
        try:
            return scope.render(field.text)
        except ExpressionError as error:
            raise self.error(field, f"{what}: {error}") from error

    def output(self, field: Field, scope: Scope, what: str) -> str:
        """Where an output goes: one of `OUTPUTS`."""
        word = self.text(field, scope, what).strip().lower()
        if word not in OUTPUTS:
            raise self.error(field, _not_an_output(what, word))
        return OUTPUTS[OUTPUTS.index(word)]  # one text for all tasks

    def duration(self, text: str) -> float:
        """The seconds of the role's timeout."""
        try:
            return parse_duration(text)
        except InvalidInput as error:
            raise self.error(Field(""), f"timeout of the role: {error}") from error

    def error(self, field: Field, reason: str) -> TemplateError:
        """An error of the class, about one task."""
        location = Location(self.task_class.text.file, field.line)
        return TemplateError(reason, location, self.identity.task_parent_role)


def parse_task_class(text: TemplateText) -> TaskClass:
    """Parse a task template. Raises `TemplateError`."""
    document = parse_document(text.text, text.file)
    node = document.mapping(document.root, "a task template")
    name = document.field(node, "name")
    expected = text.path.rsplit("/", 1)[-1].removesuffix(".yaml")
    if name.text != expected:
        raise document.error(
            name, f"the name {name.text!r} differs from that of the file, {expected!r}"
        )
    command = document.optional_mapping(node, "command")
    if command is None:
        raise document.error(node, "a task template needs a 'command'")
    declared = parse_command(document, command)
    for what, output in (("stdout", declared.stdout), ("stderr", declared.stderr)):
        word = output.text.strip().lower()
        if "{{" not in word and word not in OUTPUTS:
            raise document.error(output, _not_an_output(what, word))
    warnings: list[str] = []
    connect = parse_channels(document, node, "connect")
    for channel in connect:
        if channel.target:
            where = Location(document.file, channel.line)
            warnings.append(f"{where}: the target of {channel.name!r} is ignored, roles give it")
    if node.get("wants") is None:
        warnings.append(f"{document.location(node)}: 'wants' is missing, nothing is asked for")
    return TaskClass(
        text=text,
        name=name.text,
        defaults=_texts(document, node, "defaults"),
        variables=_texts(document, node, "vars"),
        properties=_texts(document, node, "properties"),
        control_mode=_control_mode(document, node, warnings),
        wants=parse_wants(document, node),
        limits=parse_limits(document, node),
        bind=parse_channels(document, node, "bind"),
        connect=without_targets(connect),
        constraints=parse_constraints(document, node),
        command=declared,
        warnings=tuple(warnings),
    )


def _not_an_output(what: str, word: str) -> str:
    return f"{what} must be one of {', '.join(OUTPUTS)}, not {word!r}"


def _control_mode(document: Document, node: MappingNode, warnings: list[str]) -> ControlMode:
    control = document.optional_mapping(node, "control")
    if control is None:
        return ControlMode.DIRECT
    field = document.field(control, "mode", ControlMode.DIRECT.value)
    word = field.text.lower()
    if word in REFUSED_CONTROL_MODES:
        there_are = ", ".join(mode for mode in CONTROL_MODES if mode != ControlMode.HOOK.value)
        raise document.error(
            field, f"the control mode {field.text!r} is not supported; there are {there_are}"
        )
    mode = ControlMode(word)
    if word != mode.value:
        where = document.location(field)
        warnings.append(f"{where}: the control mode {field.text!r} is unknown, direct is taken")
    return mode


def _texts(document: Document, node: MappingNode, key: str) -> tuple[tuple[str, Field], ...]:
    """A plain map of texts; null is an empty text."""
    mapping = document.optional_mapping(node, key)
    if mapping is None:
        return ()
    return tuple(
        (name, Field("", entry.line))
        if entry.value.is_null
        else (name, document.scalar(entry.value, f"{name!r} in {key!r}"))
        for name, entry in mapping.entries.items()
    )


@define(eq=False)
class TaskClasses:
    """Task templates, each parsed once, for all environments."""

    _classes: dict[tuple[str, str, str], TaskClass] = field(init=False, factory=dict)

    def task_class(self, text: TemplateText) -> TaskClass:
        """The parsed form of a task template. Raises `TemplateError`. Threads may share this: what
        two of them parse at once is the same."""
        key = (text.repository, text.revision, text.path)
        task_class = self._classes.get(key)
        if task_class is None or task_class.text.text != text.text:
            task_class = parse_task_class(text)
            while len(self._classes) >= MOST_CLASSES:
                self._classes.pop(next(iter(self._classes)), None)
            self._classes[key] = task_class
        return task_class
