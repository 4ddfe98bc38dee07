"""The lines of InfoLogger, the experiment's log: protocol 1.4 of its local daemon.

A line is the version and sixteen fields, each behind a `#`, the message last. Line breaks become
blanks; a `#` stays in the message and nowhere else.
"""

from __future__ import annotations

import re

from attrs import frozen

VERSION = "*1.4"
LONGEST_MESSAGE = 1024
"""Bytes of a message that are sent; the rest is cut off."""

DEFAULT_SOCKET = "@infoLoggerD"
"""Where the daemon listens: a name of Linux, not a file."""

DAEMON = "@infoLoggerD"
"""Where the daemon is unless somebody says otherwise."""

OPERATIONS = 1
DEVELOPERS = 11

_BREAKS = re.compile(r"[\r\n]+")
_ABSTRACT_LENGTH = 108


@frozen
class InfoLoggerLine:
    """One message. `time_s` is Unix time; `severity` is one of `F`, `E`, `W`, `I`, `D`."""

    severity: str
    level: int
    time_s: float
    hostname: str
    rolename: str
    pid: int
    username: str
    facility: str
    message: str
    system: str = "ECS"
    detector: str = ""
    partition: str = ""
    run: str = ""
    error_code: str = ""
    error_line: str = ""
    error_source: str = ""

    def encode(self) -> bytes:
        """The line as the daemon reads it."""
        fields = (
            self.severity,
            str(self.level),
            f"{self.time_s:.6f}",
            self.hostname,
            self.rolename,
            str(self.pid),
            self.username,
            self.system,
            self.facility,
            self.detector,
            self.partition,
            self.run,
            self.error_code,
            self.error_line,
            self.error_source,
        )
        head = "#".join([VERSION, *(_BREAKS.sub(" ", one).replace("#", " ") for one in fields)])
        message = _BREAKS.sub(" ", self.message).encode("utf-8", "replace")
        if len(message) > LONGEST_MESSAGE:
            # Not in the middle of a character.
            message = message[:LONGEST_MESSAGE].decode("utf-8", "ignore").encode()
        return head.encode("utf-8", "replace") + b"#" + message + b"\n"


def socket_address(name: str) -> bytes | str:
    """The address of a Unix socket. A name that begins with `@` is one of Linux's own, with all the
    zeros that the daemon pads it with."""
    if not name.startswith("@"):
        return name
    return b"\0" + name[1:].encode().ljust(_ABSTRACT_LENGTH - 1, b"\0")
