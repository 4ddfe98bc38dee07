"""The tables of settings as a page of documentation."""

from __future__ import annotations

from collections.abc import Iterator

from aliecs.settings.apricot import APRICOT
from aliecs.settings.core import CORE
from aliecs.settings.table import Table

_CORE_HEAD = """# Settings

Made from the tables in `aliecs/settings/core.py` and `aliecs/settings/apricot.py`:
`python -m aliecs.settings > docs/settings.md`.

Sources, each ranking above the one before: defaults; the settings file (`--config FILE`, YAML); the
entry `aliecs/ANY/any/<coreConfigEntry>` of the configuration tree; environment variables
`ALIECS_<KEY>` in upper case (`ALIECS_CONTROLPORT`, `ALIECS_METRICS_PORT`); the command line
(`--key value`, `--key=value`). In names, case, `_` and `-` do not count. A key that does not exist
is refused, in the tree's entry it is a warning.

Durations are written as `90s`, `1m30s` or `2h`. A list is a YAML list, or one text with commas or
blanks.
"""

_APRICOT_HEAD = """
# Settings of apricot

Of the configuration service on its own, `twistd --reactor=asyncio apricot`. Sources, each ranking
above the one before: defaults; environment variables `APRICOT_<KEY>` in upper case; the command
line. There is no file.
"""


def describe() -> str:
    """The page (Markdown)."""
    lines = [*_CORE_HEAD.splitlines(), *_sections(CORE)]
    lines += [*_APRICOT_HEAD.splitlines(), *_sections(APRICOT)]
    return "\n".join(lines) + "\n"


def _sections(table: Table) -> Iterator[str]:
    section = ""
    for setting in table.rows:
        if setting.section != section:
            section = setting.section
            yield from ("", f"## {section}", "")
            yield from ("| key | type | default | meaning |", "|---|---|---|---|")
        default = setting.show(setting.default)
        shown = f"`{default}`" if default else ""
        meaning = setting.meaning
        if setting.variable:
            meaning += f" (default from `{setting.variable}` where that is set)"
        yield f"| `{setting.key}` | {setting.kind.name} | {shown} | {meaning} |"
