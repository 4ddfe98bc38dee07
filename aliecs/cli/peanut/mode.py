"""How the task at the other end is spoken to."""

from __future__ import annotations

import enum

from aliecs.occ.codec import Codec


class Mode(enum.Enum):
    """The values of the option `-mode`."""

    FAIRMQ = "fmq"
    """A FairMQ device; the events and states are ours, the steps between are taken in a row."""

    FAIRMQ_STEP = "fmq-step"
    """A FairMQ device, in its own events and states."""

    DIRECT = "direct"
    """A task with the OCC library."""

    @property
    def codec(self) -> Codec:
        """The encoding that the task speaks."""
        return Codec.PROTOBUF if self is Mode.DIRECT else Codec.JSON


def mode_of(codec: Codec) -> Mode:
    """The mode for tasks that speak `codec`."""
    return Mode.DIRECT if codec is Codec.PROTOBUF else Mode.FAIRMQ
