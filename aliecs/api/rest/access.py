"""Who calls, the locks of detectors, the audit, and logging in by browser."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.access.login import Logins
from aliecs.api.locks import LONGEST_LOCK_S, LONGEST_NAME
from aliecs.api.permission import LONGEST_REASON
from aliecs.api.request import SESSION, call_of, json_answer
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Flag, Number, Text, Texts
from aliecs.api.rest.route import Body, Content, Field, Parameter, Part, Section
from aliecs.errors import NotFound, Unauthenticated
from aliecs.protocol import aliecs_v1_pb2

LOGIN = b"aliecs_login"
"""The cookie that binds a login to its browser."""
CALLBACK = "/api/v1/auth/callback"

ACCESS = Section(
    "access",
    "Who calls, whose a detector is just now, and who did what.",
    [Part("detector", "a detector; `ALL` stands for all of them")],
)
LOGINS = Section("login", "Logging in by browser, where an OpenID provider is set.", anyone=True)

DETECTOR = Parameter("detector", Texts(), "only these detectors", [])
FORCE = Parameter("force", Flag(), "also from its owner", False)
WHY = Parameter("reason", Text(LONGEST_REASON, has_lines=True), "why", "")
ASKS = Parameter("user", Text(), "who asks", "")
USER = Parameter("user", Text(), "only what this user did", "")
ACTION = Parameter("action", Text(), "only this method", "")
ENVIRONMENT = Parameter("environment_id", Text(), "only what concerns it", "")
SINCE = Parameter("since", Number(most=2**53), "from this time on, in milliseconds", 0)
BEFORE = Parameter("before", Text(), "only what is older than the entry of this id", "")
LIMIT = Parameter("limit", Number(), "how many at most", 100)
BACK = Parameter("back", Text(), "the page that is wanted afterwards", "/")
CODE = Parameter("code", Text(), "what the provider gives", "")
STATE = Parameter("state", Text(), "what belongs to the login", "")
ERROR = Parameter("error", Text(), "why the provider refuses", "")

TAKE = Body(
    [
        Field("reason", Text(LONGEST_REASON, has_lines=True), "why", ""),
        Field("lasts", Number(most=LONGEST_LOCK_S), "it ends after so many seconds; 0: never", 0),
        Field("to", Text(LONGEST_NAME), "the login name of somebody who gets it instead", ""),
        Field("force", Flag(), "also from its owner", False),
        Field("user", Text(), "who asks", ""),
    ]
)
TICKET = {"type": "object", "properties": {"ticket": {"type": "string"}}, "required": ["ticket"]}


@ACCESS.route("GET", "/session", reply=aliecs_v1_pb2.Session)
async def session(face: Face, request: Request) -> bytes:
    """Who the caller is for the core, and what that caller may do."""
    return await face.answer(request, face.extended.GetSession, aliecs_v1_pb2.GetSessionRequest())


@ACCESS.route(
    "GET", "/locks", reply=aliecs_v1_pb2.ListLocksReply, parameters=[DETECTOR], problems=[404]
)
async def locks(face: Face, request: Request) -> bytes:
    """The locks of all detectors, free ones too."""
    asked = aliecs_v1_pb2.ListLocksRequest(detectors=DETECTOR.of(request))
    return await face.answer(request, face.extended.ListLocks, asked)


@ACCESS.route("PUT", "/locks/<detector>", reply=aliecs_v1_pb2.LockReply, body=TAKE, problems=[409])
async def take_lock(face: Face, request: Request, detector: str) -> bytes:
    """Take a lock, or give it to somebody else.

    `ALL` takes those that are free. 409 names the owner of one that somebody else has.
    """
    body = TAKE.of(request)
    if body["to"].strip():
        given = aliecs_v1_pb2.HandOverLockRequest(
            detector=detector,
            to=body["to"],
            reason=body["reason"],
            force=body["force"],
            requested_by=body["user"],
        )
        return await face.answer(request, face.extended.HandOverLock, given)
    taken = aliecs_v1_pb2.TakeLockRequest(
        detector=detector,
        reason=body["reason"],
        lasts_s=body["lasts"],
        force=body["force"],
        requested_by=body["user"],
    )
    return await face.answer(request, face.extended.TakeLock, taken)


@ACCESS.route(
    "DELETE",
    "/locks/<detector>",
    reply=aliecs_v1_pb2.LockReply,
    parameters=[FORCE, WHY, ASKS],
    problems=[409],
)
async def release_lock(face: Face, request: Request, detector: str) -> bytes:
    """Free a lock; `ALL` frees those that the caller has."""
    asked = aliecs_v1_pb2.ReleaseLockRequest(
        detector=detector,
        reason=WHY.of(request),
        force=FORCE.of(request),
        requested_by=ASKS.of(request),
    )
    return await face.answer(request, face.extended.ReleaseLock, asked)


@ACCESS.route(
    "GET",
    "/audit",
    reply=aliecs_v1_pb2.ListAuditReply,
    parameters=[USER, ACTION, ENVIRONMENT, SINCE, BEFORE, LIMIT],
)
async def audit(face: Face, request: Request) -> bytes:
    """Who did what, with which result, newest first."""
    asked = aliecs_v1_pb2.ListAuditRequest(
        user=USER.of(request),
        action=ACTION.of(request),
        environment_id=ENVIRONMENT.of(request),
        since_ms=SINCE.of(request),
        before=BEFORE.of(request),
        limit=LIMIT.of(request),
    )
    return await face.answer(request, face.extended.ListAudit, asked)


@ACCESS.route("POST", "/auth/tickets", reply=Content(schema=TICKET), status=201)
async def ticket(face: Face, request: Request) -> bytes:
    """A ticket that stands for the caller once, as `?ticket=` of a stream: browsers cannot send a
    header with that request."""
    caller = call_of(request).caller
    if caller is None:
        raise Unauthenticated("nobody looked who calls")
    return json_answer(request, {"ticket": face.access.sessions.ticket(caller)}, 201)


@ACCESS.route("POST", "/auth/logout", status=204)
async def logout(face: Face, request: Request) -> bytes:
    """End the session of a browser."""
    cookie = (request.getCookie(SESSION) or b"").decode("ascii", "replace")
    face.access.sessions.end(cookie)
    _set_cookie(request, SESSION, b"", 0)
    request.setResponseCode(204)
    return b""


@LOGINS.route("GET", "/auth/login", reply=None, status=302, parameters=[BACK], problems=[404, 503])
async def login(face: Face, request: Request) -> bytes:
    """Send the browser to the identity provider."""
    begun = await _logins(face).begin(_here(face, request) + CALLBACK, BACK.of(request))
    _set_cookie(request, LOGIN, begun.state.encode(), 600)
    return _redirect(request, begun.url)


@LOGINS.route(
    "GET",
    "/auth/callback",
    reply=None,
    status=302,
    parameters=[CODE, STATE, ERROR],
    problems=[401, 404, 503],
)
async def callback(face: Face, request: Request) -> bytes:
    """Where the identity provider sends the browser back to."""
    logins = _logins(face)
    if refusal := ERROR.of(request):
        raise Unauthenticated(f"the identity provider refuses: {refusal[:200]}")
    cookie = (request.getCookie(LOGIN) or b"").decode("ascii", "replace")
    done = await logins.finish(CODE.of(request), STATE.of(request), cookie)
    face.logged_in(request, done.caller)
    _set_cookie(request, LOGIN, b"", 0)
    _set_cookie(request, SESSION, done.cookie.encode(), None)
    return _redirect(request, done.back)


def _logins(face: Face) -> Logins:
    if face.access.logins is None:
        raise NotFound("this core has no identity provider: openIdIssuer is not set")
    return face.access.logins


def _here(face: Face, request: Request) -> str:
    """How the browser reaches us."""
    if face.access.public_url:
        return face.access.public_url.rstrip("/")
    scheme = "https" if request.isSecure() else "http"
    host = (request.getHeader(b"host") or b"localhost").decode("ascii", "replace")
    return f"{scheme}://{host}"


def _redirect(request: Request, url: str) -> bytes:
    request.setResponseCode(302)
    request.setHeader(b"Location", url.encode("ascii", "replace"))
    request.setHeader(b"Cache-Control", b"no-store")
    return b""


def _set_cookie(request: Request, name: bytes, value: bytes, lasts_s: int | None) -> None:
    """A cookie that no script can read, and that no other site's form brings along."""
    request.addCookie(
        name,
        value,
        path=b"/",
        max_age=None if lasts_s is None else str(lasts_s).encode(),
        secure=request.isSecure(),
        httpOnly=True,
        sameSite=b"lax",
    )
