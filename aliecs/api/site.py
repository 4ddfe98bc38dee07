"""The HTTP site under our faces: requests are bounded, and told only to those who want details."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger
from twisted.web.server import Request, Site


class QuietSite(Site):
    """A site over `resource` that takes bodies of at most `largest_body` bytes, and ends idle
    connections after `timeout_s`. Its requests are logged as details: clients ask in thousands."""

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
    """A request whose body is bounded: a larger one ends the connection."""

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
        self._received += len(data)
        if self._received > self._largest:
            self.loseConnection()  # type: ignore[no-untyped-call]
            return
        super().handleContentChunk(data)  # type: ignore[no-untyped-call]
