"""Messages that come twice or not at all: what an executor does about them, with real tasks."""

from __future__ import annotations

from aliecs.protocol.combined import combine_commands
from aliecs.protocol.message import (
    AnnounceTaskPid,
    AskAgainCommand,
    BasicTaskTerminated,
    Command,
    CommandResponse,
    ControlMode,
    TransitionCommand,
    TriggerHookCommand,
    target,
)
from test.executor import test_executor
from test.executor.test_executor import ENVIRONMENT
from test.executor.watching import wait_until


class RepetitionTest(test_executor.ExecutorTest):
    """One command may be heard of more than once."""

    def order(self, kind: type[Command], command_id: str, task_id: str, **content: object) -> None:
        command = kind(
            id=command_id,
            environment_id=ENVIRONMENT,
            targets=(target("agent", "executor", task_id),),
            **content,  # type: ignore[arg-type]
        )
        # As a core of ours does, which is told more than the reference's.
        self.message(combine_commands([command.encode()]))

    def configure(self, task_id: str, timeout_s: int = 5, **arguments: str) -> None:
        self.order(
            TransitionCommand, "the order", task_id, source="STANDBY", event="CONFIGURE",
            destination="CONFIGURED", arguments=arguments, timeout_ns=timeout_s * 1_000_000_000,
        )  # fmt: skip

    def answers(self, name: str, task_id: str) -> list[CommandResponse]:
        return [
            one
            for one in self.messages()
            if isinstance(one, CommandResponse) and (one.name, one.task_id) == (name, task_id)
        ]

    def ends(self) -> list[BasicTaskTerminated]:
        return [one for one in self.messages() if isinstance(one, BasicTaskTerminated)]

    async def test_a_transition_that_comes_twice_is_made_once(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        pid = (await self.heard(AnnounceTaskPid, task_id="task")).pid
        self.configure("task")
        self.configure("task")
        answer = await self.heard(CommandResponse, id="the order")
        assert (answer.error, answer.state, answer.pid) == ("", "CONFIGURED", pid)
        # The second one would have failed by now: the task is not in STANDBY any more.
        self.configure("task")
        response = await self.move("task", "CONFIGURED", "RESET", "STANDBY")
        assert response.state == "STANDBY"
        assert len(self.answers("MesosCommand_Transition", "task")) == 2

    async def test_an_answer_is_given_again(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        self.configure("task")
        first = await self.heard(CommandResponse, id="the order")
        self.order(AskAgainCommand, "the order", "task")
        name = "MesosCommand_Transition"
        await wait_until(lambda: len(self.answers(name, "task")) == 2)
        assert self.answers(name, "task") == [first, first]

    async def test_what_is_under_way_and_what_never_came(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        self.configure("task", timeout_s=2, hang="1")
        self.order(AskAgainCommand, "the order", "task")
        self.order(AskAgainCommand, "another order", "task")
        answer = await self.heard(CommandResponse, id="another order")
        assert answer.output == AskAgainCommand.UNKNOWN
        (answer,) = [
            one for one in self.answers("AliecsCommand_Again", "task") if one.id == "the order"
        ]
        assert answer.output == AskAgainCommand.UNDER_WAY

    async def test_the_end_of_a_hook_is_told_again(self) -> None:
        self.launch_command("hook", "echo done", ControlMode.HOOK, stdout="all")
        await self.reached("hook", "TASK_RUNNING")
        self.order(TriggerHookCommand, "the order", "hook")
        self.order(TriggerHookCommand, "the order", "hook")
        first = await self.heard(BasicTaskTerminated)
        self.order(AskAgainCommand, "the order", "hook")
        await wait_until(lambda: len(self.ends()) == 2)
        assert self.ends() == [first, first]
        assert len(self.answers("MesosCommand_TriggerHook", "hook")) == 2
