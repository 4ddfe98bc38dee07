"""The tree of roles: paths, variables, inheritance, states that add up."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.errors import InvalidInput
from aliecs.language.declaration import Channel, Constraint
from aliecs.language.state import State, Status
from aliecs.workflow.role import (
    AggregatorRole,
    CallRole,
    LeafRole,
    Role,
    TaskRole,
    Tree,
    role_from_document,
    role_to_document,
)

from .trees import aggregator, at, call, grow, task


def big() -> AggregatorRole:
    return grow(
        aggregator(
            "root",
            call("call"),
            task("critical"),
            aggregator("include", task("optional", critical=False), task("needed")),
            aggregator("spare", task("lone", critical=False)),
        )
    )


def set_all(root: Role, state: State) -> None:
    for role in root.of_kind(TaskRole):
        role.set_state(state)


def test_walking_and_finding() -> None:
    root = big()
    paths = [role.path for role in root.walk()]
    assert paths == [
        "root", "root.call", "root.critical", "root.include", "root.include.optional",
        "root.include.needed", "root.spare", "root.spare.lone",
    ]  # fmt: skip
    for path in paths:
        assert at(root, path).path == path
    for path in ("", "roo", "root.", "root.include.x", "rootx", "include"):
        assert root.find(path) is None
    assert at(root, "root.include.needed").root is root
    assert len(list(root.of_kind(LeafRole))) == 5


def test_names_with_dots_are_found() -> None:
    root = grow(aggregator("a.b", aggregator("c", task("x")), aggregator("c.d", task("y"))))
    assert at(root, "a.b.c.d.y").name == "y"
    assert at(root, "a.b.c.x").name == "x"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("root", ["root"]),
        ("root.*", ["call", "critical", "include", "spare"]),
        ("root.include.**", ["optional", "needed"]),
        ("**.{lone,needed}", ["needed", "lone"]),
        ("", []),
    ],
)
def test_queries(pattern: str, names: list[str]) -> None:
    assert [role.name for role in big().query(pattern)] == names


def test_a_malformed_query_is_the_clients_fault() -> None:
    with pytest.raises(InvalidInput):
        big().query("[")


# --- states --------------------------------------------------------------------------------------


def test_a_fresh_tree() -> None:
    root = big()
    assert (root.state, root.status) == (State.STANDBY, Status.INACTIVE)
    spare = at(root, "root.spare")
    assert (spare.state, spare.status) == (State.INVARIANT, Status.INVARIANT)
    assert root.critical
    assert not spare.critical


@pytest.mark.parametrize(
    ("path", "state", "result"),
    [
        ("root.include.needed", State.CONFIGURED, State.MIXED),
        ("root.include.needed", State.ERROR, State.ERROR),
        ("root.include.optional", State.CONFIGURED, State.RUNNING),
        ("root.include.optional", State.ERROR, State.RUNNING),
        ("root.spare.lone", State.CONFIGURED, State.RUNNING),
    ],
)
def test_a_change_goes_up(path: str, state: State, result: State) -> None:
    root = big()
    set_all(root, State.RUNNING)
    assert root.state is State.RUNNING
    at(root, path).set_state(state)
    assert root.state is result
    set_all(root, State.CONFIGURED)
    assert root.state is State.CONFIGURED


def children_tree(*children: Any) -> AggregatorRole:
    return grow(aggregator("root", *children))


@pytest.mark.parametrize(
    ("states", "result"),
    [
        ([State.ERROR, State.MIXED], State.ERROR),
        ([State.MIXED], State.MIXED),
        ([State.CONFIGURED, State.CONFIGURED], State.CONFIGURED),
        ([State.ERROR, State.CONFIGURED], State.ERROR),
        ([State.RUNNING, State.DONE], State.MIXED),
        ([], State.INVARIANT),
    ],
)
def test_states_of_children(states: list[State], result: State) -> None:
    root = children_tree(*(task(str(n)) for n in range(len(states))))
    for role, state in zip(root.of_kind(TaskRole), states, strict=True):
        role.set_state(state)
    assert root.state is result


@pytest.mark.parametrize(
    ("statuses", "result"),
    [
        ([Status.ACTIVE, Status.ACTIVE], Status.ACTIVE),
        ([Status.ACTIVE, Status.INACTIVE], Status.PARTIAL),
        ([Status.ACTIVE, Status.PARTIAL], Status.PARTIAL),
        ([Status.ACTIVE, Status.UNDEPLOYABLE], Status.UNDEPLOYABLE),
        ([Status.UNDEFINED, Status.UNDEPLOYABLE], Status.UNDEFINED),
    ],
)
def test_statuses_of_children(statuses: list[Status], result: Status) -> None:
    root = children_tree(*(task(str(n)) for n in range(len(statuses))))
    for role, status in zip(root.of_kind(TaskRole), statuses, strict=True):
        role.set_status(status)
    assert root.status is result


def test_what_is_not_critical_does_not_count() -> None:
    root = children_tree(task("a", critical=False), task("b", critical=False))
    for role, status in zip(root.of_kind(TaskRole), (Status.ACTIVE, Status.UNDEPLOYABLE),
                            strict=True):  # fmt: skip
        role.set_status(status)
    assert root.status is Status.INVARIANT


def test_calls() -> None:
    root = children_tree(call("hook"), call("never", trigger=""), task("a"))
    hook, never = root.of_kind(CallRole)
    assert (hook.state, never.state) == (State.INVARIANT, State.INVARIANT)
    assert (hook.status, never.status) == (Status.INACTIVE, Status.INVARIANT)
    at(root, "root.a").set_status(Status.ACTIVE)
    assert root.status is Status.PARTIAL
    hook.set_status(Status.ACTIVE)
    never.set_status(Status.UNDEPLOYABLE)
    assert root.status is Status.ACTIVE


def test_the_listener_is_told_once_child_first_with_the_tree_in_order() -> None:
    tree = Tree()
    root = grow(aggregator("root", aggregator("a", task("x")), aggregator("b", task("y"))), tree)
    told: list[tuple[str, str, State]] = []
    tree.listener = lambda role, change: told.append((role.name, change, root.state))
    at(root, "root.a.x").set_state(State.CONFIGURED)
    assert told == [(name, "state", State.MIXED) for name in ("x", "a", "root")]
    told.clear()
    at(root, "root.a.x").set_state(State.CONFIGURED)
    assert told == []
    at(root, "root.b.y").set_state(State.RUNNING)
    assert [name for name, _, _ in told] == ["y", "b"]
    at(root, "root.b.y").set_status(Status.ACTIVE)
    assert told[-1][1] == "status"


def test_an_excluded_role_is_neutral() -> None:
    root = children_tree(aggregator("a", task("x")), aggregator("b", task("y")))
    set_all(root, State.RUNNING)
    at(root, "root.a").exclude()
    at(root, "root.a.x").set_state(State.ERROR)
    assert (at(root, "root.a").state, root.state) == (State.ERROR, State.RUNNING)
    at(root, "root.a").exclude()
    at(root, "root.b").exclude()
    assert root.state is State.INVARIANT
    at(root, "root.a").include()
    at(root, "root.a").include()
    assert root.state is State.ERROR


def test_what_is_below_an_excluded_role_is_left_out() -> None:
    root = children_tree(aggregator("a", task("x")), aggregator("b", task("y")))
    at(root, "root.a").exclude()
    left_out = [role.path for role in root.walk() if role.left_out]
    assert left_out == ["root.a", "root.a.x"]


def recomputed(role: Role) -> State:
    if isinstance(role, LeafRole):
        return role.state
    states = [recomputed(child) for child in role.roles if child.counts]
    return reduce(State.product, states, State.INVARIANT)


def recomputed_status(role: Role) -> Status:
    if isinstance(role, LeafRole):
        return role.status
    statuses = [recomputed_status(child) for child in role.roles if child.counts]
    return reduce(Status.product, statuses, Status.INVARIANT)


makers = st.recursive(
    st.builds(task, st.just("t"), st.booleans())
    | st.builds(call, st.just("c"), st.booleans(), st.sampled_from(["", "DESTROY"])),
    lambda inner: st.lists(inner, max_size=4).map(lambda kids: aggregator("a", *kids)),
    max_leaves=12,
)
steps = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([*State, *Status, "exclude", "include"])),
    max_size=20,
)


@given(st.lists(makers, max_size=4), steps)
def test_counters_agree_with_recomputation(children: list[Any], changes: list[Any]) -> None:
    root = grow(aggregator("root", *children))
    for number, change in changes:
        roles = list(root.walk())
        role = roles[number % len(roles)]
        if isinstance(change, str):
            getattr(role, change)()
        elif isinstance(change, State) and isinstance(role, TaskRole):
            role.set_state(change)
        elif isinstance(change, Status) and isinstance(role, (TaskRole, CallRole)):
            role.set_status(change)
    for role in root.walk():
        assert role.state is recomputed(role)
        assert role.status is recomputed_status(role)


def test_the_cost_of_a_change_does_not_depend_on_the_size() -> None:
    def visited(width: int) -> int:
        tree = Tree()
        groups = (aggregator(str(n), *(task(str(m)) for m in range(width))) for n in range(width))
        root = grow(aggregator("root", *groups), tree)
        count = 0

        def listener(role: Role, change: str) -> None:
            nonlocal count
            count += 1

        tree.listener = listener
        at(root, "root.0.0").set_state(State.CONFIGURED)
        at(root, "root.0.1").set_state(State.CONFIGURED)
        return count

    assert visited(5) == visited(60)


# --- variables and inheritance -------------------------------------------------------------------


def test_variables() -> None:
    tree = Tree({"x": "0", "d": "0"}, {"v": "0"}, {"u": "0"})
    root = grow(
        aggregator(
            "root",
            aggregator("a", task("t", defaults={"v": "5", "d": "5"}), variables={"x": "3"}),
            defaults={"x": "1", "y": "1"},
            user_variables={"y": "2"},
        ),
        tree,
    )
    leaf = at(root, "root.a.t")
    assert leaf.stack() == {"x": "3", "d": "5", "v": "0", "u": "0", "y": "2"}
    assert [leaf.variable(key) for key in ("x", "d", "v", "u", "y")] == ["3", "5", "0", "0", "2"]
    assert (leaf.variable("z"), leaf.variable("z", "?")) == ("", "?")
    root.set_runtime_variable("x", "9")
    root.set_variable("run_number", "1")
    assert (leaf.stack()["x"], leaf.stack()["run_number"]) == ("9", "1")
    root.delete_runtime_variable("x")
    root.delete_runtime_variable("x")
    root.delete_variable("run_number")
    assert leaf.stack()["x"] == "3"
    assert "run_number" not in leaf.stack()
    leaf.set_runtime_variable("only", "here")
    assert "only" not in root.stack()
    assert at(root, "root.a").user_variables == {}


def test_constraints_and_channels_come_from_above() -> None:
    root = grow(
        aggregator(
            "root",
            task(
                "t",
                constraints=(Constraint("b", "own"),),
                bind=(Channel("x", "push"),),
                connect=(Channel("z"),),
            ),
            constraints=(Constraint("a", "root"), Constraint("b", "root")),
            bind=(Channel("x", "pull"), Channel("y")),
        )
    )
    leaf = at(root, "root.t")
    assert leaf.effective_constraints() == (Constraint("a", "root"), Constraint("b", "own"))
    assert leaf.effective_bind() == (Channel("x", "push"), Channel("y"))
    assert leaf.effective_connect() == (Channel("z"),)


def test_variables_of_a_call() -> None:
    root = grow(aggregator("root", call("c", timeout="5s", await_="DESTROY"), defaults={"k": "v"}))
    assert at(root, "root.c").call_variables("env") == {
        "k": "v",
        "environment_id": "env",
        "__call_func": "testplugin.Test()",
        "__call_timeout": "5s",
        "__call_trigger": "DESTROY",
        "__call_await": "DESTROY",
        "__call_critical": "true",
        "__call_rolepath": "root.c",
    }


def test_a_tree_survives_as_a_document() -> None:
    root = grow(
        aggregator(
            "root",
            task("t", critical=False, trigger="DESTROY", timeout="3s",
                 constraints=(Constraint("a", "b", 3),), bind=(Channel("x", line=4),)),
            call("c", trigger="", return_="r"),
            aggregator("a", task("u"), variables={"k": "v"}, defaults={"": ""}),
            user_variables={"u": "w"},
        )
    )  # fmt: skip
    at(root, "root.a").exclude()
    document = role_to_document(root)
    again = role_from_document(document, Tree())
    assert role_to_document(again) == document
    assert [role.path for role in again.walk()] == [role.path for role in root.walk()]
    assert again.state is root.state
    assert at(again, "root.t").location == at(root, "root.t").location
    assert not at(again, "root.t").critical
