"""What those have in common that ask others over HTTP: whether a request arrived, and why not."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.python.failure import Failure
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

NOT_CONNECTED = (ConnectError, DNSLookupError, SSL.Error)
"""Nothing was sent."""
NOT_ANSWERED = (
    ConnectionClosed,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
"""The request may have arrived."""

_CUT = frozenset({"_DataLoss", "PotentialDataLoss"})


def reason_of(error: BaseException | None) -> str:
    """What a person can read, of an error that may be a list of others."""
    for failure in reversed(getattr(error, "reasons", None) or ()):
        if isinstance(failure, Failure) and failure.value is not None:
            return reason_of(failure.value)
    if type(error).__name__ in _CUT:
        # Twisted's words for it are about its own decoder.
        return "the connection broke off"
    return str(error).rstrip(".") or type(error).__name__
