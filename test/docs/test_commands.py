"""Every command line in the documentation is one: programs, options, targets and paths exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
from werkzeug.exceptions import HTTPException

from aliecs.api.apricot_http import ApricotHttp
from aliecs.api.rest import Face, Rest
from aliecs.api.stream import EventStream
from aliecs.cli.coconut import root
from aliecs.settings.apricot import ApricotOptions
from aliecs.settings.options import SettingsOptions
from test.docs.documents import ROOT, blocks, command_lines, documents

INLINE = re.compile(r"`((?:coconut|make|python3? -m) [^`]+)`")
UNFINISHED = ("COMMAND", "make demo`-like")


def commands() -> Iterator[tuple[str, str]]:
    """(place, command) of all blocks that hold commands, indented ones and inline ones."""
    for document in documents():
        for block in blocks(document, "sh", "text", "console"):
            for line in command_lines(block.text):
                yield block.where, line.removeprefix("$ ")
        prose = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.M | re.S)
        for match in re.finditer(r"^    (\S.*)$", prose, re.M):
            yield document.name, match[1]
        for match in INLINE.finditer(prose):
            yield document.name, match[1]


def of(*programs: str) -> list[tuple[str, str]]:
    found = [
        (place, command)
        for place, command in commands()
        if command.split()[0].rpartition("/")[2] in programs
        and not any(word in command for word in UNFINISHED)
    ]
    assert found, programs
    return found


def parse_coconut(arguments: list[str]) -> None:
    """Parse as `coconut` would, and run nothing. Raises `click.UsageError`."""
    command: click.Command = root
    context: click.Context | None = None
    name: str | None = "coconut"
    while True:
        context = command.make_context(name, arguments, parent=context)
        if not isinstance(command, click.Group):
            return
        arguments = [*getattr(context, "_protected_args", ()), *context.args]
        if not arguments:
            return
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found


@pytest.mark.parametrize(("place", "command"), of("coconut"))
def test_coconut(place: str, command: str) -> None:
    arguments = shlex.split(re.split(r" (?:\|\|?|>) ", command)[0])[1:]
    try:
        parse_coconut(arguments)
    except click.exceptions.Exit:
        assert "--help" in arguments
    except click.MissingParameter:
        # In running text a command may be named without what it is given.
        assert place.endswith(".md")


def test_a_wrong_command_is_seen() -> None:
    for wrong in ("environment creat", "environment create --wrong", "environment destroy", "x"):
        with pytest.raises(click.UsageError):
            parse_coconut(wrong.split())


@pytest.mark.parametrize(("place", "command"), of("twistd"))
def test_twistd(place: str, command: str) -> None:
    before, after = command.split("--reactor=asyncio ")
    program, *arguments = shlex.split(after)
    assert before.partition(" ")[0].rpartition("/")[2] == "twistd"
    options = {"aliecs": SettingsOptions, "apricot": ApricotOptions}[program]()
    options.parseOptions(arguments)


@pytest.mark.parametrize(("place", "command"), of("make"))
def test_make(place: str, command: str) -> None:
    target = command.split()[1]
    makefile = (ROOT / "Makefile").read_text().replace("$(STAMP)", ".venv/.installed")
    assert re.search(rf"^{re.escape(target)}:", makefile, re.M), command


@pytest.mark.parametrize(("place", "command"), of("python", "python3"))
def test_python(place: str, command: str) -> None:
    _, *arguments = command.split()
    if arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]) is not None, command
    elif arguments[0].startswith("docs/"):
        assert (ROOT / arguments[0]).is_file()


@pytest.mark.parametrize(("place", "command"), of("curl", "timeout"))
def test_curl(place: str, command: str) -> None:
    words = shlex.split(command)
    (url,) = [word for word in words if word.startswith("http://")]
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    served = apricot_routes() if ":32188/" in url else routes()
    adapter = served.bind("localhost")
    adapter.match(urlsplit(url).path, method)
    with pytest.raises(HTTPException):
        adapter.match("/no/such" + urlsplit(url).path, method)


def apricot_routes():  # type: ignore[no-untyped-def]
    """The routes of the configuration service over HTTP."""
    return ApricotHttp(*[None] * 2).app.url_map  # type: ignore[arg-type]


def routes():  # type: ignore[no-untyped-def]
    """The routes of REST; nothing behind them is needed to match."""
    nothing: Any = None
    stream = EventStream(nothing, nothing, "0", nothing)
    return Rest(Face(nothing, nothing, stream, nothing, nothing, nothing, nothing)).app.url_map
