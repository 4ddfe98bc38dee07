"""An executor for tests of a core on Mesos, of which the tasks are words only.

It answers every order of a core at once, as tasks would that do what they are told. What it is
otherwise is `test/standin/mesos/example.py`.
"""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from aliecs.protocol.message import (
    AnnounceTaskPid,
    CommandResponse,
    TransitionCommand,
    decode_command,
)
from test.standin.mesos.example import Executor


class ObedientExecutor(Executor):
    """See the module."""

    def obey(self, order: str) -> None:
        """A transition reaches where it should go."""
        command = decode_command(order.encode())
        if isinstance(command, TransitionCommand):
            self.say(
                CommandResponse(
                    name=command.name,
                    id=command.id,
                    environment_id=command.environment_id,
                    task_id=command.task_id,
                    state=command.destination,
                ).encode()
            )

    def live(self, task: dict[str, Any]) -> None:
        """A task runs, and has a process id: ours."""
        task_id = task["task_id"]["value"]
        self.update(task_id, "TASK_RUNNING")
        self.say(AnnounceTaskPid(task_id=task_id, pid=os.getpid()).encode())

    def say(self, message: bytes) -> None:
        """Send a message to the core."""
        self.call("MESSAGE", message={"data": base64.b64encode(message).decode()}).close()


if __name__ == "__main__":
    ObedientExecutor().run()
