"""Workflow repositories: added, changed, refreshed, forgotten."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.mapping import to_value
from aliecs.api.request import call_of, json_answer
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Flag, Names, Text
from aliecs.api.rest.route import Body, Content, Field, Parameter, Part, Section
from aliecs.errors import InvalidInput, NotFound
from aliecs.protocol.protos import o2control_pb2

REPOSITORIES = Section(
    "repositories",
    "Where workflow templates come from.",
    [
        Part(
            "index",
            "place in the list of repositories, counted from 0",
            {"type": "integer", "minimum": 0, "maximum": 999_999_999},
        )
    ],
)

INCLUDE = Parameter("include", Names(["revisions"]), "with the revisions of each", [])

ADDITION = Body(
    [
        Field("name", Text(shortest=1), "address of a git repository, or its folder"),
        Field("defaultRevision", Text(), "its default revision; none: the global one", ""),
    ]
)
GLOBAL_CHANGE = Body(
    [Field("globalDefaultRevision", Text(), "default revision of those added later", "")]
)
CHANGE = Body(
    [
        Field("defaultRevision", Text(), "its default revision from now on", None),
        Field(
            "default", Flag(only_true=True), "true: it is the default repository from now on", None
        ),
    ],
    alternatives=["defaultRevision", "default"],
)


@REPOSITORIES.route(
    "GET", "/repositories", reply=o2control_pb2.ListReposReply, parameters=[INCLUDE]
)
async def repositories(face: Face, request: Request) -> bytes:
    """The repositories, each at the index by which it is named."""
    asked = o2control_pb2.ListReposRequest(getRevisions=bool(INCLUDE.of(request)))
    return await face.answer(request, face.control.ListRepos, asked)


@REPOSITORIES.route(
    "POST",
    "/repositories",
    reply=o2control_pb2.AddRepoReply,
    status=201,
    body=ADDITION,
    problems=[404, 409],
)
async def add_repository(face: Face, request: Request) -> bytes:
    """Add a repository."""
    body = ADDITION.of(request)
    asked = o2control_pb2.AddRepoRequest(name=body["name"], defaultRevision=body["defaultRevision"])
    request.setResponseCode(201)
    return await face.answer(request, face.control.AddRepo, asked)


@REPOSITORIES.route("PATCH", "/repositories", reply=o2control_pb2.Empty, body=GLOBAL_CHANGE)
async def change_repositories(face: Face, request: Request) -> bytes:
    """Set the default revision of repositories that are added later."""
    body = GLOBAL_CHANGE.of(request)
    asked = o2control_pb2.SetGlobalDefaultRevisionRequest(revision=body["globalDefaultRevision"])
    return await face.answer(request, face.control.SetGlobalDefaultRevision, asked)


@REPOSITORIES.route("POST", "/repositories/refresh", reply=o2control_pb2.Empty, problems=[404])
async def refresh_repositories(face: Face, request: Request) -> bytes:
    """Fetch what is new in all repositories."""
    asked = o2control_pb2.RefreshReposRequest(index=-1)
    return await face.answer(request, face.control.RefreshRepos, asked)


@REPOSITORIES.route(
    "PATCH",
    "/repositories/<index>",
    reply=Content([o2control_pb2.SetRepoDefaultRevisionReply, o2control_pb2.Empty]),
    body=CHANGE,
    problems=[409],
)
async def change_repository(face: Face, request: Request, index: str) -> bytes:
    """Change a repository: one of `defaultRevision` and `default`."""
    body = CHANGE.of(request)
    revision, is_default = body["defaultRevision"], body["default"]
    if is_default:
        default = o2control_pb2.SetDefaultRepoRequest(index=_index(index))
        return await face.answer(request, face.control.SetDefaultRepo, default)
    asked = o2control_pb2.SetRepoDefaultRevisionRequest(index=_index(index), revision=revision)
    reply = await face.control.SetRepoDefaultRevision(asked, call_of(request))
    if reply.info:
        there = ", ".join(reply.info.splitlines())
        raise NotFound(f"the repository has no revision {revision!r}; it has {there}")
    return json_answer(request, to_value(reply))


@REPOSITORIES.route("DELETE", "/repositories/<index>", status=204, problems=[409])
async def remove_repository(face: Face, request: Request, index: str) -> bytes:
    """Forget a repository."""
    asked = o2control_pb2.RemoveRepoRequest(index=_index(index))
    await face.control.RemoveRepo(asked, call_of(request))
    request.setResponseCode(204)
    return b""


@REPOSITORIES.route("POST", "/repositories/<index>/refresh", reply=o2control_pb2.Empty)
async def refresh_repository(face: Face, request: Request, index: str) -> bytes:
    """Fetch what is new in one repository."""
    asked = o2control_pb2.RefreshReposRequest(index=_index(index))
    return await face.answer(request, face.control.RefreshRepos, asked)


def _index(text: str) -> int:
    """The place of a repository in the list. Raises `InvalidInput`."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidInput(f"{text!r} is no place in the list of repositories, counted from 0")
    return int(text)
