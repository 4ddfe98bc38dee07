"""A new user types what the README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.docs.documents import README, Reader, blocks

pytestmark = pytest.mark.end_to_end


def test_the_readme_from_top_to_bottom(tmp_path: Path) -> None:
    with Reader(tmp_path / "home") as reader:
        out = [reader.do(block) for block in blocks(README, "sh")]
        assert reader.here == reader.home / "aliecs-try"
    told = "\n".join(out)
    assert "new environment created with 10 tasks" in told
    assert "run number:          1" in told
    assert told.count("shutdown complete") == 2
    # Its own workflow: on three hosts, and it greeted.
    assert "new environment created with 3 tasks" in told
    assert "hello from flp001" in told
    assert "run number:          2" in told
