"""The recorded conversations with a real Mesos master and its agents: see `test/data/mesos`."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

RECORDINGS = Path(__file__).parent / "data" / "mesos"
LONG_PATTERN = b"0123456789abcdef"
LONG_BYTES = 102_400
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@frozen
class Line:
    """One line of a recording."""

    scenario: str
    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str) -> Any:
        """A field that need not be there."""
        return self.fields.get(name)

    @property
    def kind(self) -> str:
        """What the line tells of."""
        return str(self.fields["kind"])

    @property
    def where(self) -> str:
        """Where to look it up."""
        return f"{self.scenario} at {self.fields['t_ms']} ms"

    @property
    def is_between_executor_and_agent(self) -> bool:
        """True for the executor API."""
        return {self.fields["from"], self.fields.get("to")} == {"executor", "agent"}

    @property
    def is_with_scheduler(self) -> bool:
        """True for the scheduler API."""
        return any(str(self.fields.get(end)).startswith("scheduler") for end in ("from", "to"))

    def binary(self) -> bytes | None:
        """The body of a protobuf message, None where there is none or not all of it."""
        body = self.fields.get("body")
        if isinstance(body, dict) and "base64" in body and "body_elided" not in self.fields:
            return base64.b64decode(body["base64"])
        return None

    def document(self) -> Any:
        """The body as a JSON value, in both encodings; None where it is none."""
        body = self.fields.get("body")
        document = None if self.text() is not None else body
        if isinstance(body, dict) and "base64" in body:
            document = body.get("decoded")
        return self._restored(document) if self.get("body_elided") else document

    def _restored(self, document: Any) -> Any:
        """With the long payload that is shortened in the recording."""
        head = b"echo " if self["from"] in ("scheduler", "agent") else b"echo:"
        data = (head + LONG_PATTERN * LONG_BYTES)[:LONG_BYTES]
        kind = document["type"].lower()
        part = {**document[kind], "data": base64.b64encode(data).decode()}
        return {**document, kind: part}

    def text(self) -> str | None:
        """The body where it is plain text, else None."""
        body = self.fields.get("body")
        return str(body["text"]) if isinstance(body, dict) and body.keys() == {"text"} else None


def scenarios(encoding: str = "*") -> list[str]:
    """The names of the recordings; `encoding` is `json`, `protobuf` or both."""
    return sorted(
        path.name.removesuffix(".jsonl.gz") for path in RECORDINGS.glob(f"*-{encoding}.jsonl.gz")
    )


@cache
def recording(scenario: str) -> tuple[Line, ...]:
    """All lines of a recording, in their order."""
    text = gzip.decompress((RECORDINGS / f"{scenario}.jsonl.gz").read_bytes()).decode()
    return tuple(Line(scenario, json.loads(line)) for line in text.splitlines())


def lines(encoding: str = "*") -> Iterator[Line]:
    """The lines of all recordings."""
    for scenario in scenarios(encoding):
        yield from recording(scenario)
