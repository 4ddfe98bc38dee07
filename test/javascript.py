"""A client of the control API that shares nothing with us: Node, with the gRPC libraries of the
reference's graphical interface (`test/grpc_js/client.js`)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from test import tools

PROTOS = Path(__file__).parent.parent / "aliecs" / "protocol" / "protos"
DEADLINE_S = 60.0


def find_grpc_js() -> Path:
    """The libraries. For the top of a module: where there are none, the module is not run, and it
    is said in one line at the end."""
    found = tools.grpc_js()
    if found is None:
        reason = "gRPC for JavaScript cannot be had on this machine (make test-tools)"
        pytest.skip(reason, allow_module_level=True)
    return found


def older_protocol(folder: Path) -> Path:
    """The control API's definition as the graphical interface has it: in other folders than ours,
    and from before some fields and messages were added. Gives the file to load."""
    control = (PROTOS / "o2control.proto").read_text()
    for field in (r"int64 timestamp = \d+", "bool showDetailedIntegratedServices = 3"):
        control, count = re.subn(rf"\n  {field};", "", control)
        assert count
    control = control.replace("\n  uint32 rows = 11;", "")
    events = (PROTOS / "events.proto").read_text()
    events = events.replace("  reserved 7;\n", "  map<string, string> vars = 7;\n")
    events = events.replace("    Ev_BeamModeEvent beamModeEvent = 200;\n", "")
    events = re.sub(r"\nmessage Ev_BeamModeEvent \{.*?\n\}\n", "\n", events, flags=re.DOTALL)
    common = (PROTOS / "common.proto").read_text()
    blocks = r"\n(enum SpecialUserId|enum BeamMode|message BeamInfo) \{.*?\n\}\n"
    common, count = re.subn(blocks, "\n", common, flags=re.DOTALL)
    assert count == 3
    files = {
        "o2control.proto": control,
        "protos/events.proto": events,
        "protos/protos/common.proto": common,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "o2control.proto"


class CallFailed(Exception):
    """A call ended with an error: `code`, `details`, `metadata`, and the environments that the
    status names."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['details']}")
        self.code: int = error["code"]
        self.details: str = error["details"]
        self.metadata: Mapping[str, str] = error["metadata"]
        self.status: Any = error.get("status")
        self.environments: Sequence[Any] = error.get("environments", ())


class JavaScriptClient:
    """The program, ready to call. Replies are JSON as the graphical interface has it: names in
    lowerCamelCase, 64-bit integers as texts, enumerations as numbers, and without what has its
    default value."""

    def __init__(self, *services: Mapping[str, Any]) -> None:
        libraries = find_grpc_js() / "node_modules"
        program = Path(__file__).parent / "grpc_js" / "client.js"
        self._process = subprocess.Popen(
            ["node", str(program), json.dumps(services)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_PATH": str(libraries)},
        )
        self._answers: dict[int, Queue[Any]] = {0: Queue()}
        self._number = 0
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        assert self._answers[0].get(timeout=DEADLINE_S) == {"ready": True}

    def __enter__(self) -> JavaScriptClient:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        self._reading.join(DEADLINE_S)
        self._process.stdout.close()

    def call(
        self, method: str, request: Any = None, service: str = "Control", deadline_s: float = 20
    ) -> Any:
        """One call; gives the reply. Raises `CallFailed`."""
        return self.answer(self.begin(method, request, service, deadline_s))

    def begin(
        self, method: str, request: Any = None, service: str = "Control", deadline_s: float = 20
    ) -> int:
        """Begin a call or a stream; gives its number. 0 is no deadline."""
        self._number += 1
        self._answers[self._number] = Queue()
        self._say(
            id=self._number,
            service=service,
            method=method,
            request=request or {},
            deadline=deadline_s * 1000,
        )
        return self._number

    def cancel(self, number: int) -> None:
        """The client does not want the answer any more."""
        self._say(cancel=number)

    def answer(self, number: int) -> Any:
        """The reply to a call."""
        said = self._next(number)
        if "error" in said:
            raise CallFailed(said["error"])
        return said["reply"]

    def messages(self, number: int) -> Iterator[Any]:
        """The messages of a stream until it ends. Raises `CallFailed`."""
        while "data" in (said := self._next(number)):
            yield said["data"]
        if "error" in said:
            raise CallFailed(said["error"])

    def _next(self, number: int) -> Any:
        try:
            return self._answers[number].get(timeout=DEADLINE_S)
        except Empty:
            raise AssertionError(f"nothing more of call {number}") from None

    def _say(self, **value: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self._answers[said.get("id", 0)].put(said)
