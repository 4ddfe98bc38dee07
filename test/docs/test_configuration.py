"""An operator types what `docs/configuration.md` says, with a core at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.docs.documents import DOCS, Reader, blocks
from test.docs.test_operators import SETTINGS, START

pytestmark = pytest.mark.end_to_end


def test_the_page_from_top_to_bottom(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        (reader.home / "settings.yaml").write_text(SETTINGS)
        reader.start_core(START)
        told = "\n".join(reader.do(block) for block in blocks(DOCS / "configuration.md", "sh"))
    assert "values set in" in told
    assert "nothing was changed" in told
    assert '-{"rate": 1}' in told
    assert "rate for the cosmics week" in told
    assert "entry deleted" in told
    assert '{"rate": 7, "detectors": ["MCH"] }' in told
    assert "qc/ANY/any/general" in told
    assert '"flp001"' in told
