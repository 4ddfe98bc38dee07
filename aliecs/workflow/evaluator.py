"""The fields of role templates, evaluated, with errors and warnings that say where.

Keeps in mind which role is at hand, so that whatever goes wrong in an expression, or in a function
that it calls, is told with file, line and role. Used by `loader`, one for each load.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from attrs import define, evolve, field, frozen

from aliecs.errors import (
    AliecsError,
    DeadlineExceeded,
    Exhausted,
    Location,
    TemplateError,
    Unavailable,
)
from aliecs.interfaces import ILoaderSources
from aliecs.language.declaration import Channel, Constraint
from aliecs.language.document import Field
from aliecs.language.functions import Library, Scope
from aliecs.language.standard import integer_of
from aliecs.language.variables import Layers
from aliecs.workflow.role import AggregatorRole, Role
from aliecs.workflow.schema import Diagnostic, Fields, IteratorTemplate, RoleTemplate

MOST_ROLES = 250_000
"""In one workflow."""


@frozen
class Place:
    """Where in the files a role comes from."""

    repository: str
    revision: str
    files: tuple[str, ...]
    """The template at hand and those that include it, outermost first."""


@frozen
class Unborn:
    """A role whose own name and fields are still being evaluated."""

    name: str
    parent: Role | None

    @property
    def path(self) -> str:
        return self.name if self.parent is None else f"{self.parent.path}.{self.name}"


@frozen
class Surroundings:
    """What a role inherits while it is loaded."""

    parent: AggregatorRole | None
    layers: Layers
    place: Place


@define
class Evaluator:
    """See the module."""

    library: Library
    sources: ILoaderSources
    dump: Callable[[str, str], None] | None = None
    put_aside: Callable[[TemplateError], None] | None = None
    """Takes the errors of fields that can stay as they are written; None where every error counts
    at once."""
    warnings: dict[Diagnostic, None] = field(factory=dict)
    """In the order of their first appearance, each once."""
    location: Location = field(factory=lambda: Location(""))
    """Of what is being evaluated."""
    role_path: str = ""

    # --- iterators -------------------------------------------------------------------------------

    def values(self, template: IteratorTemplate, surroundings: Surroundings) -> Iterator[str]:
        """The values of an iterator's variable, seen from the parent: no role, no dpl."""
        plain = self.library.plain or self.library
        scope = self.scope(template.role, surroundings, surroundings.layers, None)
        scope = evolve(scope, library=plain, role=None)
        if template.range is not None:
            text = self.needed(template.range, scope, "range")
            yield from self._listed(text, template.range)
            return
        assert template.begin is not None
        assert template.end is not None
        begin = self._bound(template.begin, scope, "begin")
        end = self._bound(template.end, scope, "end")
        if end - begin >= MOST_ROLES:
            raise self.error(template.begin, f"more than {MOST_ROLES} instances")
        yield from map(str, range(begin, end + 1))

    def _listed(self, text: str, source: Field) -> list[str]:
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = text
        if values is None:
            return []
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return values
        raise self.error(source, f"'range' must be a JSON list of strings, not {text[:200]!r}")

    def _bound(self, source: Field, scope: Scope, what: str) -> int:
        text = self.needed(source, scope, what)
        value = integer_of(text)
        if value is None:
            raise self.error(source, f"{what!r} must be a whole number, not {text!r}")
        return value

    # --- evaluation ------------------------------------------------------------------------------

    def scope(
        self,
        template: RoleTemplate,
        surroundings: Surroundings,
        layers: Layers,
        local: Mapping[str, str] | None,
    ) -> Scope:
        role = Unborn(template.name.text, surroundings.parent)
        self.location, self.role_path = template.location, role.path
        return Scope(
            variables=layers.stack(local),
            library=self.library,
            sources=self.sources,
            role=role,
            repository=(surroundings.place.repository, surroundings.place.revision),
            warn=self.warn,
            dump=self.dump,
        )

    def enabled(self, template: RoleTemplate, scope: Scope) -> bool:
        try:
            text = self.needed(template.enabled, scope, "enabled")
        except TemplateError as error:
            # Production templates rely on such a role just not being there.
            self.warn(f"the role is disabled, because {error.reason}")
            return False
        return text.strip().lower() in ("true", "1")

    def variables(self, fields: Fields, scope: Scope) -> dict[str, str]:
        return {name: self.text(value, scope, name) for name, value in fields}

    def constraint(self, constraint: Constraint, scope: Scope) -> Constraint:
        if "{{" not in constraint.value:
            return constraint
        source = Field(constraint.value, constraint.line)
        return evolve(constraint, value=self.text(source, scope, constraint.attribute))

    def channel(self, channel: Channel, scope: Scope) -> Channel:
        if "{{" not in channel.target and "{{" not in channel.global_alias:
            return channel
        target, alias = (
            self.text(Field(text, channel.line), scope, f"channel {channel.name}")
            for text in (channel.target, channel.global_alias)
        )
        return evolve(channel, target=target.strip(), global_alias=alias)

    def text(self, source: Field, scope: Scope, what: str) -> str:
        """A field, evaluated; as it is written where that cannot be and its error can be put aside.
        Raises `TemplateError`."""
        try:
            return self.needed(source, scope, what)
        except TemplateError as error:
            if self.put_aside is None:
                raise
            self.put_aside(error)
            return source.text

    def needed(self, source: Field, scope: Scope, what: str) -> str:
        """A field without whose value there is nothing to go on with. Raises `TemplateError`."""
        if "{{" not in source.text:
            return source.text
        self.location = Location(self.location.file, source.line)
        try:
            return scope.render(source.text)
        except (Unavailable, DeadlineExceeded, Exhausted):
            raise
        except AliecsError as error:
            raise self.error(source, f"{what}: {error}") from error

    def error(self, source: Field, reason: str) -> TemplateError:
        return TemplateError(reason, Location(self.location.file, source.line), self.role_path)

    def warn(self, text: str) -> None:
        self.warnings[Diagnostic(self.location, self.role_path, text)] = None
