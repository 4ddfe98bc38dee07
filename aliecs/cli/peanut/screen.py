"""The full screen of `peanut`: what keys do, and what comes from the task.

The screen lives on one loop. Whatever waits for the task does so in a thread (one for the order
under way, one for the look at the state, one for the events); what comes back from a connection
that is no longer the present one is dropped.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from attrs import define
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from aliecs.cli.peanut.board import BAD, BETWEEN, GOOD, Board
from aliecs.cli.peanut.controls import keys, send
from aliecs.cli.peanut.dialog import LoadDialog, Loaded
from aliecs.cli.peanut.mode import Mode
from aliecs.cli.peanut.target import Target
from aliecs.cli.peanut.trouble import Trouble, trouble
from aliecs.errors import AliecsError
from aliecs.executor.transitioner import our_state
from aliecs.occ.blocking import BlockingOccClient
from aliecs.occ.call import OccError, TransitionResult, word
from aliecs.protocol.protos.occ_pb2 import DeviceEventType

LOOK_INTERVAL_S = 2.0


@define
class Reporter:
    """Takes the steps of an order from their thread to the screen."""

    client: BlockingOccClient
    screen: Peanut

    def begins(self, source: str, event: str, expected: str) -> None:
        """See `Witness`."""
        self.screen.later(self.client, lambda: self.screen.show_begun(event))

    def ends(self, source: str, event: str, result: TransitionResult) -> None:
        """See `Witness`."""
        self.screen.later(self.client, lambda: self.screen.show_ended(source, event, result))


class Peanut(App[None]):
    """The program. Quitting ends the connection and sends nothing."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "reconnect"),
        Binding("l", "load"),
        Binding("q", "quit"),
        Binding("ctrl+c", "quit"),
        Binding("ctrl+z", "suspend_process"),
    ]

    def __init__(
        self, address: str, mode: Mode, timeout_s: float, configuration: Mapping[str, str]
    ) -> None:
        super().__init__(ansi_color=True)
        self._address = address
        self._mode = mode
        self._timeout_s = timeout_s
        self._configuration = configuration
        self._path = ""
        self._pushed = False
        self._client = BlockingOccClient(address, mode.codec)
        self._connected = False
        self._order = ""
        self._asked_s: float | None = None
        # Counts what is known of the state, so that an older answer does not replace a newer one.
        self._known = 0
        for key, event in keys(mode).items():
            self.bind(key, f"send('{event}')", show=False)

    def compose(self) -> ComposeResult:
        """One board."""
        yield Board(f"peanut  {self._mode.value}  {self._address}", keys(self._mode))

    @property
    def board(self) -> Board:
        """What is shown, also below a dialog."""
        return self.screen_stack[0].query_one(Board)

    def on_mount(self) -> None:
        """Begin."""
        self._home = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._home.add_signal_handler(number, self._end, 128 + number)
        self.board.show_state("UNKNOWN")
        self._show_configuration()
        self.set_interval(LOOK_INTERVAL_S, self._tick)
        self._connect()

    def on_unmount(self) -> None:
        """Let go of the task."""
        self._client.close()

    def _end(self, status: int) -> None:
        self.exit(return_code=status)

    # What keys do.

    def action_reconnect(self) -> None:
        """Drop the connection, with whatever waits on it, and make a new one."""
        self._client.close()
        self._client = BlockingOccClient(self._address, self._mode.codec)
        self._order = ""
        self._asked_s = None
        # Whoever answers there now may be another process.
        self._pushed = False
        self._show_configuration()
        self._connect()

    def action_load(self) -> None:
        """Ask for a file."""
        self.push_screen(LoadDialog(self._path), self._take)

    def action_send(self, event: str) -> None:
        """Send an event, unless one is under way."""
        if self._connected and not self._order:
            self._order = event
            self.board.show_activity(event)
            self._send(event)

    @on(OptionList.OptionSelected)
    def choose(self, chosen: OptionList.OptionSelected) -> None:
        """Send the event of a line of the list."""
        if chosen.option_id is not None:
            self.action_send(chosen.option_id)

    def _take(self, loaded: Loaded | None) -> None:
        if loaded is None:
            return
        self._path = loaded.path
        self._configuration = loaded.properties
        self._pushed = False
        self._show_configuration()
        self.board.note(f"{len(loaded.properties)} properties from {loaded.path}")

    # What is asked of the task.

    @work
    async def _connect(self) -> None:
        client = self._client
        self._connected = False
        self.board.enable_controls(False)
        self.board.show_activity("")
        self.board.show_state("CONNECTING")
        try:
            answer = await asyncio.to_thread(client.get_state, self._timeout_s)
        except OccError as error:
            await self._lose(client, error)
            return
        if not self._is_present(client):
            return
        self._connected = True
        self.board.enable_controls(True)
        self.board.show_problem("")
        self.board.note(f"connected to {self._address}, in {answer.state}")
        self._show_state(answer.state)
        self._listen(client)

    @work
    async def _send(self, event: str) -> None:
        client = self._client
        target = Target(client, self._timeout_s, Reporter(client, self))
        configuration = self._configuration
        problem: AliecsError | None = None
        try:
            await asyncio.to_thread(send, target, self._mode, event, configuration)
        except AliecsError as error:
            problem = error
        if not self._is_present(client):
            return
        self._order = ""
        self.board.show_activity("")
        if problem is None:
            self._pushed = self._pushed or configuration is self._configuration
            self._show_configuration()
            self.board.show_problem("")
            return
        if isinstance(problem, OccError):
            lost = await asyncio.to_thread(trouble, problem, client)
            if not self._is_present(client):
                return
            problem = lost.error
            self.board.note(f"{event}: {problem.status}", BAD)
        text = str(problem)
        self.board.show_problem(text if text.startswith(event) else f"{event}: {text}")
        self._look()

    @work
    async def _look(self) -> None:
        """Ask for the state, unless that is being asked."""
        client, known = self._client, self._known
        if not self._connected or self._asked_s is not None:
            return
        self._asked_s = time.monotonic()
        try:
            answer = await asyncio.to_thread(client.get_state, self._timeout_s)
        except OccError as error:
            await self._lose(client, error)
            return
        if not self._is_present(client):
            return
        self._asked_s = None
        if not self._order:
            self.board.show_activity("")
        if known == self._known:
            self._show_state(answer.state)

    @work
    async def _listen(self, client: BlockingOccClient) -> None:
        def hear() -> None:
            for kind in client.events():
                self.later(client, partial(self._show_heard, word(DeviceEventType, kind)))

        try:
            await asyncio.to_thread(hear)
        except OccError as error:
            if error.status == "UNIMPLEMENTED" and self._is_present(client):
                self.board.note("the task tells no events", BETWEEN)
        # It ends with the task, or with the task's part in it: a look tells.
        if self._is_present(client):
            self._look()

    async def _lose(self, client: BlockingOccClient, error: OccError) -> None:
        lost: Trouble = await asyncio.to_thread(trouble, error, client)
        if not self._is_present(client):
            return
        self._connected = False
        self._asked_s = None
        self.board.enable_controls(False)
        self.board.show_activity("")
        self.board.show_state(lost.word)
        self.board.note(lost.word, BAD)
        self.board.show_problem(f"{lost.error} (n: reconnect)")

    # What comes back.

    def later(self, client: BlockingOccClient, show: Callable[[], None]) -> None:
        """Show what came in another thread, if its connection is still the present one."""

        def show_in_time() -> None:
            if self._is_present(client):
                show()

        self._home.call_soon_threadsafe(show_in_time)

    def show_begun(self, event: str) -> None:
        """Which step is under way."""
        self.board.show_activity(event)

    def show_ended(self, source: str, event: str, result: TransitionResult) -> None:
        """Where a step led."""
        self._show_state(result.state)
        text = f"{source} --{event}--> {result.state}"
        if result.ok:
            self.board.note(text, GOOD)
        else:
            self.board.note(f"{text}  {result.reason or 'not where it should lead'}", BAD)

    def _show_heard(self, kind: str) -> None:
        self.board.note(f"event {kind}", BETWEEN)
        # It may have changed its state by itself.
        self._look()

    def _is_present(self, client: BlockingOccClient) -> bool:
        return client is self._client and self.is_running

    def _tick(self) -> None:
        if self._order:
            return
        if self._asked_s is not None:
            late_s = time.monotonic() - self._asked_s
            self.board.show_activity(f"no answer for {late_s:.0f} s")
        else:
            self._look()

    def _show_state(self, state: str) -> None:
        self._known += 1
        ours = state
        if self._mode is Mode.FAIRMQ:
            # What has no name of ours is on the way out of STANDBY, or back.
            ours = our_state(state) or "STANDBY"
        self.board.show_state(ours, "" if ours == state else state)

    def _show_configuration(self) -> None:
        word = "PUSHED" if self._pushed else "NOT PUSHED"
        self.board.show_configuration(
            self._configuration, word if self._configuration else "EMPTY"
        )


def show(address: str, mode: Mode, timeout_s: float, configuration: Mapping[str, str]) -> int:
    """Open the screen and wait until it is left; gives the exit status."""
    screen = Peanut(address, mode, timeout_s, configuration)
    screen.run()
    return screen.return_code or 0
