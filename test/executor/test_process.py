"""Processes through a real launcher: what starts, how it ends, and that nothing is left."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest

from aliecs.errors import AliecsError, Unavailable
from aliecs.executor.command import find_account
from aliecs.executor.output import LogFolder
from aliecs.executor.process import Account, LaunchRefused, Process, Processes, ProcessRequest
from test.executor.watching import MARK, ProcessTestCase, alive, read_pid, wait_until

NOBODY = "nobody"


class LauncherTest(ProcessTestCase):
    """A launcher of each test, and processes started by it."""

    async def setUp(self) -> None:
        await super().setUp()
        self.logs = LogFolder(self.directory / "tasks", 1_000_000, 10_000_000)
        self.processes = Processes(reactor)
        self.processes.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.processes.stop()))

    def launch(
        self,
        *arguments: str,
        mark: str = "task",
        account: Account | None = None,
        **environment: str,
    ) -> Deferred[Process]:
        request = ProcessRequest(
            arguments=arguments,
            environment={"PATH": os.environ["PATH"], MARK: self.mark, **environment},
            directory=self.directory,
            mark=mark,
            account=account,
        )
        return self.processes.launch(request, self.logs.captures(mark, 1000))

    def shell(self, line: str, **more: Any) -> Deferred[Process]:
        return self.launch("/bin/sh", "-c", line, **more)

    async def test_a_process_says_its_piece_and_ends(self) -> None:
        process = await self.shell("echo out; echo err >&2; exit 3")
        end = await process.ended.wait()
        assert (end.exit_code, str(end)) == (3, "exit code 3")
        assert process.captures.stdout.text() == "out\n"
        assert process.captures.stderr.text() == "err\n"
        assert process.captures.stderr.last_line() == "err"

        assert (self.directory / "tasks/task/stdout").read_text() == "out\n"

    async def test_a_process_has_a_session_its_environment_and_no_input(self) -> None:
        process = await self.shell('echo $$ $(ps -o sid= -p $$) "$SETTING" $(wc -c)', SETTING="a b")
        await process.ended.wait()
        pid, session, first, second, read = process.captures.stdout.text().split()
        assert int(pid) == int(session) == process.pid
        assert (first, second, read) == ("a", "b", "0")

    async def test_what_cannot_be_executed_is_refused(self) -> None:
        (self.directory / "plain").write_text("no program")
        plain = str(self.directory / "plain")
        for arguments, reason in (
            (
                ("no-such-program-anywhere",),
                "cannot execute no-such-program-anywhere: No such file",
            ),
            ((plain,), f"cannot execute {plain}: Permission denied"),
            (("/bin/true", "a\0b"), "cannot execute /bin/true: embedded null byte"),
        ):
            with pytest.raises(LaunchRefused, match=reason):
                await self.launch(*arguments)

    async def test_a_program_is_found_in_the_path_of_task_or_executor(self) -> None:
        for folder, text in (("task", "of the task"), ("executor", "of the executor")):
            (self.directory / folder).mkdir()
            for name in ("both", folder):
                program = self.directory / folder / name
                program.write_text(f"#!/bin/sh\necho {text}, $PATH\n")
                program.chmod(0o755)
        path = str(self.directory / "task")
        for name, text in (("both", "task"), ("task", "task"), ("executor", "executor")):
            request = ProcessRequest(
                (name,), {"PATH": path, MARK: self.mark}, self.directory, "task",
                path=f"/nowhere:{self.directory / 'executor'}",
            )  # fmt: skip
            captures = self.logs.captures("task", 1000)
            process = await self.processes.launch(request, captures)
            await process.ended.wait()
            assert process.captures.stdout.text() == f"of the {text}, {path}\n"

    async def test_a_missing_directory_is_named(self) -> None:
        self.directory = self.directory / "missing"
        with pytest.raises(LaunchRefused, match=r"cannot enter .*missing: No such file"):
            await self.launch("/bin/true")

    async def test_a_signal_goes_to_the_group(self) -> None:
        process = await self.shell("sleep 100 & sleep 100; true")
        process.signal(signal.SIGTERM)
        assert str(await process.ended.wait()) == "killed by SIGTERM"

    async def test_a_foreign_pid_is_never_signalled(self) -> None:
        bystander = await self.shell("sleep 100", mark="bystander")
        process = await self.shell("sleep 100")
        process.signal(signal.SIGKILL, bystander.pid)
        assert str(await process.ended.wait()) == "killed by SIGKILL"
        assert alive(bystander.pid)

    async def test_the_end_of_a_process_takes_its_group_along(self) -> None:
        process = await self.shell(f"sleep 100 & echo $! > {self.directory}/pid; exit 0")
        end = await process.ended.wait()
        assert end.exit_code == 0
        await wait_until(lambda: not alive(read_pid(self.directory / "pid")))

    async def test_the_end_of_a_process_takes_daemons_along_in_their_own_sessions(self) -> None:
        line = (
            "setsid sh -c 'setsid sleep 100 & echo $! > {0}/inner; sleep 100' & echo $! > {0}/outer"
        )

        pids = [self.directory / "outer", self.directory / "inner"]
        process = await self.shell(line.format(self.directory) + "; read never; sleep 0.3")
        await wait_until(lambda: all(read_pid(path) for path in pids))
        await process.ended.wait()
        await wait_until(lambda: not any(alive(read_pid(path)) for path in pids))

    async def test_a_daemon_of_a_living_task_is_left_alone(self) -> None:
        pid = self.directory / "pid"
        task = await self.shell(f"(setsid sleep 100 & echo $! > {pid}); sleep 100", mark="one")
        await wait_until(lambda: read_pid(pid) > 0)
        other = await self.shell("exit 0", mark="two")
        await other.ended.wait()
        assert alive(read_pid(pid))
        task.signal(signal.SIGKILL)
        await task.ended.wait()
        await wait_until(lambda: not alive(read_pid(pid)))

    async def test_zombies_of_others_are_buried(self) -> None:
        """A task that does not wait for its children, and whose orphans end one after the other."""

        process = await self.shell("for i in 1 2 3; do (sleep 0.05 &) ; done; exec sleep 0.5")
        await process.ended.wait()
        launcher = self.processes.launcher_pid
        await wait_until(
            lambda: Path(f"/proc/{launcher}/task/{launcher}/children").read_text() == ""
        )

    async def test_an_output_held_open_does_not_hold_back_the_end(self) -> None:
        """A descendant that hides from us keeps the pipe; the end is told nevertheless."""

        holder = f"setsid env -i sleep 4 & echo $! > {self.directory}/pid; sleep 0.2"
        process = await self.shell(holder)
        started = time.monotonic()
        await process.ended.wait()
        assert time.monotonic() - started < 3.5

    async def test_a_flood_is_read_and_bounded(self) -> None:
        process = await self.shell("yes | head -c 20000000; echo done")
        end = await process.ended.wait()
        assert end.exit_code == 0
        text = process.captures.stdout.text()
        assert text.startswith("[") and text.endswith("y\ndone\n")
        assert len(text) < 1100
        files = list((self.directory / "tasks" / "task").iterdir())
        assert {path.name for path in files} == {"stdout", "stdout.older"}
        assert sum(path.stat().st_size for path in files) <= 1_000_000

    async def test_many_at_once(self) -> None:
        starting = [self.shell(f"exit {number}", mark=str(number)) for number in range(60)]
        ends = []
        for process in starting:
            ends.append((await (await process).ended.wait()).exit_code)
        assert ends == list(range(60))

    async def test_a_launch_that_is_cancelled_leaves_nothing(self) -> None:
        starting = self.shell("exec sleep 100")
        starting.addErrback(lambda failure: None)
        starting.cancel()
        await starting
        launcher = self.processes.launcher_pid
        children = Path(f"/proc/{launcher}/task/{launcher}/children")
        probe = await self.shell("exit 0")
        await probe.ended.wait()
        await wait_until(lambda: children.read_text() == "")

    async def test_the_death_of_the_launcher_is_told_and_another_one_starts(self) -> None:
        process = await self.shell("sleep 100 & sleep 100")
        first = self.processes.launcher_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        end = await process.ended.wait()
        assert end.exit_code == -1
        assert "launcher of this host ended (killed by SIGKILL)" in str(end)
        with pytest.raises(Unavailable, match="being restarted"):
            await self.shell("true")
        await wait_until(lambda: self.processes.launcher_pid is not None)
        again = await self.shell("exit 7")
        assert (await again.ended.wait()).exit_code == 7

    async def test_the_launcher_starts_in_milliseconds(self) -> None:
        """Guard against somebody importing the world there; the time itself is not judged."""
        launcher = self.processes.launcher_pid

        process = await self.shell("exit 0")
        await process.ended.wait()

        maps = Path(f"/proc/{launcher}/maps").read_text()
        assert "grpc" not in maps and "twisted" not in maps
        assert len(list(Path(f"/proc/{launcher}/task").iterdir())) == 1

    async def test_a_process_runs_as_another_user_or_is_told_why_not(self) -> None:
        """As root the switch is made, with the groups of the account; otherwise it is refused."""

        self.directory.chmod(0o755)
        self.directory = Path("/")
        try:
            account = find_account(NOBODY)
        except AliecsError as error:
            assert os.geteuid() != 0
            assert "only root may switch" in error.message
            return
        assert account is not None
        process = await self.shell("id -u; id -g; kill -0 1 || echo harmless", account=account)
        await process.ended.wait()
        user, group, verdict = process.captures.stdout.text().split()
        assert (int(user), int(group)) == (account.user_id, account.group_id)
        assert verdict == "harmless"

    async def test_a_process_has_the_groups_of_its_account_and_no_others(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root may switch")
        self.directory = Path("/")
        entry = pwd.getpwnam(NOBODY)
        for groups in ((entry.pw_gid, 12, 3456), ()):
            account = Account(NOBODY, entry.pw_uid, entry.pw_gid, groups)
            process = await self.shell("grep ^Groups: /proc/self/status", account=account)
            await process.ended.wait()
            told = process.captures.stdout.text().split()[1:]
            assert {int(one) for one in told} == set(groups)

    async def test_a_process_may_lock_as_much_memory_as_anybody_may(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_MEMLOCK, (soft, hard))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, hard))
        await self.processes.stop()
        self.processes = Processes(reactor, open_files=123)
        self.processes.start()
        process = await self.shell("ulimit -Sl; ulimit -Hl; ulimit -Sn")
        await process.ended.wait()
        lockable, at_most, files = process.captures.stdout.text().split()
        assert lockable == at_most
        assert lockable == "unlimited" or int(lockable) * 1024 == hard
        assert files == "123"

    async def test_another_users_process_dies_with_the_launcher(self) -> None:
        """The parent-death signal is set after the user was switched, which would clear it."""

        account = find_account(NOBODY) if os.geteuid() == 0 else None
        self.directory = Path("/")
        process = await self.launch("sleep", "100", account=account)
        launcher = self.processes.launcher_pid
        assert launcher is not None
        os.kill(launcher, signal.SIGKILL)
        await process.ended.wait()
        await wait_until(lambda: not alive(process.pid))


def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(LaunchRefused, match=r"cannot run as 'no-such-person': .*no such user"):
        find_account("no-such-person")


def test_the_groups_of_an_account_come_from_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgrouplist", lambda user, group: [group, 12, 34])
    entry = pwd.getpwnam(NOBODY)
    assert find_account(NOBODY) == Account(
        NOBODY, entry.pw_uid, entry.pw_gid, (entry.pw_gid, 12, 34)
    )


def test_nothing_is_switched_for_nobody_in_particular_and_for_oneself() -> None:
    assert find_account("") is None
    assert find_account(pwd.getpwuid(os.geteuid()).pw_name) is None


def test_only_root_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
    with pytest.raises(LaunchRefused, match="the executor runs as 'daemon', and only root"):
        find_account(NOBODY)
