"""How our language answers the oracle's cases.

`python -m test.oracle.comparing` prints the differences; with `--seed`, those to new cases, for
which it needs Go.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aliecs.language.expression import Compiler, ExpressionError
from aliecs.language.functions import ROLE_FUNCTIONS, Scope, make_library
from test.language.line import LEAF
from test.oracle import generate
from test.oracle.vocabulary import VARIABLES

LIBRARY = make_library(Compiler(), None, ROLE_FUNCTIONS)
SCOPE = Scope(VARIABLES, LIBRARY, role=LEAF)


def ours(template: str) -> str | ExpressionError:
    """What our language makes of a template."""
    try:
        return SCOPE.render(template)
    except ExpressionError as error:
        return error


def differences(
    cases: Iterable[dict[str, Any]] | None = None,
) -> Iterator[tuple[dict[str, Any], str | ExpressionError]]:
    """The cases for which we answer something else, with our answer."""
    for case in generate.read("expression") if cases is None else cases:
        answer = ours(case["template"])
        text = answer if isinstance(answer, str) else None
        if text != case.get("text"):
            yield case, answer


def _new_cases(seed: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        program = generate.built("expression", Path(folder))
        return list(generate.expression_cases(program, seed))


def main() -> None:
    """Print them, and how many of each family there are."""
    parser = argparse.ArgumentParser(description="Where our language differs from the oracle.")
    parser.add_argument("--most", type=int, default=40, help="differences to print of a family")
    parser.add_argument("--family", help="only this one")
    parser.add_argument("--seed", type=int, help="of new cases")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for case, answer in differences(_new_cases(options.seed) if options.seed else None):
        family = case["family"]
        counts[family] += 1
        if counts[family] <= options.most and options.family in (None, family):
            expected = repr(case["text"]) if "text" in case else f"error ({case['error']})"
            print(f"{case['template']!r}\n    oracle: {expected}\n    ours:   {answer!r}")
    print(*counts.most_common(), sum(counts.values()), sep="\n")


if __name__ == "__main__":
    main()
