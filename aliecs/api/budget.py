"""How large one reply may become. Clients refuse messages beyond some tens of megabytes with an
error that helps nobody; a reply that would be too large is refused while it is built, with the name
of the call that gives the same in parts."""

from __future__ import annotations

from attrs import define
from google.protobuf.message import Message

from aliecs.errors import Exhausted

MOST_BYTES = 45 * 1024 * 1024
"""Of one reply."""


@define
class Budget:
    """What is left for a reply. `instead` says what to ask for when it is used up."""

    instead: str
    left: int = MOST_BYTES

    def take(self, message: Message) -> None:
        """A part of the reply. Raises `Exhausted` where it does not fit any more."""
        self.left -= message.ByteSize()
        if self.left < 0:
            raise Exhausted(
                f"the reply would be larger than {MOST_BYTES // 1024 // 1024} MB: {self.instead}"
            )
