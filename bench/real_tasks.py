"""One environment of real tasks on this machine: what each step and task costs the core.

    python -m bench.real_tasks [--mesos] [10 100 500]

The real service with embedded hosts, one executor each, or with --mesos over a stand-in of Mesos
with as many agents; and tasks that are processes of their own, controlled over gRPC (aliecs.occ).
For each number of tasks and each step: the time on the wall, and the processor time for each task,
of the core and of the executors with their launchers. The tasks take far more of the machine than
both: it is they that the wall waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import frozen

from aliecs.protocol.protos import o2control_pb2
from bench.core import MARK, START_DEADLINE_S, running_core
from test.end_to_end.core import make_repository

HOSTS = ("host1", "host2")
DEADLINE_S = 300.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

TASK_PROGRAM = """\
from aliecs.occ import Task, run

run(Task("idle"))
"""
TASK = """\
name: idle
control: {{ mode: direct }}
wants: {{ cpu: 0.001, memory: 1 }}
command:
  value: "{{{{ python_executable }}}}"
  arguments: [ "{program}" ]
"""
WORKFLOW = """\
name: idle-{tasks}
roles:
  - name: "task{{{{ number }}}}"
    for: {{ begin: "1", end: "{tasks}", var: number }}
    task: {{ load: idle }}
"""


def repository(folder: Path, sizes: Sequence[int]) -> Path:
    """A git repository with a workflow for each size."""
    program = folder / "idle.py"
    program.write_text(TASK_PROGRAM)
    place = folder / "idle"
    files = {f"workflows/idle-{size}.yaml": WORKFLOW.format(tasks=size) for size in sizes}
    files["tasks/idle.yaml"] = TASK.format(program=program)
    make_repository(place, files)
    return place


@contextmanager
def mesos(folder: Path, mark: str) -> Iterator[dict[str, Any]]:
    """A cluster, and the settings of a core that uses it."""
    said = folder / "mesos.json"
    command = [sys.executable, "-m", "test.standin.mesos", "--agents=0"]
    command += [f"--addresses={said}", f"--work-dir={folder / 'mesos'}"]
    with subprocess.Popen(command, env={**os.environ, MARK: mark}) as cluster:
        deadline = time.monotonic() + START_DEADLINE_S
        while not said.exists():
            if cluster.poll() is not None or time.monotonic() > deadline:
                sys.exit("the stand-in of Mesos did not start")
            time.sleep(0.05)
        addresses = json.loads(said.read_text())
        for number, name in enumerate(HOSTS):
            # All of them are this machine, and must not use the same ports.
            first = 20000 + 5000 * number
            agent = {
                "hostname": name,
                "resources": f"cpus:64;mem:65536;disk:10000;ports:[{first}-{first + 4999}]",
                "attributes": f"machine_id:{name}",
            }
            request = urllib.request.Request(
                f"{addresses['control']}add-agent", json.dumps(agent).encode(), method="POST"
            )
            urllib.request.urlopen(request).close()
        yield {
            "backend": "mesos",
            "mesosUrl": f"http://{addresses['masters'][0]}/api/v1/scheduler",
            "executorCommand": f"{sys.executable} -m aliecs.executor.main",
            "executorMemory": "32",
        }
        cluster.terminate()


@frozen
class Processor:
    """Processor seconds used until now."""

    core_s: float
    executors_s: float


def processor(core: int, folder: Path) -> Processor:
    """What the core, and the executors of `folder` with their launchers, have used."""
    executors_s = 0.0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if b"aliecs.executor.main" not in command:
                continue
            if str(folder).encode() in command + (entry / "environ").read_bytes():
                executors_s += _used_s(int(entry.name)) + sum(
                    _used_s(child) for child in _launchers(int(entry.name))
                )
        except OSError:
            continue  # it has just ended
    return Processor(_used_s(core), executors_s)


def _launchers(executor: int) -> Sequence[int]:
    children = Path(f"/proc/{executor}/task/{executor}/children").read_text().split()
    return [int(one) for one in children if b"launcher.py" in _command(one)]


def _command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _used_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def measure(core: int, control: Any, folder: Path, template: str, tasks: int) -> None:
    """One environment from its creation to its end, step by step."""

    def take(name: str, step: Callable[[], Any]) -> Any:
        before, began = processor(core, folder), time.monotonic()
        result = step()
        wall_s, after = time.monotonic() - began, processor(core, folder)
        core_us = (after.core_s - before.core_s) / tasks * 1e6
        executors_us = (after.executors_s - before.executors_s) / tasks * 1e6
        print(
            f"{tasks:>6} {name:16} {wall_s:8.2f} s {core_us:10.0f} us {executors_us:12.0f} us",
            flush=True,
        )
        return result

    def control_environment(event: str) -> None:
        reply = control.ControlEnvironment(
            o2control_pb2.ControlEnvironmentRequest(id=environment_id, type=event),
            deadline_s=DEADLINE_S,
        )
        if reply.state == "ERROR":
            sys.exit(f"{event} failed")

    created = take(
        "create",
        lambda: control.NewEnvironment(
            o2control_pb2.NewEnvironmentRequest(workflowTemplate=template), deadline_s=DEADLINE_S
        ),
    )
    environment_id = created.environment.id
    for event in ("START_ACTIVITY", "STOP_ACTIVITY", "RESET", "CONFIGURE"):
        take(event, lambda event=event: control_environment(event))  # type: ignore[misc]
    take(
        "destroy",
        lambda: control.DestroyEnvironment(
            o2control_pb2.DestroyEnvironmentRequest(id=environment_id), deadline_s=DEADLINE_S
        ),
    )


def main() -> int:
    """The whole measurement; gives the exit code."""
    parser = argparse.ArgumentParser(description="What real tasks cost.")
    parser.add_argument("sizes", type=int, nargs="*", default=[10, 100, 500])
    parser.add_argument("--mesos", action="store_true", help="over a stand-in of Mesos")
    options = parser.parse_args()
    mark = uuid4().hex
    print(f"{'tasks':>6} {'step':16} {'wall':>10} {'core, a task':>13} {'executors':>15}")
    with tempfile.TemporaryDirectory(prefix="aliecs-bench-") as folder:
        place = repository(Path(folder), options.sizes)
        hosts = [{"name": name, "cpus": 64, "memory": 65536} for name in HOSTS]
        with (
            mesos(Path(folder), mark) if options.mesos else nullcontext({}) as settings,
            running_core(
                Path(folder),
                mark,
                hosts,
                repositories=[str(place)],
                deployTimeout="300s",
                **settings,
            ) as (core, control),
        ):
            for size in options.sizes:
                measure(core, control, Path(folder), f"{place}/workflows/idle-{size}@main", size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
