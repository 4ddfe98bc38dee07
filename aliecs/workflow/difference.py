"""What other variables make of a tree that lives: the differences, and whether they can be had.

A living tree is more than what was loaded: calls have set variables in it, processes play its
roles. So it is not loaded anew. Its template is loaded twice, with the variables as they were and
as they shall be, and what differs between the two is changed in the living one. Roles that come, go
or would have to run elsewhere are no such change: they are told as complaints. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from aliecs.language.declaration import Channel
from aliecs.language.variables import Layers
from aliecs.workflow.role import CallRole, LeafRole, Role, TaskRole, Tree, Variables

LAYERS = ("defaults", "variables", "user_variables")
_CHANNELS = ("bind", "connect")
_TEXTS: Mapping[type[Role], tuple[str, ...]] = {
    TaskRole: ("timeout", "class_identifier"),
    CallRole: ("timeout", "func", "return_"),
}

NOWHERE = -1

MOST_COMPLAINTS = 20
"""Complaints that are told; the rest is counted by whoever tells them."""

Entries = Mapping[str, str | None]
"""New values of variables; None for those that are no more."""


@frozen
class RoleChange:
    """What is different about one role: the one at that `position` of a walk through the tree, with
    that `path`. What the roles of a tree share is at NOWHERE."""

    position: int
    path: str
    layers: Mapping[str, Entries] = field(factory=dict)
    """By the name of the class of variables."""
    attributes: Mapping[str, Any] = field(factory=dict)
    """New values of other attributes: channels, texts of leaves."""

    def of_layer(self, layer: str, entries: Variables) -> Variables:
        """A class of variables after the change."""
        changed = self.layers.get(layer)
        if not changed:
            return entries
        left = {name: value for name, value in entries.items() if name not in changed}
        return left | {name: value for name, value in changed.items() if value is not None}

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form, for the journal."""
        attributes = {
            name: [one.to_document() for one in value] if name in _CHANNELS else value
            for name, value in self.attributes.items()
        }
        return {
            "position": self.position,
            "path": self.path,
            "layers": self.layers,
            "attributes": attributes,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RoleChange:
        """The inverse of `to_document`."""
        attributes = {
            name: tuple(map(Channel.from_document, value)) if name in _CHANNELS else value
            for name, value in document["attributes"].items()
        }
        return cls(document["position"], document["path"], document["layers"], attributes)


@frozen
class Difference:
    """What differs between two trees of one template. `shape` are complaints, each of which names a
    role; there are no `changes` to rely on where there are any."""

    changes: Sequence[RoleChange]
    shape: Sequence[str] = ()

    @property
    def names(self) -> frozenset[str]:
        """All variables that have another value somewhere."""
        return frozenset(
            name for change in self.changes for layer in change.layers.values() for name in layer
        )


def compare(before: Role, after: Role) -> Difference:
    """What differs between two trees."""
    shape = list(itertools.islice(_misfits(before, after), MOST_COMPLAINTS))
    if shape:
        return Difference((), shape)
    changes = [_change(NOWHERE, "", before.tree, after.tree)]
    pairs = zip(before.walk(), after.walk(), strict=True)
    for position, (one, other) in enumerate(pairs):
        if complaint := _elsewhere(one, other):
            shape.append(complaint)
        changes.append(_change(position, one.path, one, other))
    return Difference(
        tuple(change for change in changes if change.layers or change.attributes),
        shape[:MOST_COMPLAINTS],
    )


def same_shape(before: Role, after: Role) -> Sequence[str]:
    """Complaints where two trees have not the same roles."""
    return list(itertools.islice(_misfits(before, after), MOST_COMPLAINTS))


def _misfits(before: Role, after: Role) -> Iterator[str]:
    """Roles that come, go, or are something else."""
    if type(before) is not type(after):
        yield f"role {before.path} would be of another kind"
        return
    if isinstance(before, LeafRole) and isinstance(after, LeafRole):
        for name in ("trigger", "await_", "is_critical"):
            was, is_now = getattr(before, name), getattr(after, name)
            if was != is_now:
                what = name.removesuffix("_")
                yield f"the {what} of role {before.path} would be {is_now!r} and not {was!r}"
    names, others = [r.name for r in before.roles], [r.name for r in after.roles]
    if names == others:
        for one, other in zip(before.roles, after.roles, strict=True):
            yield from _misfits(one, other)
        return
    gone, new = [n for n in names if n not in others], [n for n in others if n not in names]
    yield from (f"role {before.path}.{name} would not be there any more" for name in gone)
    yield from (f"there would be a new role {before.path}.{name}" for name in new)
    if not gone and not new:
        yield f"the roles below {before.path} would be in another order"


def _elsewhere(one: Role, other: Role) -> str:
    """A complaint where a role has other constraints, so that it may have to run elsewhere."""
    if one.constraints == other.constraints:
        return ""
    wanted = ", ".join(f"{c.attribute} = {c.value}" for c in other.constraints) or "no constraints"
    return f"role {one.path} would have to run elsewhere ({wanted})"


def _change(position: int, path: str, before: Role | Tree, after: Role | Tree) -> RoleChange:
    layers = {
        name: entries
        for name in LAYERS
        if (entries := _entries(getattr(before, name), getattr(after, name)))
    }
    attributes = {}
    if isinstance(before, Role):
        for name in (*_CHANNELS, *_TEXTS.get(type(before), ())):
            value = getattr(after, name)
            if value != getattr(before, name):
                attributes[name] = value
    return RoleChange(position, path, layers, attributes)


def _entries(before: Variables, after: Variables) -> dict[str, str | None]:
    if before == after:
        return {}
    changed: dict[str, str | None] = {
        name: value for name, value in after.items() if before.get(name) != value
    }
    return changed | {name: None for name in before if name not in after}


@frozen
class Changed:
    """A living tree as it would be, without changing anything of it."""

    root: Role
    changes: Mapping[Role | None, RoleChange]
    """By role; that of the tree under None."""

    @classmethod
    def of(cls, root: Role, difference: Difference) -> Changed:
        """The tree with what a comparison found."""
        by_position = {change.position: change for change in difference.changes}
        changes: dict[Role | None, RoleChange] = {
            role: by_position[position]
            for position, role in enumerate(root.walk())
            if position in by_position
        }
        if NOWHERE in by_position:
            changes[None] = by_position[NOWHERE]
        return cls(root, changes)

    def stack(self, role: Role) -> dict[str, str]:
        """All variables that a role would see."""
        tree = self.root.tree
        change = self.changes.get(None)
        layers = tree.layers()
        if change is not None:
            layers = Layers(*(change.of_layer(name, getattr(tree, name)) for name in LAYERS))
        for one in (*reversed(list(role.ancestors())), role):
            layers = layers.extended(*self._own(one))
        return layers.stack().flattened()

    def touches(self, role: Role, *attributes: str) -> bool:
        """True where one of these attributes of a role, or of one above it, would be another."""
        return any(
            name in change.attributes
            for one in (role, *role.ancestors())
            if (change := self.changes.get(one)) is not None
            for name in attributes
        )

    def _own(self, role: Role) -> tuple[Variables, ...]:
        change = self.changes.get(role)
        if change is None:
            return role.defaults, role.variables, role.user_variables
        return tuple(change.of_layer(name, getattr(role, name)) for name in LAYERS)

    def apply(self) -> Iterator[None]:
        """Make it so. Gives way after each role: a tree may be large."""
        for role, change in self.changes.items():
            target: Role | Tree = self.root.tree if role is None else role
            for name in change.layers:
                entries = change.of_layer(name, getattr(target, name))
                setattr(target, name, dict(entries) if role is None else entries)
            for name, value in change.attributes.items():
                setattr(target, name, value)
            yield
