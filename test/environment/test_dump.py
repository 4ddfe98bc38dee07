"""Files that loading leaves behind stay where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from aliecs.environment import dump
from aliecs.environment.dump import Dumps
from aliecs.errors import Exhausted, InvalidInput, Unavailable


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    dumps = Dumps(tmp_path / "dumps")
    dumps.write("a.txt", "one")
    dumps.write("/etc/sub/b.txt", "two")
    dumps.write("a.txt", "three")
    assert (tmp_path / "dumps" / "a.txt").read_text() == "three"
    assert (tmp_path / "dumps" / "etc" / "sub" / "b.txt").read_text() == "two"
    (tmp_path / "dumps" / "link").symlink_to(tmp_path)
    for name in ("", "/", "..", "../x", "a/../../x", "link/x", "a\0b"):
        with pytest.raises(InvalidInput):
            dumps.write(name, "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(Unavailable):
        dumps.write("a.txt/b", "x")


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "MOST_FILES", 2)
    monkeypatch.setattr(dump, "MOST_BYTES", 5)
    dumps = Dumps(tmp_path)
    with pytest.raises(InvalidInput):
        dumps.write("a", "123456")
    dumps.write("a", "12345")
    dumps.write("b", "")
    with pytest.raises(Exhausted):
        dumps.write("c", "")
    dumps.write("b", "1")
