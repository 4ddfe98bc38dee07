"""An operator does what `docs/exclusion.md` shows, with a core at work."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from test.docs.documents import DOCS, Reader, blocks
from test.docs.test_operators import SETTINGS, START

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("exclusion")) as operator:
        (operator.home / "settings.yaml").write_text(SETTINGS)
        operator.start_core(START)
        yield operator


def test_the_page_from_top_to_bottom(reader: Reader) -> None:
    told = "\n".join(reader.do(block) for block in blocks(DOCS / "exclusion.md", "sh"))
    assert re.search(r"^excluded: +demo\.flp-flp002 by .*: no high voltage$", told, re.M)
    assert re.search(r"^detectors: +ITS$", told, re.M)
    assert "excluded:           none" in told
    counts: dict[str, list[int]] = {"flp001": [], "flp002": []}
    for host, count in re.findall(r"source=demo\.flp-(\w+)\.readout blocks=(\d+) ", told):
        counts[host].append(int(count))
    (other,), parts = counts["flp001"], counts["flp002"]
    assert len(parts) == 2
    # What has come from the one while the other was away, at 20 blocks in each second.
    assert other - sum(parts) > 20
