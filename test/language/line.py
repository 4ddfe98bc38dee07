"""A line of roles, for expressions that ask for their own role and its ancestors."""

from __future__ import annotations

from attrs import define


@define
class Role:
    """A role in a line of ancestors."""

    name: str
    parent: Role | None = None

    @property
    def path(self) -> str:
        """The names from the root on."""
        return self.name if self.parent is None else f"{self.parent.path}.{self.name}"


LEAF = Role("leaf", Role("middle", Role("root")))
