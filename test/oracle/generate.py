"""Makes the cases of the oracles again: `python -m test.oracle.generate`, with Go and the network.

Cases come from seeded generators; the answers are those of the libraries that the reference is
built with, see the two Go programs. What those answer differently from one time to the next is left
out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from test.oracle import expressions, globs
from test.oracle.vocabulary import VARIABLES

HERE = Path(__file__).parent
CASES = HERE / "cases"
SEED = 20260101
GLOBS = 4500
REPEATS = "100"
"""Times that each template is rendered, to find out what depends on chance: of two keys of a map
one comes first seven times out of eight."""
LONGEST_ANSWER = 2000
_ADDRESS = re.compile("0x[0-9a-f]{6}")
"""Of a function in memory, as Go prints it."""


def built(name: str, folder: Path) -> Path:
    """One of the Go programs."""
    program = folder / name
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE / name, check=True)
    return program


def answers(program: Path, cases: Iterable[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
    """What a program says to each case."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    result = subprocess.run(
        [str(program), *options], input=lines.encode(), stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


def templates(seed: int) -> Iterator[tuple[str, str]]:
    """Each different template, with the name of its family."""
    seen: set[str] = set()
    for name, (make, count) in expressions.families.items():
        random = Random(f"{seed} {name}")
        for _ in range(count):
            text = make(random)
            if text not in seen:
                seen.add(text)
                yield name, text


def expression_cases(program: Path, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """The template cases with their answers."""
    made = list(templates(seed))
    asked = [{"template": text, "variables": VARIABLES} for _, text in made]
    for (name, text), answer in zip(
        made, answers(program, asked, "-repeat", REPEATS), strict=True
    ):
        text_made = answer.get("text", "")
        is_certain = answer.get("error") != "unstable" and not _ADDRESS.search(text_made)
        if is_certain and len(text_made) < LONGEST_ANSWER:
            yield {"family": name, "template": text, **answer}


def glob_cases(program: Path) -> Iterator[dict[str, Any]]:
    """The glob cases with their answers."""
    random = Random(SEED)
    made = [globs.case(random) for _ in range(GLOBS)]
    for case, answer in zip(made, answers(program, made), strict=True):
        yield {**case, **answer}


def write(name: str, cases: Iterable[dict[str, Any]]) -> None:
    """One file of cases, the same bytes each time."""
    CASES.mkdir(exist_ok=True)
    lines = [json.dumps(case, ensure_ascii=False, sort_keys=True) for case in cases]
    data = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    (CASES / f"{name}.jsonl.gz").write_bytes(data)
    print(f"{name}: {len(lines)} cases, {len(data)} bytes")


def read(name: str) -> list[dict[str, Any]]:
    """The cases of one file."""
    text = gzip.decompress((CASES / f"{name}.jsonl.gz").read_bytes()).decode()
    # Not splitlines: other separators of lines stand inside the texts.
    return [json.loads(line) for line in text.split("\n") if line]


def main() -> None:
    """Make all files."""
    argparse.ArgumentParser(description="Make the cases of the oracles again.").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write("expression", expression_cases(built("expression", Path(folder))))
        write("glob", glob_cases(built("glob", Path(folder))))


if __name__ == "__main__":
    main()
