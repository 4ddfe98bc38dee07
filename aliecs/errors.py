"""The errors a user can see.

Every refusal that reaches a person is an `AliecsError` of one of the kinds below. The kind decides
the gRPC status and the HTTP status once, here; the text says what is wrong, where, and what to do.
Anything else that is raised is a fault of ours and reaches people as an internal error.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Location:
    """A place in a file: where a user has to look.

    `line` and `column` count from 1; 0 means that only the file is known.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        text = self.file
        if self.line:
            text += f":{self.line}"
            if self.column:
                text += f":{self.column}"
        return text


class AliecsError(Exception):
    """A problem to tell a person about.

    `code` is stable and may be tested by programs; `grpc_status` is the name of a gRPC status code
    and `http_status` its REST counterpart.
    """

    code: str = "internal"
    grpc_status: str = "INTERNAL"
    http_status: int = 500
    missing_locks: Sequence[str] = ()
    """The detectors whose locks it would have taken."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(AliecsError):
    """The request, a file or a setting cannot be understood or is not allowed to say this."""

    code = "invalid_input"
    grpc_status = "INVALID_ARGUMENT"
    http_status = 400


class KeyReused(InvalidInput):
    """The idempotency key of a request is that of another one."""

    code = "idempotency_key_reused"
    http_status = 422


class TemplateError(InvalidInput):
    """A workflow or task template is wrong.

    `location` is the file and line; `role_path` the dotted path of the role being processed, empty
    where the fault is not in a role; `reason` the fault alone.
    """

    code = "template"
    http_status = 422

    def __init__(
        self, reason: str, location: Location | None = None, role_path: str = ""
    ) -> None:
        self.reason = reason
        self.location = location
        self.role_path = role_path
        prefix = f"{location}: " if location is not None else ""
        suffix = f" (role {role_path})" if role_path else ""
        super().__init__(f"{prefix}{reason}{suffix}")


class TemplateErrors(TemplateError):
    """Several template errors found in one load, each told in full."""

    def __init__(self, errors: Sequence[TemplateError]) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        noun = "error" if count == 1 else "errors"
        super().__init__(f"{count} {noun}: " + "; ".join(e.message for e in self.errors))


class NotFound(AliecsError):
    """What was named does not exist."""

    code = "not_found"
    grpc_status = "NOT_FOUND"
    http_status = 404


class Conflict(AliecsError):
    """The present state does not allow it: an illegal transition, one under way, a name in use."""

    code = "conflict"
    grpc_status = "FAILED_PRECONDITION"
    http_status = 409


class Forbidden(AliecsError):
    """The caller may not do this."""

    code = "forbidden"
    grpc_status = "PERMISSION_DENIED"
    http_status = 403


class RoleInsufficient(Forbidden):
    """The caller's role does not allow it."""

    code = "role_insufficient"


class LockMissing(Forbidden):
    """It takes the locks of detectors, and the caller does not hold all of them."""

    code = "lock_missing"

    def __init__(self, message: str, detectors: Sequence[str]) -> None:
        super().__init__(message)
        self.missing_locks = tuple(detectors)


class LockTaken(Conflict):
    """Somebody else holds the lock."""

    code = "lock_taken"


class Unauthenticated(AliecsError):
    """Nobody knows who calls: credentials are missing, wrong, or too old."""

    code = "unauthenticated"
    grpc_status = "UNAUTHENTICATED"
    http_status = 401


class Exhausted(AliecsError):
    """A bound was reached: a queue, a size, a pool of ports or hosts."""

    code = "exhausted"
    grpc_status = "RESOURCE_EXHAUSTED"
    http_status = 429


class TooLarge(Exhausted):
    """The request has more bytes than are read; smaller ones may say the same."""

    code = "too_large"
    http_status = 413


class Unavailable(AliecsError):
    """Somebody we depend on cannot be reached now; the same request may work later."""

    code = "unavailable"
    grpc_status = "UNAVAILABLE"
    http_status = 503


class OutOfReach(Unavailable):
    """There is no way to somebody just now, and nothing was sent; there may be one soon."""

    code = "out_of_reach"


class DeadlineExceeded(AliecsError):
    """Something did not happen in its time."""

    code = "deadline"
    grpc_status = "DEADLINE_EXCEEDED"
    http_status = 504


class TransitionFailed(AliecsError):
    """A transition was tried and failed; the text names the first cause.

    With `cause`, the error that made it fail, it is of that error's kind.
    """

    code = "transition_failed"
    grpc_status = "ABORTED"
    http_status = 500

    def __init__(self, message: str, cause: AliecsError | None = None) -> None:
        super().__init__(message)
        if cause is not None:
            self.code = cause.code
            self.grpc_status = cause.grpc_status
            self.http_status = cause.http_status


class Aborted(TransitionFailed):
    """Somebody gave it up, or something more important did; the text says who and why."""

    code = "aborted"
    http_status = 409


class NotImplementedYet(AliecsError):
    """A call of the wire that this server does not offer."""

    code = "unimplemented"
    grpc_status = "UNIMPLEMENTED"
    http_status = 501


class SettingsError(InvalidInput):
    """A setting is unknown, has the wrong type or an impossible value; the text names the key,
    and the file and line, variable or option it came from."""

    code = "settings"
