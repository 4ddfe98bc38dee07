"""What expressions can see: the library of functions, and the scope of an evaluation.

A `Library` is made once for a load or a transition, from the standard functions, those that ask the
sources, and those of the plugins. A `Scope` joins it with the variables and the role at hand; it
renders texts. The order in which names hide each other is that of the reference: functions hide
variables, and namespaces of one name are merged.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from attrs import define, evolve, field, frozen

from aliecs.interfaces import ILoaderSources
from aliecs.language import inquiry, standard
from aliecs.language.expression import Compiler, Dialect
from aliecs.language.printing import to_json, to_text
from aliecs.language.value import ExpressionError, Function, Namespace, RoleView

MOST_NESTED_TEXTS = 8
"""Texts fetched by an expression in a text fetched by an expression ..."""

PluginFunctions = Mapping[str, Mapping[str, Callable[..., Any]]]
"""Namespace -> function name -> function of the template's own arguments."""
Objects = Mapping[str, Function | Namespace]


class IRoleContext(Protocol):
    """A role, as far as expressions are concerned."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def parent(self) -> IRoleContext | None: ...


def _ignore(text: str) -> None:
    """Nobody listens to warnings."""


@define
class Library:
    """Functions and namespaces, and the dialect in which they are used."""

    objects: Objects
    dialect: Dialect
    plain: Library | None = None
    """The same without role objects and dpl, for texts that are fetched; None for itself."""


def make_library(
    compiler: Compiler,
    plugin_functions: PluginFunctions | None = None,
    extra: Objects | None = None,
) -> Library:
    """The functions of the language, of plugins, and `extra` ones such as `ROLE_FUNCTIONS`,
    `DPL_FUNCTIONS` or `PTREE_FUNCTIONS`."""
    objects: dict[str, Function | Namespace] = {
        **standard.BARE,
        **standard.NAMESPACES,
        **inquiry.DEPRECATED,
        "odc": Namespace("odc", {"GenerateEPNTopologyFullname": _NO_TOPOLOGY}),
    }
    for name, members in (plugin_functions or {}).items():
        functions = {member: _plugin_function(name, member, f) for member, f in members.items()}
        _merge(objects, Namespace(name, functions))
    for namespace in inquiry.NAMESPACES.values():
        _merge(objects, namespace)
    plain = Library(objects, compiler.dialect(objects))
    if not extra:
        return plain
    with_extra = {**objects, **extra}
    return Library(with_extra, compiler.dialect(with_extra), plain)


def _merge(objects: dict[str, Function | Namespace], namespace: Namespace) -> None:
    present = objects.get(namespace.name)
    members = present.members if isinstance(present, Namespace) else {}
    objects[namespace.name] = Namespace(namespace.name, {**members, **namespace.members})


def _plugin_function(namespace: str, name: str, function: Callable[..., Any]) -> Function:
    signature = inspect.signature(function)

    def call(scope: Any, *arguments: Any) -> Any:
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise ExpressionError(f"{namespace}.{name}: {error}") from None
        return function(*arguments)

    return Function(f"{namespace}.{name}", call)


_NO_TOPOLOGY = Function("odc.GenerateEPNTopologyFullname", lambda scope: "", ())


@frozen
class Scope:
    """Everything that one evaluation can see. Cheap to make, thrown away after use."""

    variables: Mapping[str, str]
    library: Library
    sources: ILoaderSources | None = None
    """None where nothing may be asked, because waiting would hold up everything."""
    role: IRoleContext | None = None
    repository: tuple[str, str] = ("", "")
    """Identifier and revision of the workflow repository at hand."""
    warn: Callable[[str], None] = _ignore
    dump: Callable[[str, str], None] | None = None
    """Writes a file for `util.Dump`: name and text."""
    trees: dict[str, tuple[str, str]] = field(factory=dict)
    """What `ToPtree` put aside: key -> syntax and payload."""
    _depth: int = 0

    @property
    def objects(self) -> Objects:
        """The functions and namespaces of the library."""
        return self.library.objects

    def render(self, text: str) -> str:
        """`text` with its expressions replaced by their values. Raises `ExpressionError`, and
        `DeadlineExceeded` where the sources have run out of time."""
        if "{{" not in text:
            return text
        return self.library.dialect.template(text).render(self)

    def evaluate(self, text: str) -> Any:
        """The value of one expression, written without braces."""
        return self.library.dialect.expression(text).evaluate(self)

    def start(self, text: str) -> str | Awaitable[str]:
        """The text of one expression, written without braces, or an awaitable of it where the
        expression is one call of a function that answers later."""
        value = self.library.dialect.expression(text).start(self)
        return _printed_later(value) if inspect.isawaitable(value) else to_text(value)

    def ask(self, function: str) -> ILoaderSources:
        """The sources, for a function that needs them. Raises `ExpressionError`."""
        if self.sources is None:
            raise ExpressionError(f"{function} cannot be used here: it would have to wait")
        return self.sources

    def for_text(self, what: str) -> Scope:
        """The scope for a text that an expression has fetched: no role, no dpl."""
        if self._depth >= MOST_NESTED_TEXTS:
            raise ExpressionError(f"{what}: texts that fetch each other, {self._depth} levels deep")
        library = self.library.plain or self.library
        return evolve(self, library=library, role=None, depth=self._depth + 1)


async def _printed_later(value: Awaitable[Any]) -> str:
    return to_text(await value)


def evaluate_call(text: str, scope: Scope) -> str | Awaitable[str]:
    """Evaluate the `func` of a call role, such as `testplugin.Test()`.

    Gives the output text, or an awaitable of it. Raises what the function raises, and
    `ExpressionError` where there is no such function.
    """
    return scope.start(text)


# --- roles ---------------------------------------------------------------------------------------


def _view(role: IRoleContext | None) -> RoleView | None:
    return None if role is None else RoleView(role.name, role.path)


def _parent(scope: Scope) -> RoleView | None:
    return _view(scope.role.parent) if scope.role is not None else None


def _up(scope: Scope, levels: int) -> RoleView | None:
    role = scope.role if levels > 0 else None
    remaining = levels
    while role is not None and remaining > 0:
        role, remaining = role.parent, remaining - 1
    if role is None and levels > 0:
        scope.warn(f"Up({levels}) goes beyond the root role")
    return _view(role)


def _this(scope: Scope) -> RoleView | None:
    return _view(scope.role)


ROLE_FUNCTIONS: Objects = {
    "Parent": Function("Parent", _parent, (), "role"),
    "Up": Function("Up", _up, (int,), "role"),
    "This": Function("This", _this, (), "role"),
}
"""For the fields of roles."""

DPL_FUNCTIONS: Objects = {"dpl": inquiry.DPL, **inquiry.DEPRECATED_DPL}
"""Where the workflow repository is known."""


# --- property trees ------------------------------------------------------------------------------

TREE_PREFIX = "__ptree__:"
_SYNTAXES = ("ini", "json", "xml")


def _to_ptree(scope: Scope, payload: str, syntax: str) -> str:
    syntax = syntax.strip().lower()
    if syntax not in _SYNTAXES:
        payload = to_json({"error": f"{syntax} is not one of {', '.join(_SYNTAXES)}"})
        syntax = "json"
    key = f"{TREE_PREFIX}{syntax}:{len(scope.trees)}"
    scope.trees[key] = (syntax, payload)
    return key


PTREE_FUNCTIONS: Objects = {"ToPtree": Function("ToPtree", _to_ptree, (str, str), "string")}
"""For the properties of a task: a payload that the task gets as a tree, see `resolve_trees`."""


def resolve_trees(properties: Mapping[str, str], scope: Scope) -> dict[str, str]:
    """Properties after evaluation, each whose value is a key made by `ToPtree` renamed to
    `__ptree__:<syntax>:<property>` with the payload as its value."""
    resolved = {}
    for key, value in properties.items():
        if value in scope.trees:
            syntax, payload = scope.trees[value]
            resolved[f"{TREE_PREFIX}{syntax}:{key}"] = payload
        else:
            resolved[key] = value
    return resolved
