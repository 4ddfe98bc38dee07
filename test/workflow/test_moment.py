"""Triggers and the index of hooks."""

from __future__ import annotations

import pytest

from aliecs.workflow.moment import Hooks, complaint, leaf_complaints, parse_trigger

from .trees import aggregator, at, call, grow, task


@pytest.mark.parametrize(
    ("text", "moment", "weight"),
    [
        ("before_CONFIGURE", "before_CONFIGURE", 0),
        ("before_CONFIGURE+10", "before_CONFIGURE", 10),
        ("after_RESET-1", "after_RESET", -1),
        ("a-b+3", "a-b", 3),
        ("DESTROY+x", "DESTROY", 0),
        ("DESTROY+", "DESTROY", 0),
        ("before_CONFIGURE +5", "before_CONFIGURE ", 5),
        ("", "", 0),
    ],
)
def test_triggers(text: str, moment: str, weight: int) -> None:
    assert parse_trigger(text) == (moment, weight)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("before_CONFIGURE+10", ""),
        ("enter_RUNNING", ""),
        ("DESTROY-100", ""),
        ("after_DESTROY", ""),
        ("CONFIGURE", "never comes"),
        ("before_CONFIGURE +5", "never comes"),
        ("DESTROY+x", "not a number"),
    ],
)
def test_complaints(text: str, problem: str) -> None:
    assert problem in complaint(text)
    assert bool(problem) == bool(complaint(text))


@pytest.mark.parametrize(
    ("trigger", "await_", "problems"),
    [
        ("", "nonsense", 0),
        ("DESTROY", "DESTROY", 0),
        ("before_CONFIGURE", "after_CONFIGURE-1", 0),
        ("before_CONFIGURE+5", "before_CONFIGURE+4", 1),
        ("nonsense", "nonsense", 1),
        ("nonsense", "rubbish", 2),
    ],
)
def test_complaints_about_roles(trigger: str, await_: str, problems: int) -> None:
    root = grow(aggregator("root", call("c", trigger=trigger, await_=await_)))
    assert len(list(leaf_complaints(at(root, "root.c")))) == problems


def test_hooks_are_found_by_moment_and_weight_in_the_order_of_the_tree() -> None:
    root = grow(
        aggregator(
            "root",
            call("late", trigger="DESTROY+50"),
            aggregator("a", task("b", trigger="DESTROY"), call("c", trigger="DESTROY")),
            task("d", trigger="DESTROY+0"),
            call("early", trigger="DESTROY-50"),
            task("plain"),
            call("never", trigger=""),
            call("other", trigger="enter_RUNNING"),
        )
    )
    hooks = Hooks(root)
    found = {
        weight: ([c.name for c in calls], [t.name for t in tasks])
        for weight, (calls, tasks) in hooks.at("DESTROY").items()
    }
    assert found == {-50: (["early"], []), 0: (["c"], ["b", "d"]), 50: (["late"], [])}
    assert list(found) == [-50, 0, 50]
    assert hooks.at("after_DESTROY") == {}
    assert set(hooks.moments()) == {"DESTROY", "enter_RUNNING"}
