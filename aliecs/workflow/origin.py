"""Where the value of a variable comes from, and what it hides.

Three classes of variables, each inherited down the tree, make it hard to see why a value is what it
is. Here every value that a role sees is told with its class, the role that has it, and the line of
the template, the request or the service that gave it; and after it all that it overrides.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from aliecs.errors import Location
from aliecs.workflow.role import Role, Variables
from aliecs.workflow.schema import (
    AggregatorTemplate,
    Fields,
    IteratorTemplate,
    RoleTemplate,
    WorkflowTemplate,
)


class Layer(enum.Enum):
    """The class of a variable; those named first win."""

    USER = "user variable"
    VAR = "var"
    DEFAULT = "default"


class Source(enum.Enum):
    """Who gave a value."""

    TEMPLATE = "template"
    ITERATOR = "iterator"
    """One of the values of a `for`."""
    REQUEST = "request"
    """Whoever asked for the environment."""
    CONFIGURATION = "configuration"
    CORE = "core"
    """The core itself, or a call while the environment lives."""


_ATTRIBUTES: Mapping[Layer, str] = {
    Layer.USER: "user_variables",
    Layer.VAR: "variables",
    Layer.DEFAULT: "defaults",
}


@frozen
class Origin:
    """Where one value comes from."""

    layer: Layer
    role: str
    """Path of the role that has it; empty for the environment itself."""
    source: Source
    location: Location | None = None
    """The line of a template."""


@frozen
class Explanation:
    """A variable as a role sees it."""

    name: str
    value: str
    origin: Origin
    overrides: tuple[tuple[str, Origin], ...]
    """Values that it hides, the next to count first."""


@define
class Origins:
    """What is needed to tell origins: `templates` finds the parsed form of a file by its name;
    `requested` are the names that the request set for the whole environment, `configured` those
    that the configuration service gave."""

    templates: Callable[[str], WorkflowTemplate | None]
    requested: Collection[str] = ()
    configured: Collection[str] = ()
    _files: dict[str, dict[Location, _Written]] = field(init=False, factory=dict)

    def explain(self, role: Role, names: Collection[str] = ()) -> list[Explanation]:
        """The variables that a role sees, sorted by name; with `names` only those."""
        found: dict[str, list[tuple[str, Origin]]] = {}
        for layer, attribute in _ATTRIBUTES.items():
            for owner in (role, *role.ancestors()):
                entries: Variables = getattr(owner, attribute)
                for name in _wanted(entries, names):
                    origin = self._of_role(owner, layer, name)
                    found.setdefault(name, []).append((entries[name], origin))
            environment: Variables = getattr(role.tree, attribute)
            for name in _wanted(environment, names):
                origin = Origin(layer, "", self._source(layer, name))
                found.setdefault(name, []).append((environment[name], origin))
        return [
            Explanation(name, *values[0], tuple(values[1:]))
            for name, values in sorted(found.items())
        ]

    def _source(self, layer: Layer, name: str) -> Source:
        if layer is Layer.USER:
            return Source.REQUEST if name in self.requested else Source.CORE
        return Source.CONFIGURATION if name in self.configured else Source.CORE

    def _of_role(self, owner: Role, layer: Layer, name: str) -> Origin:
        for location in filter(None, (owner.location, owner.included_at)):
            written = self._written(location)
            if written is None:
                continue
            if line := written.line(layer, name):
                place = Location(location.file, line)
                return Origin(layer, owner.path, Source.TEMPLATE, place)
            if name == written.iterator:
                return Origin(layer, owner.path, Source.ITERATOR, location)
        source = Source.REQUEST if layer is Layer.USER else Source.CORE
        return Origin(layer, owner.path, source)

    def _written(self, location: Location) -> _Written | None:
        if location.file not in self._files:
            template = self.templates(location.file)
            self._files[location.file] = {} if template is None else _roles_of(template)
        return self._files[location.file].get(location)


def _wanted(entries: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    return (name for name in entries if not names or name in names)


@frozen
class _Written:
    """A role as the template has it, with the variable of the iterator that it stands in."""

    template: RoleTemplate
    iterator: str

    def line(self, layer: Layer, name: str) -> int:
        """The line of a variable's value, 0 where the role has no such variable."""
        fields: Fields = ()
        if layer is Layer.VAR:
            fields = self.template.variables
        elif layer is Layer.DEFAULT:
            fields = self.template.defaults
        return next((field.line for key, field in fields if key == name), 0)


def _roles_of(template: WorkflowTemplate) -> dict[Location, _Written]:
    """The roles of a template by their places."""
    found: dict[Location, _Written] = {}
    pending: list[tuple[RoleTemplate | IteratorTemplate, str]] = [(template.root, "")]
    while pending:
        item, iterator = pending.pop()
        if isinstance(item, IteratorTemplate):
            pending.append((item.role, item.variable))
            continue
        found[item.location] = _Written(item, iterator)
        if isinstance(item, AggregatorTemplate):
            pending += [(role, "") for role in item.roles]
    return found
