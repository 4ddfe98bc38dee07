"""What is wrong with a payload template, and where.

Everything that goes wrong between the text of a payload and its rendering is a `PayloadError`. The
message has the shape that users of the reference know; its parts are attributes for programs.
"""

from __future__ import annotations

from aliecs.errors import InvalidInput

LONGEST_TOKEN = 40
"""Characters of the text at fault that a message shows."""


class PayloadError(InvalidInput):
    """A payload cannot be rendered.

    `stage` is where it was found (`fromfile`, `lexer`, `parser`, `execution`), `path` the payload
    at fault, `line` and `column` count from 1 in characters (0 where unknown), `token` is the text
    at that place and `reason` the fault alone.
    """

    code = "payload_error"
    http_status = 422

    def __init__(
        self,
        reason: str,
        stage: str = "execution",
        path: str = "",
        line: int = 0,
        column: int = 0,
        token: str = "",
    ) -> None:
        self.reason = reason
        self.stage = stage
        self.path = path
        self.line = line
        self.column = column
        self.token = token
        super().__init__(self._text())

    def _text(self) -> str:
        where = f"(where: {self.stage})"
        if self.path:
            where += f" in {self.path}"
        if self.line:
            where += f" | Line {self.line} Col {self.column}"
            token = self.token.partition("\n")[0][:LONGEST_TOKEN]
            if token:
                where += f" near '{token}'"
        return f"[Error {where}] {self.reason}"
