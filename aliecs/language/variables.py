"""Layered variables: three classes, each flattened along a chain of roles, nearest role first.

Precedence is by class: what users set, over `vars`, over `defaults`; an ancestor's `vars` entry
beats the role's own `defaults` entry of the same name. While a tree is loaded, roles without
entries of their own share the flattened maps of their parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen


class Stack(Mapping[str, str]):
    """Maps seen as one, the first that has a key winning. Nothing is copied."""

    __slots__ = ("_layers",)

    def __init__(self, *layers: Mapping[str, str]) -> None:
        self._layers = layers

    def __getitem__(self, key: str) -> str:
        for layer in self._layers:
            if key in layer:
                return layer[key]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(key in layer for layer in self._layers)

    def __iter__(self) -> Iterator[str]:
        return iter(self.flattened())

    def __len__(self) -> int:
        return len(self.flattened())

    def flattened(self) -> dict[str, str]:
        """A plain map of what is seen."""
        result: dict[str, str] = {}
        for layer in reversed(self._layers):
            result.update(layer)
        return result


@frozen
class Layers:
    """The three classes of variables as some role sees them, each already flattened."""

    defaults: Mapping[str, str] = field(factory=dict)
    variables: Mapping[str, str] = field(factory=dict)
    user_variables: Mapping[str, str] = field(factory=dict)

    def extended(
        self,
        defaults: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        user_variables: Mapping[str, str] | None = None,
    ) -> Layers:
        """As seen one role further down, where that role has these entries of its own."""
        if not (defaults or variables or user_variables):
            return self
        return Layers(
            {**self.defaults, **defaults} if defaults else self.defaults,
            {**self.variables, **variables} if variables else self.variables,
            {**self.user_variables, **user_variables} if user_variables else self.user_variables,
        )

    def stack(self, local: Mapping[str, str] | None = None) -> Stack:
        """All classes as one map; `local` (an iterator's variable) wins over everything."""
        if local:
            return Stack(local, self.user_variables, self.variables, self.defaults)
        return Stack(self.user_variables, self.variables, self.defaults)
