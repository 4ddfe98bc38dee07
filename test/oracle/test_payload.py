"""Our payload templates beside the template library of the reference, on recorded answers.

`payload/cases.jsonl.gz` holds texts and what the reference made of them; payload/README.md says how
to ask it again. Outputs are the same to the last character; where the reference fails or panics we
fail; what differs all the same is one of the warts below.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from aliecs.errors import AliecsError, InvalidInput, NotFound
from aliecs.language.payload import PayloadTemplates
from test.oracle.payload.generate import CASES
from test.oracle.payload.writer import VARIABLES

ANSWER_ID = "2oDvieFrVTi"
"""The identifier that the oracle gives for `uid.New()`."""
_PATH = re.compile(r"[A-Za-z0-9_-]+/[A-Z0-9_-]+/[A-Za-z0-9_-]+/[A-Za-z0-9_/-]+")
Case = dict[str, Any]


def cases() -> Iterator[Case]:
    with gzip.open(CASES, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def reader(texts: dict[str, str]) -> Callable[[str], str]:
    """Reads as a configuration service does: the path must be possible and the payload there."""

    def read(path: str) -> str:
        if not _PATH.fullmatch(path.strip()):
            raise InvalidInput(f"{path} is not a path")
        if path not in texts:
            raise NotFound(f"no payload at {path}")
        return texts[path]

    return read


def ours(templates: PayloadTemplates, case: Case) -> Case:
    read = reader(case["templates"])
    variables = {**VARIABLES, "z": case["z"]} if "z" in case else VARIABLES
    try:
        text = templates.render(case["path"], variables, read, new_id=lambda: ANSWER_ID)
    except AliecsError as error:
        return {"error": error.message}
    return {"output": text}


def agree(theirs: Case, mine: Case) -> bool:
    if "output" in theirs:
        return mine.get("output") == theirs["output"]
    return "error" in mine


def everything(case: Case) -> str:
    return "".join(case["templates"].values())


WARTS: dict[str, Callable[[Case, Case], bool]] = {
    # The filter counts the lines wrongly and panics unless the words fill them just so. We wrap.
    "wordwrap": lambda case, mine: (
        "slice bounds out of range" in case.get("panic", "") and "wordwrap" in everything(case)
    ),
    # The reference pads to any width, and prints rubbish for one of 10 million. We refuse.
    "width": lambda case, mine: "more than 100000" in mine.get("error", ""),
    # A verbatim that directly follows another one is not seen. With us it is.
    "verbatim": lambda case, mine: (
        "Tag 'verbatim' not found" in case.get("error", "")
        and "{% endverbatim %}{% verbatim %}" in everything(case)
    ),
    # A cycle without a name defines the empty name, with which no include can be rendered.
    "cycle": lambda case, mine: "context-key ''" in case.get("error", ""),
    # A member of forloop that is watched is compared with itself, and so never seems to change.
    "ifchanged forloop": lambda case, mine: "{% ifchanged forloop." in everything(case),
    # An ifchanged without else panics as soon as nothing has changed. With us it writes nothing.
    "ifchanged else": lambda case, mine: (
        "nil pointer" in case.get("panic", "") and "ifchanged" in everything(case)
    ),
}


def test_all_recorded_answers_are_ours() -> None:
    templates = PayloadTemplates()
    count = 0
    used: Counter[str] = Counter()
    faults = []
    for case in cases():
        count += 1
        mine = ours(templates, case)
        if agree(case, mine):
            continue
        wart = next((name for name, applies in WARTS.items() if applies(case, mine)), "")
        if wart:
            used[wart] += 1
        else:
            faults.append((case, mine))
    assert not faults, "\n".join(f"{case}\n  ours: {mine}" for case, mine in faults[:5])
    assert count >= 8000
    assert set(used) == set(WARTS), "a wart that no case shows"
    assert sum(used.values()) < count / 200
