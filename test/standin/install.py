"""Puts the stand-ins where a workflow finds them.

Also a program, for those who try such a workflow by hand: `python -m test.standin.install FOLDER`.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def install(directory: Path) -> None:
    """Write the programs below `directory`, which then serves as the install path of a workflow:
    `bin/o2-readout-exe`, `bin/StfBuilder`, `bin/StfSender`; and `path/numactl`, which runs the
    command after `--` as it is, for the search path of an executor."""
    python = shlex.quote(sys.executable)
    readout, fairmq = (shlex.quote(str(HERE / name)) for name in ("readout.py", "fairmq.py"))
    programs = {
        "bin/o2-readout-exe": f'exec {python} {readout} "$@"',
        "bin/StfBuilder": f'exec {python} {fairmq} StfBuilder "$@"',
        "bin/StfSender": f'exec {python} {fairmq} StfSender "$@"',
        "path/numactl": 'while [ "$1" != "--" ]; do shift || exit 2; done\nshift\nexec "$@"',
    }
    for name, command in programs.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m test.standin.install FOLDER")
    install(Path(sys.argv[1]))
