"""RecordIO, the framing of the Mesos streaming APIs: the length of each record in decimal digits, a
line feed, then the record. Used on the local socket between core and executor, and on the streams
of a Mesos master or agent.
"""

from __future__ import annotations

from attrs import define, field

from aliecs.errors import InvalidInput

MAXIMUM_RECORD_BYTES = 64 * 1024 * 1024
_MAXIMUM_DIGITS = 20


class RecordError(InvalidInput):
    """The stream is not RecordIO, or a record is larger than what is accepted. Nothing after it can
    be read: the connection has to be given up."""

    code = "recordio"


def encode_record(record: bytes) -> bytes:
    """Frame one record."""
    return b"%d\n%b" % (len(record), record)


@define
class RecordReader:
    """Takes a stream apart, in whatever pieces it arrives.

    `limit_bytes` bounds one record, and with it what is kept here.
    """

    limit_bytes: int = MAXIMUM_RECORD_BYTES
    _buffer: bytearray = field(factory=bytearray, init=False)
    _expected: int = field(default=-1, init=False)
    """Length of the record being read, -1 while its length line is."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream and give the records that they complete.

        Raises `RecordError` on a malformed length line and on a record over the limit.
        """
        self._buffer += data
        records = []
        position = 0
        while True:
            if self._expected < 0:
                end = self._buffer.find(b"\n", position, position + _MAXIMUM_DIGITS + 1)
                if end < 0:
                    self._check_partial_length(position)
                    break
                self._expected = self._parse_length(bytes(self._buffer[position:end]))
                position = end + 1
            if len(self._buffer) - position < self._expected:
                break
            records.append(bytes(self._buffer[position : position + self._expected]))
            position += self._expected
            self._expected = -1
        del self._buffer[:position]
        return records

    @property
    def is_between_records(self) -> bool:
        """True where the stream may end here without having lost anything."""
        return self._expected < 0 and not self._buffer

    def _check_partial_length(self, position: int) -> None:
        partial = bytes(self._buffer[position : position + _MAXIMUM_DIGITS + 1])
        if partial and (len(partial) > _MAXIMUM_DIGITS or not partial.isdigit()):
            raise RecordError(f"expected the length of a record, got {partial!r}")

    def _parse_length(self, line: bytes) -> int:
        if not line.isdigit():
            raise RecordError(f"expected the length of a record, got {line!r}")
        length = int(line)
        if length > self.limit_bytes:
            raise RecordError(
                f"a record of {length} bytes is larger than the limit of {self.limit_bytes}"
            )
        return length
