"""The HTTP site under our faces: requests are bounded, and told only to those who want details."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from aliecs.api.request import problem
from aliecs.errors import InvalidInput

MOST_DROPPED = 64 * 1024 * 1024
"""Bytes of a body after which its connection is ended."""
LONGEST_LINE = 256 * 1024
"""Bytes of the first line of a request, and of all its headers."""


class _Channel(HTTPChannel):
    """A connection on which also a request line that is too long gets an answer."""

    MAX_LENGTH = LONGEST_LINE
    totalHeadersSize = LONGEST_LINE  # noqa: N815

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """See `LineReceiver`."""
        detail = f"a line of the request is longer than {LONGEST_LINE} bytes"
        text = problem(400, "Invalid input", detail, InvalidInput.code)
        transport: Any = self.transport
        transport.write(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        )
        self.loseConnection()  # type: ignore[no-untyped-call]


class QuietSite(Site):
    """A site over `resource` that keeps at most `largest_body` bytes of a body and drops the rest,
    and ends idle connections after `timeout_s`. Its requests are logged as details: clients ask in
    thousands."""

    # HTTP/1.1 only; the default would choose by what TLS has agreed on.
    protocol: Any = _Channel
    displayTracebacks = False  # noqa: N815
    noisy = False
    _log = Logger()

    def __init__(self, resource: Any, largest_body: int, timeout_s: float = 60.0) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            resource, requestFactory=_BoundedRequest, timeout=timeout_s
        )
        self.largest_body = largest_body

    def log(self, request: Any) -> None:
        """See `Site.log`. What stands behind the question mark may be secret."""
        self._log.debug(
            "HTTP {method} {path} for {peer}: {code}",
            method=bytes(request.method).decode("ascii", "replace"),
            path=unquote_to_bytes(bytes(request.path)).decode("utf-8", "replace"),
            peer=getattr(request.getClientAddress(), "host", ""),
            code=request.code,
        )


class _BoundedRequest(Request):
    """A request whose body is bounded. What is more is read and dropped, so that who sent it reads
    why it is refused; one who does not end at all is cut off."""

    _received = 0

    @property
    def _largest(self) -> int:
        channel: Any = self.channel
        largest: int = channel.site.largest_body
        return largest

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """The body begins."""
        super().gotLength(min(length or 0, self._largest))  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """A piece of the body."""
        room = max(0, self._largest - self._received)
        self._received += len(data)
        if self._received > MOST_DROPPED:
            self.loseConnection()  # type: ignore[no-untyped-call]
        elif room:
            super().handleContentChunk(data[:room])  # type: ignore[no-untyped-call]
