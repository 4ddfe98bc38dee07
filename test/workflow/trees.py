"""Small trees for tests, without templates."""

from __future__ import annotations

from typing import Any

from aliecs.errors import Location
from aliecs.workflow.role import AggregatorRole, CallRole, Role, TaskRole, Tree

HERE = Location("test.yaml", 1)


def task(name: str, critical: bool = True, **more: Any) -> Any:
    return lambda tree, parent: TaskRole(
        tree=tree, name=name, parent=parent, location=HERE, is_critical=critical,
        class_identifier=f"example.org/a/b/tasks/{name}@1", **more,
    )  # fmt: skip


def call(name: str, critical: bool = True, trigger: str = "DESTROY", **more: Any) -> Any:
    return lambda tree, parent: CallRole(
        tree=tree, name=name, parent=parent, location=HERE, is_critical=critical, trigger=trigger,
        func="testplugin.Test()", **more,
    )  # fmt: skip


def aggregator(name: str, *children: Any, **more: Any) -> Any:
    def make(tree: Tree, parent: AggregatorRole | None) -> AggregatorRole:
        role = AggregatorRole(tree=tree, name=name, parent=parent, location=HERE, **more)
        role.adopt(tuple(child(tree, role) for child in children))
        return role

    return make


def grow(root: Any, tree: Tree | None = None) -> AggregatorRole:
    role = root(tree or Tree(), None)
    assert isinstance(role, AggregatorRole)
    return role


def at(root: Role, path: str) -> Any:
    role = root.find(path)
    assert role is not None, path
    return role
