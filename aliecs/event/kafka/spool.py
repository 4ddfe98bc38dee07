"""The spool: letters for Kafka on disk, from when they are written to when the brokers have them.

A folder of segments, files to which letters are only ever appended, and a file with the number of
the last letter before which all are acknowledged. A segment goes when all its letters are. What a
core that ended in whatever way has left here, the next one sends first. Letters are numbered, and
are taken in the order in which they were appended.

The folder holds at most `bound_bytes`: then its oldest segment goes, and what of it was not yet
taken is lost. Used by one thread at a time.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attrs import define, field

SEGMENT_BYTES = 8 * 1024 * 1024
FEWEST_SEGMENTS = 8
"""So much of the bound is lost at once at most: one part of this many."""

IN_MEMORY = 10_000
"""Letters that wait to be taken and are held in memory beside the disk. Those after them are read
back from it."""

CHUNK_BYTES = 1024 * 1024

_SUFFIX = ".letters"
_ACKNOWLEDGED = "acknowledged"
_HEAD = struct.Struct("<IIHH")
"""Bytes of what follows, their checksum, bytes of the topic, bytes of the key."""
_NO_KEY = 0xFFFF
_NUMBER = struct.Struct("<Q")


class Content(NamedTuple):
    """What a letter says; `key` is None where it goes to any partition."""

    topic: str
    key: bytes | None
    value: bytes


class Letter(NamedTuple):
    """A numbered letter."""

    number: int
    topic: str
    key: bytes | None
    value: bytes


@define(eq=False)
class _Segment:
    path: Path
    first: int
    count: int = 0
    size: int = 0

    @property
    def end(self) -> int:
        """The number after its last letter."""
        return self.first + self.count


@define
class _Place:
    """The next letter that has to be read back from disk."""

    segment: _Segment
    offset: int
    number: int


@define(eq=False)
class Spool:
    """See the module. `folder` is made where it is missing."""

    folder: Path
    bound_bytes: int
    lost: int = field(init=False, default=0)
    """Letters that went because there was no room, or no disk, for them."""
    size: int = field(init=False, default=0)
    """Bytes on disk."""
    waiting: int = field(init=False, default=0)
    """Letters that are not acknowledged."""
    fault: str = field(init=False, default="")
    """Why the disk did not take the last letters, empty where it did."""
    _segments: deque[_Segment] = field(init=False, factory=deque)
    _memory: deque[Letter] = field(init=False, factory=deque)
    _behind: _Place | None = field(init=False, default=None)
    _next: int = field(init=False, default=1)
    _writing: int = field(init=False, default=-1)
    _marking: int = field(init=False, default=-1)
    _unsynced: bool = field(init=False, default=False)

    def open(self) -> None:
        """Take up what is in the folder. Raises `OSError` where it cannot be used."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / _ACKNOWLEDGED
        self._marking = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        marked = os.pread(self._marking, _NUMBER.size, 0)
        acknowledged = _NUMBER.unpack(marked)[0] if len(marked) == _NUMBER.size else 0
        paths = sorted(self.folder.glob(f"*{_SUFFIX}"), key=lambda path: int(path.stem))
        for path in paths:
            segment = _Segment(path, int(path.stem))
            for letter, end in _letters(path.read_bytes(), segment.first):
                segment.count, segment.size = letter.number - segment.first + 1, end
            if segment.end <= acknowledged + 1:
                path.unlink()
                continue
            if path.stat().st_size > segment.size:
                # Its writer was killed in the middle of a letter.
                os.truncate(path, segment.size)
            self._segments.append(segment)
            self.size += segment.size
            self.waiting += segment.end - max(segment.first, acknowledged + 1)
        self._next = max(acknowledged + 1, self._segments[-1].end if self._segments else 1)
        if self._segments:
            self._behind = self._place_of(max(acknowledged + 1, self._segments[0].first))

    def append(self, contents: Sequence[Content]) -> None:
        """Write letters, all at once. Where the disk does not take them they are only in memory, or
        lost."""
        if not contents:
            return
        first = self._next
        letters = [Letter(first + index, *content) for index, content in enumerate(contents)]
        self._next += len(letters)
        data = b"".join([_packed(letter) for letter in letters])
        self.waiting += len(letters)
        try:
            segment = self._segment_for(len(data), first)
            offset = segment.size
            _write_all(self._writing, data)
        except OSError as error:
            self.fault = error.strerror or str(error)
            self._give_up_segment()
            self._hold_or_lose(letters)
            return
        self.fault = ""
        self._unsynced = True
        segment.count += len(letters)
        segment.size += len(data)
        self.size += len(data)
        if self._behind is None:
            if len(self._memory) + len(letters) <= IN_MEMORY:
                self._memory.extend(letters)
            else:
                self._behind = _Place(segment, offset, first)

    @property
    def has_more(self) -> bool:
        """Whether there is a letter to take."""
        return bool(self._memory) or self._behind is not None

    def take(self) -> Letter | None:
        """The next letter to be sent, None where there is none."""
        while not self._memory and self._behind is not None:
            self._read_back(self._behind)
        return self._memory.popleft() if self._memory else None

    def give_back(self, letter: Letter) -> None:
        """Take it back as the next one."""
        self._memory.appendleft(letter)

    def acknowledge(self, number: int, count: int) -> None:
        """All letters up to `number` are done with, `count` of them since this was said last."""
        self.waiting -= count
        try:
            os.pwrite(self._marking, _NUMBER.pack(number), 0)
        except OSError as error:
            self.fault = error.strerror or str(error)
        while len(self._segments) > 1 and self._segments[0].end <= number + 1:
            self._remove(self._segments.popleft())

    def sync(self) -> None:
        """See to it that what was written outlives the machine."""
        if self._unsynced and self._writing >= 0:
            self._unsynced = False
            try:
                os.fdatasync(self._writing)
            except OSError as error:
                self.fault = error.strerror or str(error)

    def close(self) -> None:
        """Let go of the folder; where nothing waits, nothing stays."""
        self.sync()
        for descriptor in (self._writing, self._marking):
            if descriptor >= 0:
                os.close(descriptor)
        self._writing = self._marking = -1
        if self.waiting == 0:
            while self._segments:
                self._remove(self._segments.popleft())
            (self.folder / _ACKNOWLEDGED).unlink(missing_ok=True)

    # --- inside ----------------------------------------------------------------------------

    def _segment_for(self, size: int, first: int) -> _Segment:
        """The segment that takes the next `size` bytes, after room was made for them."""
        longest = min(SEGMENT_BYTES, self.bound_bytes // FEWEST_SEGMENTS)
        if self._writing < 0 or self._segments[-1].size + size > longest:
            self._close_segment()
            path = self.folder / f"{first:020d}{_SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._writing = os.open(path, flags, 0o600)
            self._segments.append(_Segment(path, first))
        while len(self._segments) > 1 and self.size + size > self.bound_bytes:
            self._drop_oldest()
        return self._segments[-1]

    def _drop_oldest(self) -> None:
        segment = self._segments.popleft()
        behind = self._behind
        if behind is not None and behind.segment is segment:
            self._lose(segment.end - behind.number)
            heir = self._segments[0]
            # Where nothing follows yet, the letters that are being written are the next.
            self._behind = _Place(heir, 0, heir.first) if heir.count else None
        self._remove(segment)

    def _remove(self, segment: _Segment) -> None:
        self.size -= segment.size
        segment.path.unlink(missing_ok=True)

    def _close_segment(self) -> None:
        if self._writing >= 0:
            self.sync()
            os.close(self._writing)
            self._writing = -1

    def _give_up_segment(self) -> None:
        """After a failure: what was half written goes, and the next letters begin a new segment."""
        try:
            if self._writing >= 0:
                os.ftruncate(self._writing, self._segments[-1].size)
        except OSError:
            pass
        self._close_segment()
        if self._segments and self._segments[-1].count == 0:
            self._remove(self._segments.pop())

    def _hold_or_lose(self, letters: Sequence[Letter]) -> None:
        if self._behind is None and len(self._memory) + len(letters) <= IN_MEMORY:
            self._memory.extend(letters)
        else:
            self._lose(len(letters))

    def _lose(self, count: int) -> None:
        self.lost += count
        self.waiting -= count

    def _place_of(self, number: int) -> _Place:
        segment = self._segments[0]
        offset = 0
        for letter, end in _letters(segment.path.read_bytes(), segment.first):
            if letter.number >= number:
                break
            offset = end
        return _Place(segment, offset, number)

    def _read_back(self, place: _Place) -> None:
        """Bring the next chunk into memory."""
        segment = place.segment
        data = b""
        try:
            with segment.path.open("rb") as file:
                file.seek(place.offset)
                data = file.read(CHUNK_BYTES)
                if len(data) >= _HEAD.size:
                    whole = _HEAD.size + _HEAD.unpack_from(data)[0]
                    data += file.read(max(0, whole - len(data)))
        except OSError as error:
            self.fault = error.strerror or str(error)
        found = 0
        for letter, end in _letters(data, place.number):
            self._memory.append(letter)
            found = end
        place.number += len(self._memory)
        place.offset += found
        if not found and place.number < segment.end:
            # Somebody has damaged the file: the rest of it cannot be read by anyone.
            self._lose(segment.end - place.number)
            place.number = segment.end
        if place.number >= segment.end:
            position = self._segments.index(segment) + 1
            heir = self._segments[position] if position < len(self._segments) else None
            self._behind = _Place(heir, 0, heir.first) if heir is not None else None


def _packed(letter: Letter) -> bytes:
    topic = letter.topic.encode()
    key = letter.key if letter.key is not None else b""
    body = topic + key + letter.value
    key_size = _NO_KEY if letter.key is None else len(key)
    return _HEAD.pack(len(body), zlib.crc32(body), len(topic), key_size) + body


def _letters(data: bytes, number: int) -> Iterator[tuple[Letter, int]]:
    """The whole and sound letters at the beginning of `data`, each with where it ends."""
    at = 0
    while at + _HEAD.size <= len(data):
        size, checksum, topic_size, key_size = _HEAD.unpack_from(data, at)
        begin, end = at + _HEAD.size, at + _HEAD.size + size
        body = data[begin:end]
        # Zeros, which a machine that lost its power may leave, have the right checksum.
        if not topic_size or len(body) < size or zlib.crc32(body) != checksum:
            return
        value_at = topic_size + (0 if key_size == _NO_KEY else key_size)
        key = None if key_size == _NO_KEY else body[topic_size:value_at]
        yield Letter(number, body[:topic_size].decode(), key, body[value_at:]), end
        number += 1
        at = end


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
