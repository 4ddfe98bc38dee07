"""Workflow templates: YAML text -> attrs classes, nothing evaluated yet.

The five kinds of roles, told apart by their keys; texts stay as they are written, each with its
line. Also what people choose from before anything is loaded: a template's public variables and its
description. Used by `loader`, and by whoever lists templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from aliecs.errors import Location, TemplateError, TemplateErrors
from aliecs.interfaces import TemplateText
from aliecs.language.declaration import (
    Channel,
    Constraint,
    parse_channels,
    parse_constraints,
)
from aliecs.language.document import (
    Document,
    Entry,
    Field,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    parse_document,
)

PUBLIC = "!public"
"""The tag of what people are to see."""

KINDS = ("roles", "task", "call", "include")
Fields = tuple[tuple[str, Field], ...]
"""Variables as written: names with texts."""


@frozen
class Diagnostic:
    """Something that a template's author should know, though it is no error."""

    location: Location
    role_path: str
    text: str

    def __str__(self) -> str:
        role = f" (role {self.role_path})" if self.role_path else ""
        return f"{self.location}: {self.text}{role}"


@frozen(kw_only=True)
class RoleTemplate:
    """What all kinds of roles have."""

    location: Location
    name: Field
    enabled: Field
    defaults: Fields
    variables: Fields
    constraints: tuple[Constraint, ...]
    connect: tuple[Channel, ...]
    bind: tuple[Channel, ...]


@frozen(kw_only=True)
class AggregatorTemplate(RoleTemplate):
    """A role made of roles."""

    roles: tuple[RoleTemplate | IteratorTemplate, ...]


@frozen(kw_only=True)
class LeafTemplate(RoleTemplate):
    """What task and call roles have in common."""

    trigger: Field
    await_: Field
    timeout: Field
    critical: bool


@frozen(kw_only=True)
class TaskTemplate(LeafTemplate):
    """A process."""

    load: Field


@frozen(kw_only=True)
class CallTemplate(LeafTemplate):
    """A call into an outside service."""

    func: Field
    return_: Field


@frozen(kw_only=True)
class IncludeTemplate(RoleTemplate):
    """A role whose body is another workflow template."""

    include: Field


@frozen(kw_only=True)
class IteratorTemplate:
    """A role that is there once for each value of a variable: either of `range`, a JSON list of
    texts, or from `begin` to `end`."""

    variable: str
    range: Field | None
    begin: Field | None
    end: Field | None
    role: RoleTemplate


@frozen(kw_only=True)
class WorkflowTemplate:
    """One file of `workflows/`."""

    text: TemplateText
    name: str
    public: bool
    description: str
    root: AggregatorTemplate
    warnings: tuple[Diagnostic, ...]


def parse_workflow(text: TemplateText) -> WorkflowTemplate:
    """Parse a workflow template. Raises `TemplateError`, `TemplateErrors` for several."""
    document = parse_document(text.text, text.file)
    node = document.mapping(document.root, "a workflow template")
    parser = _Parser(document)
    root = parser.aggregator(node, parser.roles(node))
    if parser.errors:
        raise parser.errors[0] if len(parser.errors) == 1 else TemplateErrors(parser.errors)
    name, description = node.get("name"), node.get("description")
    return WorkflowTemplate(
        text=text,
        name=root.name.text,
        public=name is not None and name.tag == PUBLIC,
        description=description.text if isinstance(description, ScalarNode) else "",
        root=root,
        warnings=tuple(parser.warnings),
    )


@frozen
class _Parser:
    document: Document
    warnings: list[Diagnostic] = field(factory=list)
    errors: list[TemplateError] = field(factory=list)
    """One for each role that cannot be understood, so that all are told together."""

    def roles(self, node: MappingNode) -> tuple[RoleTemplate | IteratorTemplate, ...]:
        roles = []
        for item in self.document.sequence(node, "roles"):
            try:
                roles.append(self._item(self.document.mapping(item, "a role")))
            except TemplateError as error:
                self.errors.append(error)
        return tuple(roles)

    def _item(self, node: MappingNode) -> RoleTemplate | IteratorTemplate:
        if node.get("for") is None:
            return self._role(node)
        loop = self.document.mapping(node.get("for"), "'for'")
        variable = self.document.field(loop, "var").text
        limits = [self._optional(loop, key) for key in ("begin", "end", "range")]
        begin, end, values = limits
        if not variable or not ((begin and end) or values):
            raise self.document.error(
                loop, "'for' needs 'var' with either 'range' or both 'begin' and 'end'"
            )
        if begin and end:
            values = None
        else:
            begin = end = None
        role = self._role(node)
        return IteratorTemplate(variable=variable, range=values, begin=begin, end=end, role=role)

    def _optional(self, node: MappingNode, key: str) -> Field | None:
        return None if node.get(key) is None else self.document.field(node, key)

    def _role(self, node: MappingNode) -> RoleTemplate:
        present = [kind for kind in KINDS if node.get(kind) is not None]
        if len(present) != 1:
            found = f"it has {' and '.join(map(repr, present))}" if present else "it has none"
            raise self.document.error(
                node, f"a role needs exactly one of 'roles', 'task', 'call' and 'include'; {found}"
            )
        (kind,) = present
        if kind == "roles":
            return self.aggregator(node, self.roles(node))
        if kind == "include":
            include = self.document.field(node, "include")
            return IncludeTemplate(**self._common(node), include=include)
        body = self.document.mapping(node.get(kind), f"{kind!r}")
        leaf = {**self._common(node), **self._traits(body)}
        if kind == "task":
            return TaskTemplate(**leaf, load=self.document.field(body, "load"))
        func, return_ = (self.document.field(body, key) for key in ("func", "return"))
        return CallTemplate(**leaf, func=func, return_=return_)

    def aggregator(
        self, node: MappingNode, roles: tuple[RoleTemplate | IteratorTemplate, ...]
    ) -> AggregatorTemplate:
        return AggregatorTemplate(**self._common(node), roles=roles)

    def _common(self, node: MappingNode) -> dict[str, Any]:
        document = self.document
        return {
            "location": document.location(node),
            "name": document.field(node, "name"),
            "enabled": document.field(node, "enabled", "true"),
            "defaults": self._variables(node, "defaults"),
            "variables": self._variables(node, "vars"),
            "constraints": parse_constraints(document, node),
            "connect": parse_channels(document, node, "connect"),
            "bind": parse_channels(document, node, "bind"),
        }

    def _traits(self, body: MappingNode) -> dict[str, Any]:
        document = self.document
        trigger = document.field(body, "trigger")
        await_ = document.field(body, "await")
        timeout = document.field(body, "timeout")
        if not trigger.text:
            await_ = Field("", body.line)
        elif not await_.text:
            await_ = trigger
        if not timeout.text:
            timeout = Field("30s" if trigger.text else "0s", body.line)
        critical = document.boolean(body, "critical", default=True)
        return {"trigger": trigger, "await_": await_, "timeout": timeout, "critical": critical}

    def _variables(self, node: MappingNode, key: str) -> Fields:
        mapping = self.document.optional_mapping(node, key)
        if mapping is None:
            return ()
        fields = ((name, self._value(name, entry)) for name, entry in mapping.entries.items())
        return tuple((name, value) for name, value in fields if value is not None)

    def _value(self, name: str, entry: Entry) -> Field | None:
        """The text of a variable; None for what upstream takes for no variable at all."""
        value = entry.value
        if not entry.is_alias and isinstance(value, ScalarNode):
            return Field(value.text, value.line)
        if not entry.is_alias and isinstance(value, MappingNode) and value.tag == PUBLIC:
            text = value.entries.get("value")
            if text is None:
                return Field("", value.line)
            return self.document.scalar(text.value, f"'value' of {name!r}")
        what = "an alias" if entry.is_alias else "a list"
        if not entry.is_alias and isinstance(value, MappingNode):
            what = f"a mapping without the tag {PUBLIC}"
        location = Location(self.document.file, entry.line)
        text_ = f"the variable {name!r} is not defined: its value is {what}"
        self.warnings.append(Diagnostic(location, "", text_))
        return None


# --- public variables ----------------------------------------------------------------------------

TYPES = ("string", "number", "bool", "list", "map")
WIDGETS = (
    "editBox",
    "slider",
    "listBox",
    "dropDownBox",
    "comboBox",
    "radioButtonBox",
    "checkBox",
)


@frozen
class VariableSpecification:
    """How a form asks for one variable. Fields as in the control API."""

    default_value: str = ""
    type: str = "string"
    """One of `TYPES`."""
    label: str = ""
    description: str = ""
    widget: str = "editBox"
    """One of `WIDGETS`."""
    panel: str = ""
    allowed_values: tuple[str, ...] = ()
    index: int = 0
    visible_if: str = ""
    enabled_if: str = ""
    rows: int = 0
    in_defaults: bool = True
    """Whether it stands under `defaults`, whose values the configuration's variables override."""


@frozen
class TemplateDescription:
    """What a listing tells of a workflow template."""

    name: str
    public: bool
    description: str
    """Empty unless the author made it public."""
    variables: Mapping[str, VariableSpecification]


def describe_template(text: TemplateText) -> TemplateDescription:
    """The public part of a template. Raises `TemplateError`."""
    document = parse_document(text.text, text.file)
    node = document.mapping(document.root, "a workflow template")
    name, description = node.get("name"), node.get("description")
    variables: dict[str, VariableSpecification] = {}
    for key, entry, in_defaults in _public_entries(node):
        if key in variables:
            raise document.error(entry, f"the public variable {key!r} is there twice")
        value = entry.value
        assert isinstance(value, MappingNode)
        variables[key] = _specification(document, value, in_defaults)
    return TemplateDescription(
        name=name.text if isinstance(name, ScalarNode) else "",
        public=name is not None and name.tag == PUBLIC,
        description=description.text
        if isinstance(description, ScalarNode) and description.tag == PUBLIC
        else "",
        variables=variables,
    )


def _public_entries(node: Node, owner: str = "") -> Iterator[tuple[str, Entry, bool]]:
    """Public mappings within any mapping called `defaults` or `vars`, at any depth."""
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from _public_entries(item)
    elif isinstance(node, MappingNode):
        for key, entry in node.entries.items():
            is_public = isinstance(entry.value, MappingNode) and entry.value.tag == PUBLIC
            if is_public and owner in ("defaults", "vars"):
                yield key, entry, owner == "defaults"
            elif not entry.is_alias:
                yield from _public_entries(entry.value, key)


def _specification(
    document: Document, node: MappingNode, in_defaults: bool
) -> VariableSpecification:
    def text(key: str) -> str:
        return document.field(node, key).text

    type_, widget = text("type"), text("widget")
    rows = document.integer(node, "rows", 0)
    if rows < 0:
        raise TemplateError("'rows' must not be negative", document.location(node))
    values = document.sequence(node, "values")
    return VariableSpecification(
        default_value=text("value"),
        type=type_ if type_ in TYPES else "string",
        label=text("label"),
        description=text("description"),
        widget=widget if widget in WIDGETS else "editBox",
        panel=text("panel"),
        allowed_values=tuple(document.scalar(v, "an item of 'values'").text for v in values),
        index=document.integer(node, "index", 0),
        visible_if=text("visibleif"),
        enabled_if=text("enabledif"),
        rows=rows,
        in_defaults=in_defaults,
    )
