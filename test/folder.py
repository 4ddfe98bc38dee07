"""A folder for one test, gone with it: trial's own `mktemp` leaves its folders where it stands."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase


def temporary_folder(test: TestCase) -> Path:
    """A new folder, removed at the end of `test`."""
    folder = tempfile.TemporaryDirectory(prefix="aliecs-test-")
    test.addCleanup(folder.cleanup)
    return Path(folder.name)
