"""An operator does what `docs/operations.md` shows, with a core at work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from test.docs.documents import DOCS, Reader, blocks
from test.docs.test_operators import SETTINGS, START

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("operations")) as operator:
        (operator.home / "settings.yaml").write_text(SETTINGS)
        operator.start_core(START)
        yield operator


def test_the_page_from_top_to_bottom(reader: Reader) -> None:
    out = [reader.do(block) for block in blocks(DOCS / "operations.md", "sh")]
    told = "\n".join(out)
    assert re.search(r"^tasks_CONFIGURE: +\d+ done, ", told, re.M)
    # The same operation twice, and one run.
    (twice,) = [text for text in out if text.count('"kind":"START_ACTIVITY"') == 2]
    assert len(set(re.findall(r'"kind":"START_ACTIVITY".*?"startedMs":\d+', twice))) == 1
    assert "OPERATION_STATE_SUCCEEDED" in twice
    assert re.search(r"^changed variables: +block_rate block_size$", told, re.M)
    assert re.search(r"^tasks replaced: +0$", told, re.M)
    assert "reconfiguration complete" in told
    assert "task restarted" in told
    assert re.search(r"^warning: +task demo\.clock.*: killed by .*: only a test", told, re.M)
    record = json.loads(out[-2][out[-2].index("\n{") :])
    assert record["runNumbers"] == [1]
    assert [one["event"] for one in record["transitions"]][-2:] == ["EXCLUDE", "INCLUDE"]
