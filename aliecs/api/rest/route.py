"""How a route of REST is declared: once, with everything about it.

    HOSTS = Section(
        "hosts", "The machines that tasks run on.", [Part("host", "name of a host")]
    )
    NAME = Parameter("name", Texts(), "only these hosts", [])

    @HOSTS.route("GET", "/hosts", reply=aliecs_v1_pb2.ListHostsReply, parameters=[NAME])
    async def hosts(face: Face, request: Request) -> bytes:
        \"\"\"Hosts, by name.\"\"\"
        asked = aliecs_v1_pb2.ListHostsRequest(names=NAME.of(request))
        return await face.answer(request, face.extended.ListHosts, asked)

The first paragraph of the handler's text is the summary of the route, the rest its description. The
parameters are read with what declares them, so what the document of the API says is what happens. A
section is named in `aliecs.api.rest.table`, and that is all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen
from google.protobuf.message import Message
from twisted.web.server import Request

from aliecs.api.request import arguments, body_of, headers, nothing_left
from aliecs.api.rest.kind import Kind, Number, Seconds, Text
from aliecs.errors import InvalidInput
from aliecs.protocol import aliecs_v1_pb2

BASE = "/api/v1"
LONGEST_WAIT_S = 60.0
PROBLEM_TYPE = "application/problem+json"

T = TypeVar("T")


@frozen
class Parameter(Generic[T]):
    """A parameter of a query, or a header, with what it is where it is not given."""

    name: str
    kind: Kind[T]
    description: str
    default: T
    in_header: bool = False

    def of(self, request: Request) -> T:
        """What a request says. Raises `InvalidInput`."""
        values = (headers if self.in_header else arguments)(request, self.name)
        return self.kind.from_texts(self.name, values) if values else self.default


@frozen
class Part:
    """A part of paths, `<name>`: a text of this schema."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(factory=Text(shortest=1).schema)


class _Required:
    """The default of a field that has to be there."""


REQUIRED = _Required()


@frozen
class Field:
    """A field of a body. With `REQUIRED` as its default it has to be there."""

    name: str
    kind: Kind[Any]
    description: str
    default: Any = REQUIRED


@frozen
class Body:
    """The JSON object of a request: its fields, and no others unless it is `open`, when the handler
    reads it for itself."""

    fields: Sequence[Field]
    alternatives: Sequence[str] = ()
    """Fields one of which, and only one, has to be there."""
    open: bool = False

    def of(self, request: Request) -> dict[str, Any]:
        """The fields of a request, each with a value. Raises `InvalidInput`."""
        given = body_of(request)
        values: dict[str, Any] = {}
        for one in self.fields:
            if one.name in given:
                values[one.name] = one.kind.from_json(one.name, given.pop(one.name))
            elif one.default is REQUIRED:
                # The kind says best what should be there.
                values[one.name] = one.kind.from_json(one.name, None)
            else:
                values[one.name] = one.default
        nothing_left(given)
        if self.alternatives:
            there = [name for name in self.alternatives if values[name] is not None]
            if len(there) != 1:
                raise InvalidInput(f"the body has to have one of {', '.join(self.alternatives)}")
        return values


Handler = Callable[..., Any]
"""Takes the face, the request, and the parts of the path by name; gives the bytes of the answer."""


@frozen
class Content:
    """What an answer holds: one of these messages in its JSON mapping, a value of a JSON schema, or
    nothing; what else the same can be had as; and what its headers say."""

    messages: Sequence[type[Message]] = ()
    schema: Mapping[str, Any] | None = None
    other_types: Sequence[str] = ()
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Route:
    """One method of one path. `answers` are those that are not problems, by status; `problems` the
    statuses of problems beyond those that every request can meet."""

    method: str
    path: str
    handler: Handler
    section: str
    parts: Sequence[Part]
    answers: Mapping[int, Content]
    parameters: Sequence[Parameter[Any]]
    body: Body | None
    problems: Sequence[int]
    begins_operation: bool
    anyone: bool
    """Nobody looks who calls."""

    @property
    def name(self) -> str:
        """The handler's name, which the method makes unique."""
        return f"{self.method}_{self.handler.__name__}"

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return self._text()[0]

    @property
    def description(self) -> str:
        """What there is to know beyond that; may be empty."""
        return self._text()[1]

    def _text(self) -> tuple[str, str]:
        first, _, rest = inspect.cleandoc(self.handler.__doc__ or "").partition("\n\n")
        return " ".join(first.split()), " ".join(rest.split())


PAGE = Parameter("limit", Number(), "at most so many in one answer; 0: all of them", 0)
CURSOR = Parameter("cursor", Text(), "`nextCursor` of the answer before: what comes after it", "")
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    Text(),
    "the `ETag` of an earlier answer: 304 where nothing has changed",
    "",
    in_header=True,
)
WAIT = Parameter(
    "wait",
    Seconds(),
    "how many seconds to wait for the end of the operation, at most 60; then 200 instead of 202",
    0.0,
)


@define(eq=False)
class Section:
    """Routes that belong together, in the order in which they are told of. `parts` are those of
    their paths; of routes for `anyone` nobody looks who calls."""

    name: str
    description: str
    parts: Sequence[Part] = ()
    base: str = BASE
    anyone: bool = False
    routes: list[Route] = field(init=False, factory=list)

    def route(
        self,
        method: str,
        path: str,
        *,
        reply: type[Message] | Content | None = None,
        status: int = 200,
        parameters: Sequence[Parameter[Any]] = (),
        body: Body | None = None,
        problems: Sequence[int] = (),
        more_answers: Mapping[int, Content] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare what a handler is for. `reply` is answered with `status`."""
        content = _content(reply)
        answers = {status: content, **(more_answers or {})}
        return self._declare(method, path, answers, parameters, body, problems, False)

    def action(
        self,
        method: str,
        path: str,
        *,
        parameters: Sequence[Parameter[Any]] = (),
        body: Body | None = None,
        problems: Sequence[int] = (),
        more_answers: Mapping[int, Content] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare a handler that begins an operation: 202 with it, or 200 when it has ended well in
        the time that the client waits."""
        operation = Content([aliecs_v1_pb2.Operation])
        answers = {200: operation, 202: operation, **(more_answers or {})}
        return self._declare(method, path, answers, (*parameters, WAIT), body, problems, True)

    def _declare(
        self,
        method: str,
        path: str,
        answers: Mapping[int, Content],
        parameters: Sequence[Parameter[Any]],
        body: Body | None,
        problems: Sequence[int],
        begins_operation: bool,
    ) -> Callable[[Handler], Handler]:
        known = {part.name: part for part in self.parts}
        parts = [known[name] for name in re.findall("<([^>]*)>", path)]

        def declare(handler: Handler) -> Handler:
            self.routes.append(
                Route(
                    method,
                    self.base + path,
                    handler,
                    self.name,
                    parts,
                    answers,
                    tuple(parameters),
                    body,
                    tuple(problems),
                    begins_operation,
                    self.anyone,
                )
            )
            return handler

        return declare


def _content(reply: type[Message] | Content | None) -> Content:
    if isinstance(reply, Content):
        return reply
    return Content() if reply is None else Content([reply])
