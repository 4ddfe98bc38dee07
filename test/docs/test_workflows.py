"""What `docs/workflows.md` shows works: templates in a real core, expressions one by one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aliecs.language import builtin
from aliecs.language.expression import Compiler
from aliecs.language.functions import DPL_FUNCTIONS, Scope, make_library
from aliecs.language.value import ExpressionError, Namespace
from aliecs.workflow.moment import complaint
from test.docs.documents import DOCS, blocks
from test.docs.test_references import table
from test.end_to_end.core import RunningCore

PAGE = DOCS / "workflows.md"
VARIABLES = {"rate": "10", "host": "flp001", "hosts": '["flp001","flp002"]'}


def files(page: Path) -> dict[str, str]:
    """The complete templates of a page, by the path in a repository that stands before each."""
    found = {}
    for block in blocks(page, "yaml"):
        before = "\n".join(page.read_text().splitlines()[: block.line - 2])
        named = re.findall(r"`((?:workflows|tasks)/[\w-]+\.yaml)`", before)
        if named and block.text.startswith("name:"):
            found[named[-1]] = block.text
    return found


@pytest.mark.end_to_end
def test_the_whole_example(tmp_path: Path) -> None:
    templates = files(PAGE)
    assert len(templates) == 5
    with RunningCore(tmp_path, workflows=templates) as core:
        environment = core.create(core.template("collecting"), hosts='["flp001","epn001"]')
        assert environment.state == "CONFIGURED"
        started = core.control(environment.id, "START_ACTIVITY")
        assert (started.state, started.currentRunNumber) == ("RUNNING", 1)
        stopped = core.control(environment.id, "STOP_ACTIVITY")
        assert stopped.state == "CONFIGURED"
        sender = core.task(environment.id, "collecting.sender")
        report = "\n".join(core.task_log(sender.taskId))
        for host in ("flp001", "epn001"):
            assert f"source=collecting.host-{host}.readout" in report
        assert not core.record(environment.id).warnings
        core.destroy(environment.id)


@pytest.mark.parametrize(("expression", "result"), table("workflows.md", "## Expressions"))
def test_expressions(expression: str, result: str) -> None:
    scope = Scope(VARIABLES, make_library(Compiler()))
    text = expression.replace("\\|", "|")
    if result.startswith("an error"):
        with pytest.raises(ExpressionError):
            scope.render(text)
    else:
        assert scope.render(text) == result


def test_the_functions_named_are_all_there_are() -> None:
    text = PAGE.read_text()
    objects = make_library(Compiler(), {}, DPL_FUNCTIONS).objects
    namespaces = {n: set(o.members) for n, o in objects.items() if isinstance(o, Namespace)}
    namespaces.pop("odc")  # A stub that old templates need.
    rows = dict(re.findall(r"^\| `(\w+)` \| ((?:`\w+` ?)+) \|$", text, re.M))
    named = {name: set(re.findall(r"`(\w+)`", functions)) for name, functions in rows.items()}
    assert {name: named.get(name) for name in namespaces} == namespaces
    on_values = text.partition("and on values:")[2].partition("and with a\ncondition")[0]
    words = set(re.findall(r"`(\w+)`", on_values))
    assert words
    assert words <= set(builtin.BUILT_INS)


def test_the_moments_named_come() -> None:
    section = PAGE.read_text().partition("## Hooks\n")[2].partition("\n## ")[0]
    triggers = re.findall(r"`((?:before|after|enter|leave)_[A-Z_]{2,}(?:[+-]\d+)?)`", section)
    assert len(triggers) > 5
    assert not [trigger for trigger in triggers if complaint(trigger)]
