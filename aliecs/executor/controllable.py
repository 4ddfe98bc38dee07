"""Tasks that are driven over OCC from their start to their end: the modes direct and fairmq.

The process starts at launch; the task runs, for the core, once it is in STANDBY. It is moved by
transitions, forwards its events, and its end is the end of the task. A kill tries the way through
the states first, then signals.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger

from aliecs.errors import AliecsError, DeadlineExceeded, TransitionFailed
from aliecs.executor.command import codec_of
from aliecs.executor.process import Process, ProcessEnd
from aliecs.executor.task import Surroundings, Task
from aliecs.executor.transitioner import (
    Outcome,
    StepResult,
    Transition,
    Transitioner,
    direct,
    fairmq,
    our_state,
)
from aliecs.executor.waiting import pause
from aliecs.interfaces import MesosState
from aliecs.occ.client import Events, OccClient, OccError, TransitionResult
from aliecs.protocol import mesos_pb2
from aliecs.protocol.message import (
    AnnounceTaskPid,
    CommandPayload,
    CommandResponse,
    ControlMode,
    DeviceEvent,
    DeviceEventType,
    TransitionCommand,
    origin,
    timestamp,
)
from aliecs.protocol.protos.occ_pb2 import StateChangeTrigger

MAXIMUM_STREAM_FAILURES = 5
AFTERMATH_S = 1.0
"""How long to look for what became of a task after a step that was not answered."""

_WAY_TO_DONE = {
    "RUNNING": ("STOP", "CONFIGURED"),
    "CONFIGURED": ("RESET", "STANDBY"),
    "STANDBY": ("EXIT", "DONE"),
    "ERROR": ("EXIT", "DONE"),
}

_FORWARDED = frozenset(
    {
        DeviceEventType.END_OF_STREAM,
        DeviceEventType.BASIC_TASK_TERMINATED,
        DeviceEventType.TASK_INTERNAL_ERROR,
    }
)
_TRIGGER_NAMES = {number: name for name, number in StateChangeTrigger.items()}

log = Logger()


class ControllableTask(Task):
    """A process with an OCC control port."""

    client: OccClient | None = None
    """The connection to the task, once it is in STANDBY and until it ends."""
    _starting: Deferred[None] | None = None
    _killing = False
    _reached_done = False
    _signalled = False
    _is_unanswered = False
    """The last step was not answered in time."""
    _following: Deferred[None] | None = None
    """The look at a task that did not answer in time."""
    _task_pid = 0
    """The process id that the task itself tells: behind a shell it is not the one we started."""

    def __init__(
        self, info: mesos_pb2.TaskInfo, payload: CommandPayload, surroundings: Surroundings
    ) -> None:
        super().__init__(info, payload, surroundings)
        self._moving = DeferredLock()
        is_fairmq = payload.control_mode is ControlMode.FAIRMQ
        self._transitioner: Transitioner = fairmq if is_fairmq else direct

    @property
    def pid(self) -> int:
        return self._task_pid or (self.process.pid if self.process is not None else 0)

    def launch(self) -> None:
        self.run(self._live(), "the launch")

    # --- from the launch to the end --------------------------------------------------------------

    async def _live(self) -> None:
        self._starting = Deferred.fromCoroutine(self._start())
        trouble = ""
        try:
            await self._starting
        except CancelledError:
            trouble = "it was killed" if self._killing else "it ended before it was in STANDBY"
        except AliecsError as error:
            trouble = error.message
        self._starting = None
        if self.process is None:
            state = MesosState.TASK_KILLED if self._killing else MesosState.TASK_FAILED
            self.report(state, trouble)
            return
        if trouble and not self._killing and not self.process.ended.happened:
            self.run(self._signal_to_end(self.process), "the clean-up")
        end = await self.process.ended.wait()
        self._look_no_more()
        # First of all: a transition that waits for the same end answers after this.
        self._report_end(end, trouble)
        if self.client is not None:
            await self.client.close()
            self.client = None

    def _report_end(self, end: ProcessEnd, trouble: str) -> None:
        if self._killing:
            in_order = self._reached_done or (end.exit_code == 0 and not self._signalled)
            state = MesosState.TASK_FINISHED if in_order else MesosState.TASK_KILLED
            self.report(state, str(end))
        elif trouble:
            self.report(MesosState.TASK_FAILED, self.explain(f"{trouble} ({end})"))
        elif end.exit_code == 0:
            self.report(MesosState.TASK_FINISHED, str(end))
        else:
            self.report(MesosState.TASK_FAILED, self.explain(str(end)))

    async def _start(self) -> None:
        """From nothing to STANDBY. Cancelled by a kill, and by the end of the process."""
        process, request = await self.start_process()
        process.ended.wait().addCallback(self._ended_while_starting)
        client = self.surroundings.connect(self.payload.control_port, codec_of(request))
        try:
            await self._reach_standby(client)
            events = await self._open_events(client)
        except Exception:
            await client.close()
            raise
        self.client = client
        self.report(MesosState.TASK_RUNNING)
        self.surroundings.send(
            AnnounceTaskPid(
                timestamp=timestamp(),
                labels=self._labels(),
                task_id=self.task_id,
                pid=self.pid,
            )
        )
        self.run(self._forward_events(client, events), "the event stream")

    def _ended_while_starting(self, end: ProcessEnd) -> None:
        if self._starting is not None:
            self._starting.cancel()

    async def _reach_standby(self, client: OccClient) -> None:
        times = self.surroundings.times
        clock = self.surroundings.clock
        try:
            await client.connect(times.connect_s)
        except OccError as error:
            raise DeadlineExceeded(
                f"it took too long: nobody answers on control port {self.payload.control_port}"
                f" after {times.connect_s:g} s ({error.message})"
            ) from None
        deadline = clock.seconds() + times.standby_s
        state = "unknown"
        while True:
            try:
                reply = await client.get_state(times.get_state_s)
                self._task_pid = reply.pid or self._task_pid
                state = self._our_state(reply.state)
            except OccError as error:
                log.debug("task {task} does not tell its state: {error}",
                          task=self.task_id, error=error.message)  # fmt: skip
            if state == "STANDBY":
                return
            if state in ("DONE", "ERROR"):
                raise TransitionFailed(f"it came up in {state} instead of STANDBY")
            if clock.seconds() >= deadline:
                raise DeadlineExceeded(
                    f"it was not in STANDBY {times.standby_s:g} s after it came up, but in"
                    f" {state or reply.state}"
                )
            await pause(clock, times.poll_s)

    async def _open_events(self, client: OccClient) -> Events:
        """The event stream, opened before the task may be moved, so that nothing that it says from
        its first transition on is missed. What is wrong with the stream is found by its reader."""
        events = client.events()
        try:
            await events.connected(self.surroundings.times.events_s)
        except OccError as error:
            log.debug("task {task} does not open its event stream: {error}",
                      task=self.task_id, error=error.message)  # fmt: skip
        return events

    async def _forward_events(self, client: OccClient, events: Events) -> None:
        """Pass on what the task says by itself, until it says that it ends, or ends."""
        failures = 0
        while failures < MAXIMUM_STREAM_FAILURES and self.client is client:
            try:
                async for kind in events:
                    failures = 0
                    if kind not in _FORWARDED:
                        return
                    self._send_event(kind)
                return
            except OccError as error:
                if error.status in ("UNAVAILABLE", "CANCELLED", "UNIMPLEMENTED"):
                    return
                failures += 1
                log.warn("the events of task {task} broke off: {error}",
                         task=self.task_id, error=error.message)  # fmt: skip
                await pause(self.surroundings.clock, self.surroundings.times.event_retry_s)
                events = client.events()

    def _send_event(self, kind: int) -> None:
        info = self.info
        self.surroundings.send(
            DeviceEvent(
                timestamp=timestamp(),
                labels=self._labels(),
                type=int(kind),
                origin=origin(info.agent_id.value, info.executor.executor_id.value, self.task_id),
            )
        )

    def _labels(self) -> dict[str, str]:
        return {"detector": self.detector, "environmentId": self.environment_id}

    def _our_state(self, state: str) -> str:
        return our_state(state) if self._transitioner is fairmq else state

    # --- transitions -----------------------------------------------------------------------------

    async def transition(self, command: TransitionCommand) -> Outcome:
        if self.client is None:
            return Outcome(command.source, f"task {self.task_id} has no control connection")
        order = Transition(
            command.source, command.event, command.destination, command.arguments or {}
        )
        deadline_s = command.timeout_s or self.surroundings.times.command_s
        async with self._moving:
            self._look_no_more()
            outcome = await self._move(self.client, order, deadline_s)
            lives = self.process is not None and not self.process.ended.happened
            if outcome.error and self._is_unanswered and lives and not self._killing:
                following = self._follow(self.client, command, outcome)
                self._following = self.run(following, "the late answer")
            return outcome

    def _look_no_more(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()

    async def _follow(
        self, client: OccClient, command: TransitionCommand, outcome: Outcome
    ) -> None:
        """A step was not answered in time: tell where the task has come to, when it says so, unless
        it is moved again before."""
        clock, times = self.surroundings.clock, self.surroundings.times
        deadline = clock.seconds() + times.late_s
        told = outcome.state
        while told != command.destination and clock.seconds() < deadline:
            try:
                await pause(clock, times.late_poll_s)
                state = self._our_state((await client.get_state(times.get_state_s)).state)
            except CancelledError:
                return
            except OccError:
                continue
            if state and state != told:
                told = state
                error = f"{command.event} was not answered in time, the task is in {state} now"
                log.info("task {task}: {error}", task=self.task_id, error=error)
                self.surroundings.send(
                    CommandResponse(
                        name=command.name,
                        id=command.id,
                        environment_id=command.environment_id,
                        error=error,
                        task_id=self.task_id,
                        state=state,
                    )
                )

    async def _move(self, client: OccClient, order: Transition, deadline_s: float) -> Outcome:
        clock = self.surroundings.clock
        deadline = clock.seconds() + deadline_s
        self._is_unanswered = False

        async def step(
            source: str, event: str, destination: str, arguments: Mapping[str, str]
        ) -> StepResult:
            left_s = max(0.001, deadline - clock.seconds())
            try:
                result = await client.transition(source, event, arguments, left_s)
            except OccError as error:
                return await self._unanswered(client, event, error)
            return StepResult(result.state, self._complaint(result, event, destination))

        return await self._transitioner(step, order)

    def _complaint(self, result: TransitionResult, event: str, destination: str) -> str:
        """Why a step does not count as done, empty where it does."""
        good = (
            result.ok
            and result.trigger == StateChangeTrigger.EXECUTOR
            and result.event == event
            and result.state == destination
        )
        if good:
            return ""
        trigger = _TRIGGER_NAMES.get(result.trigger, str(result.trigger))
        reason = f": {result.reason}" if result.reason else ""
        return (
            f"{event} led task {self.task_id} to {result.state or 'an unknown state'} instead of"
            f" {destination} (ok {result.ok}, trigger {trigger}, event {result.event}){reason}"
        )

    async def _unanswered(self, client: OccClient, event: str, error: OccError) -> StepResult:
        """What became of a step that failed as a call: most often the process has ended, which says
        more than the broken connection does."""
        assert self.process is not None
        ended = self.process.ended
        broken = error.status in ("UNAVAILABLE", "CANCELLED")
        if broken and await ended.within(AFTERMATH_S, self.surroundings.clock):
            return StepResult("", f"{event}: " + self.explain(f"the process ended ({ended.value})"))
        self._is_unanswered = not broken
        try:
            state = (await client.get_state(AFTERMATH_S)).state
        except OccError:
            state = ""
        return StepResult(state, f"{event}: {error}")

    # --- the end ---------------------------------------------------------------------------------

    def kill(self) -> None:
        if self._killing:
            return
        self._killing = True
        self._look_no_more()
        if self._starting is not None:
            self._starting.cancel()
            if self.process is not None:
                self.run(self._signal_to_end(self.process), "the kill")
        elif self.process is not None and self.client is not None:
            self.run(self._end_in_order(self.process, self.client), "the kill")

    async def _end_in_order(self, process: Process, client: OccClient) -> None:
        """Through the states to DONE, and what remains by signals."""
        times = self.surroundings.times
        if await self._reach_done(client):
            self._reached_done = True
            if await process.ended.within(times.kill_done_s, self.surroundings.clock):
                return
        await self._signal_to_end(process)

    async def _reach_done(self, client: OccClient) -> bool:
        times = self.surroundings.times
        try:
            reply = await client.get_state(times.get_state_s)
        except OccError:
            return False
        self._task_pid = reply.pid or self._task_pid
        state = self._our_state(reply.state)
        while state in _WAY_TO_DONE:
            event, destination = _WAY_TO_DONE[state]
            outcome = await self._move(
                client, Transition(state, event, destination), times.kill_transition_s
            )
            if outcome.error:
                log.info("task {task} cannot be ended in order: {error}",
                         task=self.task_id, error=outcome.error)  # fmt: skip
                return False
            state = outcome.state
        return state == "DONE"

    async def _signal_to_end(self, process: Process) -> None:
        """SIGTERM, then SIGINT (a FairMQ device that waits for its graceful end aborts on it), then
        SIGKILL to all of the group."""
        times = self.surroundings.times
        clock = self.surroundings.clock
        self._signalled = True
        process.signal(signal.SIGTERM, self._task_pid)
        # One that was stopped hears of it only when it goes on.
        process.signal(signal.SIGCONT)
        if await process.ended.within(times.kill_terminate_s, clock):
            return
        process.signal(signal.SIGINT, self._task_pid)
        if await process.ended.within(times.kill_interrupt_s, clock):
            return
        process.signal(signal.SIGKILL)
