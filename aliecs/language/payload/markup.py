"""The filters that know markup and addresses: escaping, tags, links.

Patterns run on RE2, which takes linear time whatever a payload says: `removetags` puts a template's
own text into one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import re2
from attrs import define, field

from aliecs.language.payload import text as texts
from aliecs.language.payload.evaluation import Render
from aliecs.language.payload.value import (
    SafeText,
    ValueFault,
    from_bytes,
    length,
    text_bytes,
    to_integer,
    to_text,
    without_surrogates,
)

_ADDRESS_CHARACTERS = "/#%[]=:;$&()+,!?*@'~"
_MOST_TAGS = 100
_LONGEST_TAG = 200


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


_TAG = re2.compile(r"<[^>]*>", _options())
_SPACE_BETWEEN = re2.compile(r"(?U:(<.*>))([\t\n\v\f\r ]+)(?U:(<.*>))", _options())
_LINK = re2.compile(
    r"(?:https?://|www\.|(?:^|[ ])[0-9A-Za-z_\-]+\.(?:com|net|org|info|biz|de))(?U:.*)(?:[ ]+|$)",
    _options(),
)
_MAIL = re2.compile(r"\w+@\w+\.\w{2,4}", _options())


def between_tags(text: str) -> str:
    """A text without the white space between two tags, as `spaceless` wants it."""
    text = without_surrogates(text)
    while True:
        shorter = _SPACE_BETWEEN.sub(r"\1\3", text)
        if len(shorter) == len(text):
            return text
        text = shorter


def _escape(value: Any, argument: Any, render: Render) -> str:
    return texts.escape(to_text(value))


def _escape_script(value: Any, argument: Any, render: Render) -> str:
    text = without_surrogates(to_text(value)).replace("\\r", "\r").replace("\\n", "\n")
    return "".join(
        character
        if character in " /" or (character.isascii() and character.isalpha())
        else f"\\u{ord(character):04X}"
        for character in text
    )


def _address(text: str) -> str:
    """A text as an address: what an address cannot hold is written with `%`."""
    quoted = quote(text, safe=_ADDRESS_CHARACTERS + " ", errors="surrogateescape")
    return quoted.replace(" ", "+")


def _iri_encode(value: Any, argument: Any, render: Render) -> str:
    return _address(to_text(value))


def _url_encode(value: Any, argument: Any, render: Render) -> str:
    return quote_plus(to_text(value), errors="surrogateescape")


def _line_breaks(value: Any, argument: Any, render: Render) -> Any:
    if length(value) == 0:
        return value
    parts: list[str] = []
    lines = to_text(value).split("\n")
    is_open = False
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        if not is_open:
            parts.append("<p>")
            is_open = True
        parts.append(line)
        if following is None or not texts.strip(line):
            continue
        if texts.strip(following):
            parts.append("<br />")
        else:
            parts.append("</p>")
            is_open = False
    if is_open:
        parts.append("</p>")
    return "".join(parts)


def _line_breaks_only(value: Any, argument: Any, render: Render) -> str:
    return to_text(value).replace("\n", "<br />")


def _strip_tags(value: Any, argument: Any, render: Render) -> str:
    return texts.strip(str(_TAG.sub("", without_surrogates(to_text(value)))))


def _remove_tags(value: Any, argument: Any, render: Render) -> str:
    text = without_surrogates(to_text(value))
    tags = to_text(argument).split(",")
    if len(tags) > _MOST_TAGS:
        raise ValueFault(f"takes no more than {_MOST_TAGS} tags")
    for tag in tags:
        if len(tag) > _LONGEST_TAG:
            raise ValueFault(f"a tag has no more than {_LONGEST_TAG} characters")
        render.spend_on(text)
        try:
            pattern = re2.compile(f"</?{without_surrogates(tag)}/?>", _options())
        except re2.error as error:
            raise ValueFault(f"{tag!r} is not a tag") from error
        text = pattern.sub("", text)
    return texts.strip(text)


# --- links ---------------------------------------------------------------------------------------


def _replaced(pattern: Any, text: str, replacement: Callable[[str], str]) -> str:
    parts = []
    position = 0
    for found in pattern.finditer(text):
        parts += [text[position : found.start()], replacement(found.group())]
        position = found.end()
    return "".join([*parts, text[position:]])


def _shown(address: str, longest: int) -> str:
    data = text_bytes(address)
    if longest <= 3 or len(data) <= longest:
        return address
    return from_bytes(data[: longest - 3]) + "..."


def _with_links(text: str, escapes: bool, longest: int) -> str:
    def link(found: str) -> str:
        before, after = " " * found.startswith(" "), " " * found.endswith(" ")
        address = texts.strip(found)
        target = _address(address)
        if not target.startswith("http"):
            target = f"http://{target}"
        shown = _shown(address, longest)
        if escapes:
            shown = texts.escape(shown)
        return f'{before}<a href="{target}" rel="nofollow">{shown}</a>{after}'

    def mail(found: str) -> str:
        return f'<a href="mailto:{found}">{_shown(found, longest)}</a>'

    linked = _replaced(_LINK, without_surrogates(text), link)
    return _replaced(_MAIL, without_surrogates(linked), mail)


def _links(value: Any, argument: Any, render: Render) -> str:
    escapes = argument if isinstance(argument, bool) else True
    return _with_links(to_text(value), escapes, -1)


def _short_links(value: Any, argument: Any, render: Render) -> str:
    return _with_links(to_text(value), True, to_integer(argument))


# --- texts with tags, cut short ------------------------------------------------------------------


_UNKNOWN = re.compile("[\ufffd\ud800-\udfff]")
"""The sign for what is no character, and bytes that are none."""


@define
class _Cutter:
    """Takes a text with tags apart, and closes the tags that are left open where it ends."""

    text: str
    position: int = 0
    written: list[str] = field(factory=list)
    open_tags: list[str] = field(factory=list)

    def tag(self) -> None:
        """Read a tag; the position is at its `<`."""
        self.written.append("<")
        self.position += 1
        if len(text_bytes(self.text[self.position : self.position + 2])) < 2:
            return
        if self.text[self.position] == "/":
            self.position += 1
            self._closing()
        else:
            self._opening()

    def _until_end(self) -> tuple[str, bool]:
        end = self.text.find(">", self.position)
        closed = end >= 0
        if not closed:
            end = len(self.text)
        name = _UNKNOWN.sub("", self.text[self.position : end])
        self.position = end + closed
        return name, closed

    def _closing(self) -> None:
        name, _ = self._until_end()
        self.written.append(f"/{name}>")
        for index in reversed(range(len(self.open_tags))):
            if self.open_tags[index] == name:
                self.open_tags[index] = self.open_tags[-1]
                self.open_tags.pop()
                return

    def _opening(self) -> None:
        content, closed = self._until_end()
        self.written.append(f"{content}>" if closed else content)
        # A closing sign is not part of a name, a space ends it.
        self.open_tags.append(content.partition(" ")[0])

    def character(self) -> str:
        """Read a character; nothing where it is none, which the reference leaves out."""
        character = self.text[self.position]
        self.position += 1
        if _UNKNOWN.match(character):
            return ""
        self.written.append(character)
        return character

    def word(self) -> bool:
        """Read up to the end of a word, or to a tag; whether a whole word was read."""
        letters = 0
        while self.position < len(self.text):
            if self.text[self.position] == "<":
                return False
            character = self.character()
            if character and character in " .,;":
                break
            letters += bool(character)
        return letters > 0

    def ended(self, dots: bool) -> SafeText:
        """All that was written, with the tags closed."""
        if dots:
            self.written.append("...")
        self.written.extend(f"</{tag}>" for tag in reversed(self.open_tags))
        return SafeText("".join(self.written))


def _truncate_characters(value: Any, argument: Any, render: Render) -> SafeText:
    longest = max(to_integer(argument) - 3, 0)
    cutter = _Cutter(to_text(value))
    count = 0
    while cutter.position < len(cutter.text) and count < longest:
        if cutter.text[cutter.position] == "<":
            cutter.tag()
        elif cutter.character():
            count += 1
    return cutter.ended(longest <= count < len(text_bytes(cutter.text)))


def _truncate_words(value: Any, argument: Any, render: Render) -> SafeText:
    most = max(to_integer(argument), 0)
    cutter = _Cutter(to_text(value))
    count = 0
    while cutter.position < len(cutter.text) and count < most:
        if cutter.text[cutter.position] == "<":
            cutter.tag()
        elif cutter.word():
            count += 1
    return cutter.ended(count >= most)


MARKUP_FILTERS: Mapping[str, Callable[[Any, Any, Render], Any]] = {
    "e": _escape,
    "escape": _escape,
    "escapejs": _escape_script,
    "iriencode": _iri_encode,
    "linebreaks": _line_breaks,
    "linebreaksbr": _line_breaks_only,
    "removetags": _remove_tags,
    "striptags": _strip_tags,
    "truncatechars_html": _truncate_characters,
    "truncatewords_html": _truncate_words,
    "urlencode": _url_encode,
    "urlize": _links,
    "urlizetrunc": _short_links,
}
"""The filters of this module by name."""
