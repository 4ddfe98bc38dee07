"""An operator types what `docs/operators.md` says, with a core at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from test.docs.documents import DOCS, Reader, blocks

pytestmark = pytest.mark.end_to_end

SETTINGS = """
coreWorkingDir: core
hosts: [flp001, flp002, epn001]
integrationPlugins: [testplugin]
recoveryTimeout: 10s
"""
START = "twistd --nodaemon --pidfile= --reactor=asyncio aliecs --config settings.yaml"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("operator")) as operator:
        (operator.home / "settings.yaml").write_text(SETTINGS)
        operator.start_core(START)
        yield operator


def test_the_page_from_top_to_bottom(reader: Reader) -> None:
    out = [reader.do(block) for block in blocks(DOCS / "operators.md", "sh")]
    told = "\n".join(out)
    assert "values set in" in told
    assert "run number:          1" in told
    assert '"ready":true' in told
    # What began over REST: created, started, destroyed, each waited for.
    assert told.count('"state":"OPERATION_STATE_SUCCEEDED"') >= 3
    assert "OPERATION_STATE_FAILED" not in told
    assert '"problem' not in told
    assert '"type":"hello"' in told
    assert '"type":"run.event"' in told
