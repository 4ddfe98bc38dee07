"""Where a stand-in writes what it has seen of a run, for tests to compare.

Besides standard output: one file for each process, in the folder that `STANDIN_REPORTS`
names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aliecs.occ.example.block import Tally

VARIABLE = "STANDIN_REPORTS"


def report(program: str, tallies: Sequence[Tally]) -> None:
    """Write one line for each source, each with its run."""
    lines = [tally.line() for tally in tallies]
    print(*lines, sep="\n", flush=True)
    folder = os.environ.get(VARIABLE)
    if folder:
        role = os.environ.get("O2_ROLE", "nowhere")
        with (Path(folder) / f"{program}-{role}-{os.getpid()}.txt").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
