"""An executor for tests of the stand-in: plain Python, the JSON of the executor API, no library.

    python example.py

A task's `data` may be JSON with `updates`: the states to be told, with pauses in seconds between
them. A message is an order: `echo <text>`, `state <task> <state>`, `finish <task>`, `exit <code>`,
`sigkill`, `drop <seconds>` (close the stream and come back).
"""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
import time
import uuid
from http.client import HTTPConnection, HTTPResponse
from typing import Any

UPDATES = ["TASK_STARTING", 0.05, "TASK_RUNNING"]
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
PATIENCE_S = 10.0


class Executor:
    """One executor; each task has a thread."""

    def __init__(self) -> None:
        self.endpoint = os.environ["MESOS_AGENT_ENDPOINT"]
        self.executor_id = {"value": os.environ["MESOS_EXECUTOR_ID"]}
        self.framework_id = {"value": os.environ["MESOS_FRAMEWORK_ID"]}
        self.is_checkpointed = os.environ["MESOS_CHECKPOINT"] == "1"
        self.lock = threading.Lock()
        self.tasks: dict[str, Any] = {}
        self.unacknowledged_tasks: dict[str, Any] = {}
        self.updates: dict[str, Any] = {}
        self.away_s = 0.0

    def call(self, kind: str, **parts: Any) -> HTTPResponse:
        """Call the agent."""
        connection = HTTPConnection(self.endpoint, timeout=None)
        body = {"executor_id": self.executor_id, "framework_id": self.framework_id, "type": kind}
        connection.request(
            "POST", "/api/v1/executor", json.dumps({**body, **parts}), headers=HEADERS
        )
        return connection.getresponse()

    def run(self) -> None:
        """Subscribe, again and again, for as long as that is of use."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                with self.lock:
                    subscribe = {
                        "unacknowledged_tasks": list(self.unacknowledged_tasks.values()),
                        "unacknowledged_updates": [
                            {"status": one} for one in self.updates.values()
                        ],
                    }
                answer = self.call("SUBSCRIBE", subscribe=subscribe)
                if answer.status == 200:
                    self.read(answer)
                    if not self.is_checkpointed and not self.away_s:
                        return
                    deadline = time.monotonic() + PATIENCE_S
                answer.close()
            except OSError:
                pass
            time.sleep(self.away_s or 0.05)
            self.away_s = 0.0

    def read(self, answer: HTTPResponse) -> None:
        """Follow the stream to its end."""
        while True:
            try:
                length = answer.readline()
                record = answer.read(int(length)) if length else b""
            except OSError:
                return
            if not record:
                return
            self.follow(json.loads(record))
            if self.away_s:
                return

    def follow(self, event: dict[str, Any]) -> None:
        """Do what the agent wants."""
        kind = event["type"]
        if kind == "LAUNCH":
            task = event["launch"]["task"]
            identifier = task["task_id"]["value"]
            self.tasks[identifier] = self.unacknowledged_tasks[identifier] = task
            threading.Thread(target=self.live, args=(task,), daemon=True).start()
        elif kind == "KILL":
            self.update(event["kill"]["task_id"]["value"], "TASK_KILLED")
        elif kind == "ACKNOWLEDGED":
            with self.lock:
                self.updates.pop(event["acknowledged"]["uuid"], None)
                self.unacknowledged_tasks.pop(event["acknowledged"]["task_id"]["value"], None)
        elif kind == "MESSAGE":
            self.obey(base64.b64decode(event["message"]["data"]).decode())
        elif kind == "SHUTDOWN":
            for identifier in list(self.tasks):
                self.update(identifier, "TASK_KILLED", message="executor shuts down")
            os._exit(0)

    def live(self, task: dict[str, Any]) -> None:
        """The life of a task."""
        orders = json.loads(base64.b64decode(task.get("data", "")) or b"{}")
        for step in orders.get("updates", UPDATES):
            if not isinstance(step, str):
                time.sleep(step)
            elif step == "TASK_RUNNING":
                self.update(
                    task["task_id"]["value"], step, message="task is up",
                    data=base64.b64encode(b"pid 4711").decode(),
                    labels={"labels": [{"key": "state", "value": "STANDBY"}]},
                )  # fmt: skip
            else:
                self.update(task["task_id"]["value"], step)

    def obey(self, order: str) -> None:
        """Do what a message says."""
        verb, _, rest = order.partition(" ")
        if verb == "echo":
            data = base64.b64encode(f"echo:{rest}".encode()).decode()
            self.call("MESSAGE", message={"data": data}).close()
        elif verb == "state":
            self.update(*rest.split(" "))
        elif verb == "finish":
            self.update(rest, "TASK_FINISHED", message="done")
        elif verb == "exit":
            os._exit(int(rest))
        elif verb == "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif verb == "drop":
            self.away_s = float(rest)

    def update(self, task_id: str, state: str, **parts: Any) -> None:
        """Tell the state of a task; what is not confirmed is told again with the subscription."""
        identifier = base64.b64encode(uuid.uuid4().bytes).decode()
        status = {
            "task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR",
            "executor_id": self.executor_id, "timestamp": time.time(), "uuid": identifier, **parts,
        }  # fmt: skip
        if state in ("TASK_FINISHED", "TASK_KILLED"):
            self.tasks.pop(task_id, None)
        with self.lock:
            self.updates[identifier] = status
        try:
            self.call("UPDATE", update={"status": status}).close()
        except OSError:
            return


if __name__ == "__main__":
    Executor().run()
