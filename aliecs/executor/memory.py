"""What was asked of an executor, and what it has answered.

Nobody acknowledges messages: one may come twice, and an answer may be lost. A command that is known
is not carried out a second time, and its answer can be given again. Bounded: what was answered
long ago is forgotten, and nobody asks for it any more.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field

from aliecs.protocol.message import CommandResponse

MOST_ANSWERS = 4096

Key = tuple[str, str]
"""The id of a command, which all tasks of one order share, and the task."""


@define
class CommandMemory:
    """See the module."""

    _under_way: set[Key] = field(factory=set, init=False)
    _answers: OrderedDict[Key, CommandResponse] = field(factory=OrderedDict, init=False)

    def begin(self, key: Key) -> bool:
        """A command has come. False where it has come before."""
        if key in self._under_way or key in self._answers:
            return False
        self._under_way.add(key)
        return True

    def keep(self, key: Key, answer: CommandResponse) -> None:
        """A command is answered."""
        if key not in self._under_way:
            return
        self._under_way.discard(key)
        self._answers[key] = answer
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)

    def is_under_way(self, key: Key) -> bool:
        """True for a command that has come and is not answered yet."""
        return key in self._under_way

    def answer(self, key: Key) -> CommandResponse | None:
        """The answer to a command; None where there was none."""
        return self._answers.get(key)
