"""The OCC protocol: how a task is controlled by the executor beside it.

For tasks written in Python, the face of this package is `Task` and `run` (see docs/tasks.md):

    from aliecs.occ import Task, run

    class Counter(Task):
        def start(self):
            print("run", self.run_number)

    run(Counter("counter"))

`aliecs.occ.client` is the other side. Nothing that a task imports needs a Twisted reactor.
"""

from aliecs.occ.process import run
from aliecs.occ.properties import Properties
from aliecs.occ.task import Task

__all__ = ["Properties", "Task", "run"]
