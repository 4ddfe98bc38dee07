"""What a task written in Python looks like to its author: a class with a method for each moment.

Override what you need. A plain method runs in a thread that belongs to the task's callbacks, an
`async def` on the task's asyncio loop; either way one callback runs at a time, so they need no
locks among themselves. A callback that raises takes the task to ERROR, and what it raised is the
cause that people read.
"""

from __future__ import annotations

from typing import Protocol

from aliecs.occ.properties import Properties


class Controller(Protocol):
    """What a task may ask of the machine that drives it, from any thread; but for `terminate`."""

    def end_of_stream(self) -> None:
        """See `Task.end_of_stream`."""

    def fail(self, reason: str) -> None:
        """See `Task.fail`."""

    async def terminate(self) -> None:
        """Run `exit` in whatever state, and end."""


class Task:
    """A process that can be controlled.

    `name` is for people. While it runs: `state` is the present state, `role` the role that this
    process has been given, `run_number` the number of the present or last run (0 before the first),
    `properties` what CONFIGURE brought, `arguments` what the transition under way brought.
    """

    check_interval_s = 0.1
    """How often `iterate_check` is called."""

    own_configuration: Properties | None = None
    """Set it, and `configure` gets this instead of what CONFIGURE brought."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.role = ""
        self.state = "UNDEFINED"
        self.run_number = 0
        self.properties = Properties()
        self.arguments = Properties()
        self.controller: Controller | None = None

    # Each of the following may be a coroutine as well.

    def configure(self, properties: Properties) -> object:
        """STANDBY to CONFIGURED: take what can be taken before a run."""

    def reset(self) -> object:
        """CONFIGURED to STANDBY: let go of it."""

    def start(self) -> object:
        """CONFIGURED to RUNNING: a run begins, `run_number` is its number."""

    def stop(self) -> object:
        """RUNNING or PAUSED to CONFIGURED: the run ends. Return when its data is through."""

    def pause(self) -> object:
        """RUNNING to PAUSED."""

    def resume(self) -> object:
        """PAUSED to RUNNING."""

    def recover(self) -> object:
        """ERROR to STANDBY: clean up whatever failed."""

    def exit(self) -> object:
        """STANDBY, CONFIGURED or ERROR to DONE: the process ends after this."""

    def iterate_running(self) -> object:
        """Called again and again while RUNNING. Give True to be called again, False when there is
        no more data in this run: that is told, once, and the next run begins anew. Transitions wait
        for it, so return within a tenth of a second or so."""
        return False

    def iterate_check(self) -> object:
        """Called every `check_interval_s` in every state but ERROR; raise where something is
        wrong."""

    # What a task may do by itself, from any thread.

    def end_of_stream(self) -> None:
        """Tell that there is no more data in this run."""
        if self.controller is not None:
            self.controller.end_of_stream()

    def fail(self, reason: str) -> None:
        """Go to ERROR, and tell why: for faults that show outside of the callbacks."""
        if self.controller is not None:
            self.controller.fail(reason)
