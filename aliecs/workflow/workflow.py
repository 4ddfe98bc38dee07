"""A workflow that is loaded: the tree of roles and what is known of the whole.

Made by `loader`, or from a document of the journal after a restart, when no template is loaded
again. The environment keeps it for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any

from attrs import define, field

from aliecs.interfaces import ILoaderSources, TemplateText
from aliecs.language.expression import Compiler
from aliecs.language.functions import Scope, evaluate_call, make_library
from aliecs.workflow.difference import Changed, Difference, RoleChange
from aliecs.workflow.moment import Hooks
from aliecs.workflow.role import (
    AggregatorRole,
    CallRole,
    Listener,
    TaskRole,
    Tree,
    role_from_document,
    role_to_document,
)
from aliecs.workflow.schema import Diagnostic


@define(eq=False, slots=False)
class Workflow:
    """See the module."""

    name: str
    description: str
    public: bool
    template: TemplateText
    """The root template; without its text when the workflow comes from a document."""
    root: AggregatorRole
    compiler: Compiler = field(repr=False)
    class_texts: Mapping[str, TemplateText] = field(factory=dict, repr=False)
    """The task templates that the tree needs, by class identifier, in the order of first use."""
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def tree(self) -> Tree:
        """What the roles share."""
        return self.root.tree

    @property
    def defaults(self) -> dict[str, str]:
        """The environment's own layer of defaults, above which the root role stands."""
        return self.tree.defaults

    @property
    def variables(self) -> dict[str, str]:
        """The environment's own layer of vars."""
        return self.tree.variables

    @property
    def user_variables(self) -> dict[str, str]:
        """The environment's own layer of user variables."""
        return self.tree.user_variables

    @property
    def listener(self) -> Listener | None:
        """Whoever is told of changes of states and statuses."""
        return self.tree.listener

    @listener.setter
    def listener(self, listener: Listener | None) -> None:
        self.tree.listener = listener

    @property
    def class_identifiers(self) -> tuple[str, ...]:
        """The distinct task classes of the tree, in the order of first use."""
        return tuple(self.class_texts)

    @cached_property
    def task_roles(self) -> tuple[TaskRole, ...]:
        """All task roles, in the order of the tree."""
        return tuple(self.root.of_kind(TaskRole))

    @cached_property
    def call_roles(self) -> tuple[CallRole, ...]:
        """All call roles, in the order of the tree."""
        return tuple(self.root.of_kind(CallRole))

    @cached_property
    def hooks(self) -> Hooks:
        """Calls and hook tasks by moment and weight."""
        return Hooks(self.root)

    def evaluate_call(
        self,
        role: CallRole,
        variables: Mapping[str, str],
        functions: Mapping[str, Mapping[str, Callable[..., Any]]],
        sources: ILoaderSources | None,
    ) -> str | Awaitable[str]:
        """Evaluate the text of a call with the functions of the plugins, already bound to it.

        Gives the output, or an awaitable of it where the function answers later. Raises what the
        function raises, and `ExpressionError` where there is no such function.
        """
        library = make_library(self.compiler, functions)
        return evaluate_call(role.func, Scope(variables, library, sources))

    # --- documents -----------------------------------------------------------------------------

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form of the resolved tree, for the journal. States are not part of it."""
        return {
            "name": self.name,
            "description": self.description,
            "public": self.public,
            "template": _reference(self.template),
            "defaults": dict(self.defaults),
            "variables": dict(self.variables),
            "user_variables": dict(self.user_variables),
            "classes": classes_to_document(self.class_texts),
            "root": role_to_document(self.root),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], compiler: Compiler) -> Workflow:
        """The inverse of `to_document`, with the states of a tree that is not deployed."""
        tree = Tree(
            dict(document["defaults"]),
            dict(document["variables"]),
            dict(document["user_variables"]),
        )
        root = role_from_document(document["root"], tree)
        assert isinstance(root, AggregatorRole)
        return cls(
            name=document["name"],
            description=document["description"],
            public=document["public"],
            template=_template(document["template"]),
            root=root,
            compiler=compiler,
            class_texts=_classes(document["classes"]),
        )

    def change(self, document: Mapping[str, Any]) -> None:
        """Do again what the journal has of a change of variables."""
        changes = tuple(map(RoleChange.from_document, document["changes"]))
        for _ in Changed.of(self.root, Difference(changes)).apply():
            pass
        self.class_texts = {**self.class_texts, **_classes(document["classes"])}


def classes_to_document(class_texts: Mapping[str, TemplateText]) -> dict[str, dict[str, str]]:
    """A JSON-able form of task templates by their identifiers."""
    return {
        identifier: {**_reference(text), "text": text.text.decode()}
        for identifier, text in class_texts.items()
    }


def _classes(document: Mapping[str, Any]) -> dict[str, TemplateText]:
    return {identifier: _template(entry) for identifier, entry in document.items()}


def _reference(text: TemplateText) -> dict[str, str]:
    return {"repository": text.repository, "revision": text.revision, "path": text.path}


def _template(entry: Mapping[str, str]) -> TemplateText:
    text = entry.get("text", "").encode()
    return TemplateText(entry["repository"], entry["revision"], entry["path"], text)
