"""The routes as a page for people. It needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from aliecs.api.rest.document import problems_of
from aliecs.api.rest.route import REQUIRED, Route, Section

_STYLE = """
body{font-family:sans-serif;margin:2em auto;max-width:60em;padding:0 1em;line-height:1.4}
details{border-top:1px solid #ccc;padding:.4em 0}summary{cursor:pointer}
summary b{display:inline-block;min-width:4.5em}code{font-size:95%}
dt{font-family:monospace}dd{margin:0 0 .3em 2em}p.more{margin:.4em 0 .4em 1em}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}a{color:#8bf}}
"""


def page(sections: Sequence[Section], version: str) -> bytes:
    """The page, as HTML."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>AliECS: the API</title><style>{_STYLE}</style></head><body>"
        f"<h1>AliECS {escape(version)}: the API</h1>"
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
    ]
    for section in sections:
        parts.append(f"<h2>{escape(section.name.capitalize())}</h2>")
        parts.append(f"<p>{escape(section.description)}</p>")
        parts += [_route(route) for route in section.routes]
    parts.append("</body></html>\n")
    return "".join(parts).encode()


def _route(route: Route) -> str:
    told = [
        f"<details><summary><b>{route.method}</b> <code>{escape(route.path)}</code><br>"
        f"{escape(route.summary)}</summary>"
    ]
    if route.description:
        told.append(f'<p class="more">{escape(route.description)}</p>')
    told += _table("In the path", ((part.name, part.description) for part in route.parts))
    told += _table("Parameters", ((one.name, one.description) for one in route.parameters))
    if route.body is not None:
        told += _table(
            "Body",
            (
                (f"{one.name}{' (needed)' if one.default is REQUIRED else ''}", one.description)
                for one in route.body.fields
            ),
        )
    told += _table("Answers", _answers(route))
    return "".join([*told, "</details>"])


def _answers(route: Route) -> Iterable[tuple[str, str]]:
    for status, content in sorted(route.answers.items()):
        names = [message.DESCRIPTOR.full_name for message in content.messages]
        if content.schema is not None:
            names.append("JSON")
        yield str(status), " or ".join([*names, *content.other_types]) or "nothing"
    yield ", ".join(str(status) for status in problems_of(route)), "application/problem+json"


def _table(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    found = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows]
    return [f'<p class="more"><b>{title}</b></p><dl>{"".join(found)}</dl>'] if found else []
