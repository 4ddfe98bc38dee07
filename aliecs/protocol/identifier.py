"""Identifiers of environments, tasks, executors and commands.

Environments, tasks and executors have an 11-character text: a 63-bit number (39 bits of time in
units of 10 ms since 2009-11-10T23:00:00Z, 8 bits of sequence, 16 bits of machine) in base58, most
significant digit first. Clients check the alphabet, so every id of ours keeps to it. Commands and
abstract socket names have an xid: 12 bytes, the first four the Unix time, in 20 characters.
The formats are those of the control API; whoever makes ids owns an `IdentifierGenerator`.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from aliecs.errors import InvalidInput

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
EPOCH_S = 1257894000
UNIT_S = 0.01
DEFAULT_MACHINE = 42

_DIGITS = {character: value for value, character in enumerate(ALPHABET)}
_SEQUENCE_BITS = 8
_MACHINE_BITS = 16
_SEQUENCES = 1 << _SEQUENCE_BITS
_XID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


def is_identifier(text: str) -> bool:
    """True where `text` is accepted as an id: not empty, every character of the alphabet."""
    return bool(text) and all(character in _DIGITS for character in text)


def check_identifier(text: str, what: str) -> str:
    """Give `text` back where it is an id; raise `InvalidInput` naming `what` (as in "environment")
    where it is not."""
    if not is_identifier(text):
        raise InvalidInput(f"received bad {what} id {text[:64]!r}")
    return text


def encode(number: int) -> str:
    """Write a number that is not negative in base58."""
    if number < 0:
        raise ValueError(f"an identifier cannot be negative: {number}")
    digits = ""
    while True:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
        if number == 0:
            return digits


def decode(text: str) -> int:
    """Read a base58 number; raises `InvalidInput` on an empty text or a foreign character."""
    number = 0
    for character in check_identifier(text, "base58"):
        number = number * len(ALPHABET) + _DIGITS[character]
    return number


@define(frozen=True)
class IdentifierParts:
    """What an identifier is made of."""

    units: int
    """Time in units of 10 ms since the epoch."""
    sequence: int
    machine: int

    @property
    def time_s(self) -> float:
        """Unix time in seconds."""
        return EPOCH_S + self.units / 100

    def __str__(self) -> str:
        high = (self.units << _SEQUENCE_BITS) | self.sequence
        return encode((high << _MACHINE_BITS) | self.machine)


def parts(text: str) -> IdentifierParts:
    """Take an identifier apart; raises `InvalidInput` where it is none."""
    number = decode(text)
    return IdentifierParts(
        units=number >> (_SEQUENCE_BITS + _MACHINE_BITS),
        sequence=(number >> _MACHINE_BITS) & (_SEQUENCES - 1),
        machine=number & ((1 << _MACHINE_BITS) - 1),
    )


def machine_number(path: Path = Path("/etc/machine-id")) -> int:
    """The 16-bit number of this machine: bytes 10 and 11 of its UUID, 42 where there is none."""
    try:
        return int.from_bytes(uuid.UUID(path.read_text().strip()).bytes[10:12], "big")
    except (OSError, ValueError):
        return DEFAULT_MACHINE


@define
class IdentifierGenerator:
    """Makes identifiers that are unique on this machine and ascend in time. Safe from threads.

    At most 256 ids fit in 10 ms. A larger burst runs ahead of the clock instead of waiting, since
    the reactor thread asks too. `skip` tells of an id that was made before, so that a restarted
    core does not repeat those that its predecessor took in advance.
    """

    machine: int = field(factory=machine_number)
    clock: Callable[[], float] = time.time
    _units: int = field(default=0, init=False)
    _sequence: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def new(self) -> str:
        """The next identifier."""
        now = int((self.clock() - EPOCH_S) / UNIT_S)
        with self._lock:
            if now > self._units:
                self._units, self._sequence = now, 0
            else:
                self._sequence += 1
                if self._sequence == _SEQUENCES:
                    self._units, self._sequence = self._units + 1, 0
            return str(IdentifierParts(self._units, self._sequence, self.machine))

    def skip(self, identifier: str) -> None:
        """Never make `identifier`, nor one before it, again."""
        seen = parts(identifier)
        with self._lock:
            if (seen.units, seen.sequence) > (self._units, self._sequence):
                self._units, self._sequence = seen.units, seen.sequence


def new_xid(clock: Callable[[], float] = time.time) -> str:
    """A new xid: 20 characters of `[0-9a-v]`, ascending with the seconds.

    Eight of its twelve bytes are random; to readers it is opaque either way.
    """
    number = int.from_bytes(int(clock()).to_bytes(4, "big") + os.urandom(8), "big") << 4
    return "".join(_XID_ALPHABET[(number >> shift) & 31] for shift in range(95, -1, -5))
