"""Payloads in memory, for the tests of the payload templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aliecs.errors import NotFound
from aliecs.language.payload import PayloadTemplates

TEMPLATES = PayloadTemplates()
BASE = "qc/ANY/any"


def reader(texts: Mapping[str, str]) -> Callable[[str], str]:
    """Reads from `texts`."""

    def read(path: str) -> str:
        if path not in texts:
            raise NotFound(f"no payload at configuration path {path}")
        return texts[path]

    return read


def render(
    text: str,
    variables: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = lambda text: None,
    **others: str,
) -> str:
    """What the payload `text` gives; `others` are its neighbours, with `__` for a slash."""
    texts = {f"{BASE}/{name.replace('__', '/')}": other for name, other in others.items()}
    return TEMPLATES.render(
        f"{BASE}/entry",
        variables or {},
        reader({**texts, f"{BASE}/entry": text}),
        new_id=lambda: "2oDvieFrVTi",
        warn=warn,
    )
