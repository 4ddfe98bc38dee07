"""Several control messages in one.

Over Mesos each message is a call of its own, which costs its sender more than all that is in it.
Messages for one receiver that wait together are therefore sent together, where the receiver takes
it: an executor says so in its announcement, and to a core whose last message was in this form it
answers in this form. The reference knows neither, and is spoken to one message at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from aliecs.protocol.message import MessageError

COMBINED_BYTES = 256 * 1024
"""Messages are put together up to this size; one that is larger goes alone."""

COMMANDS = "AliecsCommand_Combined"
"""What an executor announces, and the name of the form from core to executor."""
MESSAGES = "AliecsCombined"


class _Commands(Struct, frozen=True, tag_field="name", tag=COMMANDS):
    messages: list[msgspec.Raw]


class _Messages(Struct, frozen=True, tag_field="_messageType", tag=MESSAGES):
    messages: list[msgspec.Raw]


_commands = msgspec.json.Decoder(_Commands)
_messages = msgspec.json.Decoder(_Messages)
# As we write them: the name comes first.
_COMMANDS_BEGIN = b'{"name":"' + COMMANDS.encode()
_MESSAGES_BEGIN = b'{"_messageType":"' + MESSAGES.encode()


def combine_commands(commands: Iterable[bytes]) -> bytes:
    """Commands for one executor as one message; none at all asks it to announce itself."""
    return msgspec.json.encode(_Commands([msgspec.Raw(one) for one in commands]))


def combine_messages(messages: Iterable[bytes]) -> bytes:
    """Messages of an executor as one."""
    return msgspec.json.encode(_Messages([msgspec.Raw(one) for one in messages]))


def is_combined(data: bytes) -> bool:
    """True for what `combine_commands` or `combine_messages` has made."""
    return data.startswith((_COMMANDS_BEGIN, _MESSAGES_BEGIN))


def separate(data: bytes) -> Sequence[bytes]:
    """The messages in `data`: itself, where it is not combined. Raises `MessageError`."""
    if not is_combined(data):
        return (data,)
    decoder = _commands if data.startswith(_COMMANDS_BEGIN) else _messages
    try:
        return [bytes(one) for one in decoder.decode(data).messages]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MessageError(f"not messages that were combined: {error}") from error


def in_portions(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Messages, in their order, in portions that may be combined."""
    portion: list[bytes] = []
    size = 0
    for message in messages:
        if portion and size + len(message) > COMBINED_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(message)
        size += len(message)
    if portion:
        yield portion
