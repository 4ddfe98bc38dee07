"""`docs/faults.md` names the tests that show what it says, and they are all there."""

from __future__ import annotations

import re

from test.docs.documents import DOCS, ROOT

FILES = ("test_mesos_faults.py", "test_task_faults.py", "test_faults.py")


def test_every_fault_that_was_tried_is_on_the_page_and_the_other_way_round() -> None:
    shown = set(re.findall(r"`(test_\w+)`", (DOCS / "faults.md").read_text()))
    there = [
        set(re.findall(r"^def (test_\w+)", (ROOT / "test/end_to_end" / name).read_text(), re.M))
        for name in FILES
    ]
    on_a_cluster = there[0] | there[1]
    assert on_a_cluster <= shown
    assert shown <= on_a_cluster | there[2]
