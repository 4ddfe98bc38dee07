"""`coconut` against a server that speaks the real wire."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aliecs.cli.coconut import main
from aliecs.cli.session import user_name
from aliecs.cli.timeline import bar
from aliecs.cli.watching import news
from aliecs.errors import AliecsError, Conflict, NotFound
from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.protocol.protos import events_pb2
from aliecs.protocol.protos import o2control_pb2 as o2
from aliecs.txgrpc.route import ServerCall
from test.cli.core import (
    ENVIRONMENT,
    Extended,
    StreamingControl,
    environment,
    make_server,
    run_events,
)


@frozen
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


class CoconutTestCase(TestCase):
    timeout = 60

    def setUp(self) -> Deferred[Any]:
        self.control = StreamingControl()
        self.extended: Extended | None = Extended()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        patched = mock.patch.dict(os.environ, {"HOME": folder.name, "TZ": "UTC"})
        patched.start()
        self.addCleanup(patched.stop)
        for name in ("ENDPOINT", "CONFIG_ENDPOINT", "VERBOSE", "NOSPINNER", "NOCOLOR", "TIMEOUT"):
            os.environ.pop(name, None)
        return self.serve()

    def serve(self) -> Deferred[Any]:
        self.server = make_server(self.control, self.extended)
        self.addCleanup(self.server.stop)
        return self.server.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    async def run_(self, *arguments: str, endpoint: bool = True) -> Done:
        """Run a command in a thread, as its process would."""
        given = [*arguments, *(("--endpoint", self.endpoint) if endpoint else ())]
        out, err = io.StringIO(), io.StringIO()

        def run() -> int:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                return main(given)

        code = await deferToThread(run)
        return Done(code, out.getvalue(), err.getvalue())

    async def good(self, *arguments: str) -> str:
        """What a command that works writes."""
        done = await self.run_(*arguments)
        self.assertEqual(done.code, 0, done.err)
        return done.out

    async def bad(self, *arguments: str) -> str:
        """What a command that does not work says."""
        done = await self.run_(*arguments)
        self.assertEqual((done.code, done.out), (1, ""))
        return done.err


class EnvironmentTests(CoconutTestCase):
    async def test_list(self) -> None:
        out = await self.good("environment", "list")
        head, rule, row = (line.rstrip() for line in out.splitlines())
        self.assertEqual(
            [cell.strip() for cell in head.split("|")],
            ["ID", "WORKFLOW TEMPLATE", "CREATED", "STATE"],
        )
        self.assertRegex(rule, r"^-+\+-+\+-+\+-+$")
        self.assertEqual(
            [cell.strip() for cell in row.split("|")],
            [ENVIRONMENT, "demo", "2025-01-01 00:00:00 UTC", "CONFIGURED"],
        )
        self.assertFalse(self.control.last("GetEnvironments").showAll)
        for alias in (("env", "ls"), ("e", "l")):
            self.assertEqual(await self.good(*alias, "-s"), out)
            self.assertTrue(self.control.last("GetEnvironments").showAll)

    async def test_an_empty_list(self) -> None:
        self.control.replies["GetEnvironments"] = o2.GetEnvironmentsReply()
        self.assertEqual(await self.good("e", "l"), "no environments running\n")

    async def test_show(self) -> None:
        out = await self.good("env", "show", ENVIRONMENT)
        lines = out.splitlines()
        self.assertIn(f"environment id:     {ENVIRONMENT}", lines)
        self.assertIn("state:              CONFIGURED", lines)
        self.assertIn("run number:         none", lines)
        self.assertIn("number of FLPs:     none", lines)
        self.assertEqual(
            lines[-3:], ["user-provided variables:", "\tempty: <empty>", '\thosts: ["flp001"]']
        )
        self.assertNotIn("transition:", out)
        self.assertTrue(self.control.last("GetEnvironment").showWorkflowTree)

    async def test_show_with_everything(self) -> None:
        info = environment(
            "RUNNING",
            currentRunNumber=7,
            currentTransition="STOP_ACTIVITY",
            integratedServicesData={"dcs": '{"a": [1]}'},
        )
        reply = o2.GetEnvironmentReply(
            environment=info,
            workflow=o2.RoleInfo(
                name="demo",
                state="RUNNING",
                roles=[o2.RoleInfo(name="readout", state="ERROR", taskIds=["2rvUhqKJDE6"])],
            ),
        )
        self.control.replies["GetEnvironment"] = reply
        out = await self.good("e", "g", "-t", "-w", "-s", ENVIRONMENT)
        self.assertIn("transition:              STOP_ACTIVITY\n", out)
        self.assertIn("run number:         7\n", out)
        self.assertIn("TASK ID (1)", out)
        self.assertIn("[ERROR]  readout --> task 2rvUhqKJDE6\n", out)
        self.assertIn("dcs:\n  a:\n  - 1\n", out)
        row = next(line for line in out.splitlines() if "tasks/readout" in line)
        self.assertIn("flp001", row)
        self.assertIn("YES", row)

    async def test_an_environment_in_error_tells_its_cause_in_one_line(self) -> None:
        self.control.replies["GetEnvironment"] = o2.GetEnvironmentReply(
            environment=environment("ERROR")
        )
        lines = (await self.good("e", "show", ENVIRONMENT)).splitlines()
        (cause,) = [line for line in lines if line.startswith("cause:")]
        self.assertEqual(
            cause,
            "cause:              task readout on host flp001 (2rvUhqKJDE6): died "
            "(killed by SIGKILL)",
        )
        self.assertIn(" " * 20 + "last words", lines)
        value = (await self.run_("e", "show", ENVIRONMENT, "-o", "json")).value
        self.assertEqual(value["history"]["cause"]["host"], "flp001")

    async def test_modify(self) -> None:
        assert self.extended is not None
        self.extended.exclusions = [
            v1.Exclusion(role="demo.one", requested_by="me", since_ms=1735689600000, reason="why"),
            v1.Exclusion(role="demo.two", since_ms=1735689600000, tasks=2, dead_tasks=1),
        ]
        excluded = [
            "excluded:           demo.one by me, 2025-01-01 00:00:00 UTC: why",
            "excluded:           demo.two by nobody named, 2025-01-01 00:00:00 UTC, "
            "1 of 2 tasks dead",
        ]
        out = await self.good(
            *("e", "modify", ENVIRONMENT, "--exclude", "demo.one", "--exclude", "demo.two"),
            *("--include-detector", "TST", "-r", "why"),
        )
        self.assertEqual(out.splitlines()[2:], excluded)
        request = self.extended.requests[-1]
        self.assertEqual(list(request.exclude_roles), ["demo.one", "demo.two"])
        self.assertEqual(list(request.include_detectors), ["TST"])
        self.assertEqual((request.reason, request.reconfigure_all), ("why", False))
        lines = (await self.good("e", "show", ENVIRONMENT)).splitlines()
        self.assertEqual([line for line in lines if line.startswith("excluded:")], excluded)
        value = (await self.run_("e", "show", ENVIRONMENT, "-o", "json")).value
        self.assertEqual(value["exclusions"][0]["role"], "demo.one")
        self.assertIn("say what to --exclude", await self.bad("e", "modify", ENVIRONMENT))

    async def test_an_environment_tells_its_warnings(self) -> None:
        assert self.extended is not None
        self.extended.records[ENVIRONMENT].warnings.extend(["hook one failed", "hook two\nfailed"])
        warnings = ["warning:            hook one failed", "warning:            hook two failed"]
        for reply in (
            o2.GetEnvironmentReply(environment=environment("RUNNING")),
            NotFound("environment not found"),
        ):
            self.control.replies["GetEnvironment"] = reply
            lines = (await self.good("e", "show", ENVIRONMENT)).splitlines()
            self.assertEqual([line for line in lines if line.startswith("warning")], warnings)
            # What failed in the past is told of those in ERROR, and of those that ended.
            ended = isinstance(reply, NotFound)
            self.assertEqual(any(line.startswith("cause:") for line in lines), ended)

    async def test_an_environment_that_ended_is_shown_from_its_record(self) -> None:
        self.control.replies["GetEnvironment"] = NotFound("environment not found")
        out = await self.good("e", "show", ENVIRONMENT)
        self.assertIn("state:              ERROR\n", out)
        self.assertIn("created:            2025-01-01 00:00:00 UTC by me@here\n", out)
        self.assertIn("killed by SIGKILL", out)
        self.assertIn("CONFIGURE:          DEPLOYED -> CONFIGURED, 0.500 s\n", out)
        self.assertIn("CONFIGURED -> ERROR, 0.250 s: task readout died\n", out)
        err = await self.bad("e", "show", "2rvUhqKFcLa")
        self.assertIn("coconut: NOT_FOUND: environment not found\n", err)

    async def test_history(self) -> None:
        out = await self.good("env", "history")
        self.assertIn("task readout on host flp001", out)
        assert self.extended is not None
        self.extended.records.clear()
        self.assertEqual(await self.good("e", "h"), "no environment has ended\n")

    async def test_create(self) -> None:
        out = await self.good("environment", "create", "-w", "demo@main", "-e", "a=b,c=d")
        self.assertTrue(out.startswith("new environment created with 2 tasks\n"))
        for line in (
            f"environment id:     {ENVIRONMENT}",
            "tasks active:       1",
            "tasks total:        2",
        ):
            self.assertIn(f"{line}\n", out)
        request = self.control.last("NewEnvironment")
        self.assertEqual(request.workflowTemplate, "demo@main")
        self.assertEqual(dict(request.vars), {"a": "b", "c": "d"})
        self.assertEqual(request.requestUser.name, user_name())
        self.assertTrue(request.public)
        self.assertFalse(request.requestUser.HasField("id"))

    async def test_create_without_waiting(self) -> None:
        out = await self.good("e", "n", "-w", "demo", "-y", "--public=false")
        self.assertIn("state:              PENDING\n", out)
        self.assertFalse(self.control.last("NewEnvironmentAsync").public)

    async def test_create_for_programs(self) -> None:
        for format, load in (("json", json.loads), ("yaml", yaml.safe_load)):
            value = load(await self.good("e", "c", "-w", "demo", "--output", format))
            self.assertEqual(value["environment"]["id"], ENVIRONMENT)
            self.assertEqual(value["environment"]["createdWhen"], 1735689600000)
            self.assertEqual(value["environment"]["currentRunNumber"], 0)

    async def test_a_saved_configuration(self) -> None:
        path = self.home / "Saved.JSON"
        path.write_text('{"workflow": "demo@v1", "variables": {"a": "b", "n": 5, "c": "d"}}')
        await self.good("e", "c", "-c", str(path), "-e", "c=x1")
        request = self.control.last("NewEnvironment")
        self.assertEqual(request.workflowTemplate, "demo@v1")
        self.assertEqual(dict(request.vars), {"a": "b", "n": "5", "c": "x1"})

        tree = self.home / "tree.yaml"
        tree.write_text('o2: {runtime: {COG-v1: {mine: \'{"workflow": "other"}\'}}}')
        for name in ("mine", "consul://o2/runtime/COG-v1/mine", "consul:///o2/runtime/COG-v1/mine"):
            await self.good("e", "c", "-c", name, "--config_endpoint", f"file://{tree}")
            self.assertEqual(self.control.last("NewEnvironment").workflowTemplate, "other")
        err = await self.bad("e", "c", "-c", "none", "--config_endpoint", f"file://{tree}")
        self.assertIn("no saved configuration none", err)
        nowhere = await self.bad("e", "c", "-c", "mine", "--config_endpoint", "apricot://[::1]:1")
        self.assertIn("no configuration service answers at apricot://[::1]:1", nowhere)
        path.write_text("[1]")
        self.assertIn("is no object", await self.bad("e", "c", "-c", str(path)))

    async def test_what_cannot_be_created(self) -> None:
        self.assertIn("name a workflow template", await self.bad("e", "c"))
        self.assertIn(
            "invalid variable assignment", await self.bad("e", "c", "-w", "x", "-e", "a=")
        )
        self.assertIn("are empty", await self.bad("e", "c", "-w", "x", "-e", " "))
        self.assertEqual(self.control.requests, [])

    async def test_a_creation_that_fails_says_where_to_read_on(self) -> None:
        async def new_environment(request: Any, call: ServerCall) -> Any:
            call.details.append(o2.EnvironmentInfo(id=ENVIRONMENT, state="ERROR"))
            raise AliecsError("cannot create new environment: no host has machine_id flp009")

        self.control.NewEnvironment = new_environment  # type: ignore[attr-defined]
        await self.server.stop()
        await self.serve()
        err = await self.bad("e", "c", "-w", "demo")
        self.assertIn(
            "INTERNAL: cannot create new environment: no host has machine_id flp009\n", err
        )
        self.assertIn(f"(what became of it: coconut environment show {ENVIRONMENT})\n", err)

    async def test_an_automatic_environment_is_followed(self) -> None:
        self.control.replies["Subscribe"] = run_events()
        out = await self.good("e", "c", "-a", "-w", "demo")
        self.assertEqual(
            out.splitlines(),
            [
                f"environment {ENVIRONMENT}  RUNNING  run 7",
                "task  t1  c  LAUNCHED  flp001",
                f"environment {ENVIRONMENT}  teardown complete  DONE",
            ],
        )
        asked = self.control.last("NewAutoEnvironment")
        self.assertEqual(asked.id, self.control.last("Subscribe").id)

        self.control.replies["Subscribe"] = [
            events_pb2.Event(environmentEvent=events_pb2.Ev_EnvironmentEvent(error="bad"))
        ]
        done = await self.run_("e", "c", "-a", "-w", "demo")
        self.assertEqual(done.code, 1)
        self.assertIn("error: bad", done.out)

    async def test_control(self) -> None:
        out = await self.good("environment", "control", ENVIRONMENT, "-e", "start")
        self.assertEqual(
            out.splitlines(),
            [
                "transition complete",
                f"environment id:      {ENVIRONMENT}",
                "state:               RUNNING",
                "run number:          7",
                "start of transition: 2025-01-01 00:00:00.000 UTC",
                "end of transition:   2025-01-01 00:00:01.500 UTC",
                "transition duration: 1.500000s",
            ],
        )
        types = o2.ControlEnvironmentRequest
        for given, wanted in (
            ("START", types.START_ACTIVITY),
            ("stop", types.STOP_ACTIVITY),
            ("Start_Activity", types.START_ACTIVITY),
            ("configure", types.CONFIGURE),
            ("RESET", types.RESET),
            ("deploy", types.DEPLOY),
            ("go_error", types.GO_ERROR),
        ):
            await self.good("e", "t", "--event", given, ENVIRONMENT)
            self.assertEqual(self.control.last("ControlEnvironment").type, wanted)

    async def test_a_transition_that_fails_tells_the_cause(self) -> None:
        self.control.replies["ControlEnvironment"] = o2.ControlEnvironmentReply(
            id=ENVIRONMENT, state="ERROR"
        )
        out = await self.good("e", "ctl", ENVIRONMENT, "-e", "start")
        self.assertTrue(out.startswith("transition failed\n"))
        self.assertIn("state:               ERROR\ncause:               task readout on", out)

    async def test_transitions_that_cannot_be(self) -> None:
        self.assertIn(
            "there is no event fly; there are", await self.bad("e", "t", "x", "-e", "fly")
        )
        self.assertIn("there is no event noop", await self.bad("e", "t", "x", "-e", "noop"))
        self.assertIn("Missing option '-e'", await self.bad("e", "t", "x"))
        self.assertIn("Missing argument 'ID'", await self.bad("e", "t", "-e", "start"))
        self.control.replies["ControlEnvironment"] = Conflict("START_ACTIVITY is under way")
        err = await self.bad("e", "t", ENVIRONMENT, "-e", "stop")
        self.assertIn("coconut: FAILED_PRECONDITION: START_ACTIVITY is under way\n", err)

    async def test_recover(self) -> None:
        out = await self.good("e", "t", ENVIRONMENT, "-e", "recover")
        self.assertIn("transition duration: 1.500000s", out)
        assert self.extended is not None
        self.assertEqual(self.extended.requests[-1].requested_by, user_name())

    async def test_destroy(self) -> None:
        out = await self.good("environment", "destroy", ENVIRONMENT)
        self.assertEqual(out, f"teardown complete for environment {ENVIRONMENT}\n")
        request = self.control.last("DestroyEnvironment")
        self.assertFalse(request.keepTasks or request.allowInRunningState or request.force)
        await self.good("e", "d", ENVIRONMENT, "-k", "-a", "-f")
        request = self.control.last("DestroyEnvironment")
        self.assertTrue(request.keepTasks and request.allowInRunningState and request.force)


class OtherCommandTests(CoconutTestCase):
    async def test_info(self) -> None:
        out = await self.good("info")
        for line in (
            "instance name:          Test",
            "core version:           0.1.0",
            "global state:           CONNECTED",
            "detectors in instance:  ITS TPC (2 total)",
            "integrated services:    1 enabled (out of 2 total)",
            "  dcs:                  disabled",
            "    connection state:   READY",
        ):
            self.assertIn(f"{line}\n", out)
        value = (await self.run_("info", "-o", "json")).value
        self.assertEqual(value["services"]["testplugin"]["name"], "Test plugin")
        self.assertEqual(value["frameworkId"], "f-1")

    async def test_tasks(self) -> None:
        out = await self.good("task", "list")
        head, _, first, second = out.splitlines()
        self.assertIn("TASK ID (2)", head)
        self.assertEqual(
            [cell.strip() for cell in first.split("|")][2:],
            ["flp001", "YES", "NO", "YES", "ACTIVE", "RUNNING", "4711"],
        )
        # Numbers stand to the right.
        self.assertTrue(second.rstrip().endswith("|   12"), second)
        self.assertEqual(await self.good("t", "l"), out)
        self.control.replies["GetTasks"] = o2.GetTasksReply()
        self.assertEqual(await self.good("t", "ls"), "no tasks running\n")

    async def test_cleaning_tasks(self) -> None:
        out = await self.good("task", "clean", "a", "b")
        self.assertIn("TASK ID (1 KILLED)", out)
        self.assertTrue(out.endswith("2 tasks running\n"))
        self.assertEqual(list(self.control.last("CleanupTasks").taskIds), ["a", "b"])
        self.control.replies["CleanupTasks"] = o2.CleanupTasksReply()
        self.assertEqual(await self.good("t", "cl"), "0 tasks killed\n0 tasks running\n")

    async def test_operations(self) -> None:
        assert self.extended is not None
        self.assertEqual(await self.good("operation", "list"), "no operations\n")
        self.extended.operations = [
            v1.Operation(id="one", kind="START_ACTIVITY", environment_id=ENVIRONMENT,
                         state=v1.OPERATION_STATE_RUNNING, requested_by="me", started_ms=1000,
                         current_step="tasks_START_ACTIVITY", done=3, total=10),
            v1.Operation(id="two", kind="CREATE", state=v1.OPERATION_STATE_FAILED, started_ms=1000,
                         ended_ms=2500, error="no host can run it"),
        ]  # fmt: skip
        out = await self.good("o", "ls")
        for word in ("START_ACTIVITY", "RUNNING", "FAILED", "1.5 s", "1970-01-01 00:00:01 UTC"):
            self.assertIn(word, out)
        out = await self.good("operation", "show", "one")
        self.assertIn("3 of 10", out)
        self.assertNotIn("error", out)
        self.assertIn("no host can run it", await self.good("op", "s", "two"))
        failed = await self.run_("operation", "show", "three")
        self.assertEqual(failed.code, 1)
        self.assertIn("no operation with id three", failed.err)

    async def test_what_became_of_every_task(self) -> None:
        assert self.extended is not None
        failed = v1.NodeResult(
            role="demo.readout",
            task_id="t1",
            host="flp001",
            outcome=v1.NODE_OUTCOME_FAILED,
            reason="no high voltage",
            duration_ms=1500,
        )
        slow = v1.NodeResult(
            role="demo.sender",
            task_id="t2",
            host="epn001",
            outcome=v1.NODE_OUTCOME_DONE,
            duration_ms=700,
        )
        result = v1.StepResult(
            step="tasks_CONFIGURE",
            started_ms=1000,
            ended_ms=3000,
            done=97,
            failed=120,
            not_reached=1,
            failures=[failed] * 100,
            failures_left_out=20,
            slowest=[slow],
            hosts=[v1.HostResult(host="flp001", done=1, failed=120)],
            hosts_done=4,
        )
        self.extended.operations = [
            v1.Operation(
                id="o1",
                kind="CREATE",
                state=v1.OPERATION_STATE_FAILED,
                error="first\nsecond",
                results=[result],
            )
        ]
        out = await self.good("op", "show", "o1", "-n", "2")
        self.assertIn("tasks_CONFIGURE:    97 done, 120 failed, 1 not reached, 2.000 s\n", out)
        self.assertIn("  host flp001:      1 done, 120 failed, 0 not reached\n", out)
        self.assertIn("  other hosts:      4, all done\n", out)
        self.assertEqual(out.count("no high voltage"), 2)
        self.assertIn("demo.sender  | t2      | epn001 | done    | 0.700 s |", out)
        self.assertIn("and 118 more that failed\n", out)

    async def test_an_operation_is_aborted(self) -> None:
        assert self.extended is not None
        out = await self.good("op", "abort", "o1", "--reason", "why")
        self.assertIn("state:              ABORTED\n", out)
        self.assertIn("CONFIGURE aborted by me: why", out)
        asked = self.extended.requests[-1]
        self.assertEqual((asked.id, asked.reason, asked.requested_by), ("o1", "why", user_name()))

    async def test_a_time_line(self) -> None:
        assert self.extended is not None
        record = self.extended.records[ENVIRONMENT]
        transition = record.transitions[1]
        transition.steps.add(name="before_START_ACTIVITY", started_ms=2000, ended_ms=2050)
        transition.steps.add(name="tasks_START_ACTIVITY", started_ms=2050, ended_ms=2250)
        transition.slowest.add(role="demo.readout", host="flp001", duration_ms=190)
        record.failed_then.append("START: task demo.sender on host epn001 (t2): died too")
        out = await self.good("e", "history", ENVIRONMENT)
        lines = out.splitlines()
        begin = next(i for i, line in enumerate(lines) if line.startswith("START_ACTIVITY"))
        self.assertEqual(
            lines[begin : begin + 5],
            [
                "START_ACTIVITY  1970-01-01 00:00:02.000 UTC  0.250 s  CONFIGURED -> ERROR  by "
                "nobody named",
                "     0.050 s  before_START_ACTIVITY",
                "     0.200 s  tasks_START_ACTIVITY",
                "         0.190 s  demo.readout on flp001",
                "  failed: task readout died",
            ],
        )
        self.assertIn("failed then:        START: task demo.sender on host epn001", out)
        done = await self.run_("e", "history", ENVIRONMENT, "-o", "json")
        self.assertEqual(done.value["transitions"][1]["steps"][1]["name"], "tasks_START_ACTIVITY")
        self.assertEqual(bar(0.0, 1.0), "█" * 40)
        self.assertEqual(bar(0.5, 0.25), " " * 20 + "█" * 10)
        self.assertEqual(bar(1.0, 0.0), " " * 39 + "▏")

    async def test_what_a_task_wrote_and_writes(self) -> None:
        assert self.extended is not None
        self.assertEqual(await self.good("e", "logs", ENVIRONMENT, "readout"), "one\ntwo\n")
        asked = self.control.last("GetRoles")
        self.assertEqual((asked.envId, asked.pathSpec), (ENVIRONMENT, "readout"))
        self.assertEqual(self.extended.requests[-1].task_id, "2rvUhqKJDE6")

    def test_what_is_new_of_what_a_task_writes(self) -> None:
        for seen, now, new in (
            (["a"], ["a", "b"], ["b"]),
            ([], ["a"], ["a"]),
            (["a", "a"], ["a", "a", "a"], ["a"]),
            (["a", "b"], ["a", "bc", "d"], ["c", "d"]),
            # The first lines have moved out of what is looked at.
            (["a", "b", "c"], ["b", "c", "d"], ["d"]),
            (["a", "b"], ["x", "y"], ["x", "y"]),
        ):
            self.assertEqual(list(news(seen, now)), new)

    async def test_what_completes_commands(self) -> None:
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("_COCONUT_COMPLETE", await self.good("completion", shell))
        asked = {
            **os.environ,
            "_COCONUT_COMPLETE": "bash_complete",
            "COMP_WORDS": "coconut environment cr",
            "COMP_CWORD": "2",
        }
        completed = await deferToThread(
            subprocess.run, [Path(sys.executable).with_name("coconut")], env=asked,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.assertEqual(completed.stdout, "plain,create\n")

    async def test_what_tasks_use(self) -> None:
        assert self.extended is not None
        out = await self.good("task", "usage")
        self.assertEqual(out, "nothing is known yet of what tasks use\n")
        self.extended.usage = [
            v1.TaskUsage(task_id="a", role="r.a", host="flp001", processors=1.256,
                         memory_bytes=3 << 30, open_files=7, processes=2, time_ms=1000),
            v1.TaskUsage(task_id="b", memory_bytes=5 << 19),
        ]  # fmt: skip
        out = await self.good("t", "usage", "a", "b", "-e", ENVIRONMENT, "-s", "files", "-n", "2")
        for word in ("PROCESSORS", "r.a", "flp001", "1.26", "3.00 GiB", "2.5 MiB"):
            self.assertIn(word, out)
        request = self.extended.requests[-1]
        self.assertEqual(list(request.task_ids), ["a", "b"])
        self.assertEqual((request.environment_id, request.limit), (ENVIRONMENT, 2))
        self.assertEqual(request.order, v1.TASK_USAGE_ORDER_OPEN_FILES)

    async def test_what_a_task_wrote(self) -> None:
        self.assertEqual(await self.good("t", "log", "x", "-s", "stderr", "-n", "2"), "one\ntwo\n")
        assert self.extended is not None
        (request,) = self.extended.requests
        self.assertEqual((request.stream, request.tail), (v1.TASK_STREAM_STDERR, 2))

    async def test_roles(self) -> None:
        out = await self.good("role", "query", ENVIRONMENT, "demo.*")
        self.assertEqual(
            out.splitlines(),
            [
                "(0)",
                "role path:          demo.readout",
                "status:             ACTIVE",
                "state:              RUNNING",
                "role variables:",
                "\ta: b",
                "subtree:",
                "[RUNNING]  readout --> task 2rvUhqKJDE6",
            ],
        )
        request = self.control.last("GetRoles")
        self.assertEqual((request.envId, request.pathSpec), (ENVIRONMENT, "demo.*"))
        self.control.replies["GetRoles"] = o2.GetRolesReply()
        self.assertEqual(await self.good("r", "q", ENVIRONMENT, "x"), "no roles found\n")

    async def test_repositories(self) -> None:
        out = await self.good("repository", "list")
        self.assertRegex(out, r"(?m)^ *0 \| builtin +\| YES +\| master")
        self.assertTrue(out.endswith("Global default revision: master\n"))
        self.assertEqual(await self.good("repo", "l"), out)
        self.control.replies["ListRepos"] = o2.ListReposReply()
        self.assertEqual(await self.good("repo", "list"), "No repositories found.\n")

    async def test_templates(self) -> None:
        out = await self.good("template", "list")
        self.assertIn("builtin\n", out)
        self.assertIn("[revision] main\n", out)
        self.assertIn("demo\n", out)
        self.assertNotIn("what it does", out)
        self.assertIn("what it does", await self.good("templ", "ls", "-d"))
        await self.good("templ", "l", "git*@v1*")
        request = self.control.last("GetWorkflowTemplates")
        self.assertEqual((request.repoPattern, request.revisionPattern), ("git*", "v1*"))
        done = await self.run_("templ", "l", "-i", "v1", "-b", "-t", "-a")
        self.assertIn("ignoring --all-branches", done.err)
        request = self.control.last("GetWorkflowTemplates")
        self.assertEqual(
            (request.allBranches, request.allTags, request.allWorkflows), (False, False, True)
        )
        self.control.replies["GetWorkflowTemplates"] = o2.GetWorkflowTemplatesReply()
        self.assertEqual(await self.good("templ", "ls"), "No templates found.\n")

    async def test_shutdown(self) -> None:
        self.assertEqual(await self.good("shutdown", "--reason", "over"), "shutdown complete\n")
        self.assertEqual(self.control.last("Teardown").reason, "over")


class GlobalTests(CoconutTestCase):
    async def test_help(self) -> None:
        for arguments in ((), ("-h",), ("env",), ("env", "--help"), ("e", "c", "-h")):
            done = await self.run_(*arguments, endpoint=False)
            self.assertEqual(done.code, 0)
            self.assertIn("Usage: coconut", done.out)
        done = await self.run_("e", "--help", endpoint=False)
        self.assertIn("create, new, c, n", done.out)

    async def test_wrong_usage(self) -> None:
        for arguments in (
            ("fly",),
            ("env", "fly"),
            ("info", "--fly"),
            ("info", "extra"),
            ("info", "-o", "xml"),
        ):
            self.assertTrue(await self.bad(*arguments))

    async def test_common_options_stand_anywhere(self) -> None:
        for arguments in (
            ("--endpoint", self.endpoint, "-o", "json", "env", "list"),
            ("env", "--endpoint", self.endpoint, "-o", "json", "list"),
            ("env", "list", "-o", "json", "--endpoint", self.endpoint),
        ):
            done = await self.run_(*arguments, endpoint=False)
            self.assertEqual(done.value["environments"][0]["id"], ENVIRONMENT)

    async def test_sources_of_settings(self) -> None:
        folder = self.home / ".config" / "coconut"
        folder.mkdir(parents=True)
        (folder / "settings.yaml").write_text(
            "endpoint: from-file:1\nconfig_endpoint: file://a.yaml\n"
        )

        async def endpoints(*arguments: str) -> tuple[str, str]:
            done = await self.run_("about", "-o", "json", *arguments, endpoint=False)
            return done.value["endpoint"], done.value["configEndpoint"]

        self.assertEqual(await endpoints(), ("from-file:1", "file://a.yaml"))
        with mock.patch.dict(os.environ, {"ENDPOINT": "from-variable:1"}):
            self.assertEqual(await endpoints(), ("from-variable:1", "file://a.yaml"))
            self.assertEqual(await endpoints("--endpoint", "x:1"), ("x:1", "file://a.yaml"))
        other = self.home / "other.toml"
        other.write_text('endpoint = "from-toml:1"\n')
        self.assertEqual(
            await endpoints("--config", str(other)), ("from-toml:1", "apricot://127.0.0.1:32101")
        )
        self.assertIn(
            f"config file:     {other}\n", await self.good("about", "--config", str(other))
        )
        err = await self.bad("about", "--config", "/nowhere.yaml")
        self.assertIn("/nowhere.yaml: the settings cannot be read", err)
        other.write_text("endpoint = [")
        self.assertIn("other.toml", await self.bad("about", "--config", str(other)))

    async def test_nobody_there(self) -> None:
        await self.server.stop()
        for arguments in (("info",), ("e", "c", "-w", "demo")):
            err = await self.bad(*arguments)
            self.assertIn(f"coconut: no core answers at {self.endpoint}", err)

    async def test_a_time_limit(self) -> None:
        self.control.replies["GetTasks"] = Deferred()
        err = await self.bad("task", "list", "--timeout", "300ms")
        self.assertIn("DEADLINE_EXCEEDED", err)
        self.assertIn("within 0.3 s; the core may carry on", err)
        self.assertIn("is not a duration", await self.bad("task", "list", "--timeout", "soon"))
        self.assertIn("leaves no time", await self.bad("task", "list", "--timeout", "0"))

    async def test_what_moves_something_has_no_limit_unless_given(self) -> None:
        done = await self.run_("-v", "e", "c", "-w", "demo")
        self.assertIn("o2control.Control/NewEnvironment, no limit\n", done.err)
        done = await self.run_("-v", "e", "d", ENVIRONMENT, "--timeout", "30s")
        self.assertIn("o2control.Control/DestroyEnvironment, limit 30 s\n", done.err)
        done = await self.run_("-v", "task", "list")
        self.assertIn("o2control.Control/GetTasks, limit 55 s\n", done.err)

    async def test_progress_in_a_pipe_is_plain_lines_beside_the_result(self) -> None:
        assert self.extended is not None
        answer: Deferred[Any] = Deferred()
        self.control.replies["NewEnvironment"] = answer
        old = v1.Operation(id="old", state=v1.OPERATION_STATE_RUNNING, requested_by=user_name())
        self.extended.operations = [old]
        ours = v1.Operation(
            id="ours",
            state=v1.OPERATION_STATE_RUNNING,
            environment_id=ENVIRONMENT,
            requested_by=user_name(),
            current_step="tasks_CONFIGURE",
            done=1,
            total=2,
        )
        reactor.callLater(0.3, self.extended.operations.insert, 0, ours)
        reply = o2.NewEnvironmentReply(environment=environment())
        reactor.callLater(2.0, answer.callback, reply)
        done = await self.run_("e", "c", "-w", "demo", "-o", "json")
        self.assertEqual(done.value["environment"]["id"], ENVIRONMENT)
        self.assertEqual(
            done.err,
            f"creating demo: environment {ENVIRONMENT}, tasks_CONFIGURE, 1 of 2 tasks\n",
        )

    async def test_a_connection_that_breaks(self) -> None:
        self.control.replies["DestroyEnvironment"] = Deferred()
        running = Deferred.fromCoroutine(self.run_("e", "d", ENVIRONMENT))
        while not any(name == "DestroyEnvironment" for name, _ in self.control.requests):
            await deferLater(reactor, 0.05)
        port = self.server.port
        await self.server.stop()
        self.control.replies.clear()
        self.server = make_server(self.control, self.extended, port)
        self.addCleanup(self.server.stop)
        await self.server.start()
        done = await running
        self.assertEqual((done.code, "asking again" in done.err), (0, True))
        first, second = [
            metadata["aliecs-idempotency-key"]
            for (name, _), metadata in zip(
                self.control.requests, self.control.metadata, strict=True
            )
            if name == "DestroyEnvironment"
        ]
        self.assertEqual(first, second)

    async def test_a_core_without_our_own_service_serves(self) -> None:
        await self.server.stop()
        self.extended = None
        await self.serve()
        self.control.replies["GetEnvironment"] = o2.GetEnvironmentReply(
            environment=environment("ERROR")
        )
        self.assertIn("state:              ERROR\n", await self.good("e", "show", ENVIRONMENT))
        await self.good("e", "c", "-w", "demo")
        await self.good("e", "d", ENVIRONMENT)
        err = await self.bad("e", "t", ENVIRONMENT, "-e", "recover")
        self.assertIn("this core cannot recover environments", err)
        self.assertIn("UNIMPLEMENTED", await self.bad("e", "history"))


class ProcessTests(CoconutTestCase):
    """The program itself, on a terminal and interrupted."""

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "aliecs.cli.coconut", "--endpoint", self.endpoint]
        process = subprocess.Popen([*command, *arguments], **streams)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    async def test_on_a_terminal(self) -> None:
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        answer: Deferred[Any] = Deferred()
        self.control.replies["NewEnvironment"] = answer
        environment_ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        environment_.pop("NO_COLOR", None)
        process = self.start(
            "e", "c", "-w", "demo", stdin=theirs, stdout=theirs, stderr=theirs, env=environment_
        )
        os.close(theirs)
        assert self.extended is not None
        ours_too = v1.Operation(
            id="ours",
            state=v1.OPERATION_STATE_RUNNING,
            environment_id=ENVIRONMENT,
            requested_by=user_name(),
            current_step="tasks_CONFIGURE",
            waiting=[v1.WaitedNode(role="demo.[slow]", host="flp001", since_ms=1)],
            waiting_left_out=7,
        )
        while not self.control.requests:
            await deferLater(reactor, 0.05)
        self.extended.operations.append(ours_too)
        reactor.callLater(2.0, answer.callback, o2.NewEnvironmentReply(environment=environment()))

        def read() -> bytes:
            seen = b""
            with contextlib.suppress(OSError):
                while piece := os.read(ours, 4096):
                    seen += piece
            return seen

        seen = (await deferToThread(read)).decode()
        self.assertEqual(await deferToThread(process.wait), 0)
        self.assertIn("creating demo", seen)
        self.assertRegex(seen, r"waiting for demo\.\[slow\] \(flp001, \d+ s\), and 7 more")
        self.assertIn("\x1b[33mCONFIGURED", seen)

    async def test_an_environment_is_watched(self) -> None:
        assert self.extended is not None
        roles = [v1.RoleState(role="demo", state="CONFIGURED", status="ACTIVE")]
        roles += [
            v1.RoleState(role=f"demo.task-{i}", state="CONFIGURED", status="ACTIVE", host="flp001")
            for i in range(100)
        ]
        broken = v1.RoleState(role="demo.task-77", state="ERROR", status="INACTIVE")
        self.extended.changes = [
            v1.EnvironmentChange(state="CONFIGURED", roles=roles),
            v1.EnvironmentChange(
                state="ERROR", transition="GO_ERROR", step="x", roles=[broken], cause="it broke"
            ),
            v1.EnvironmentChange(state="DONE", ended=True),
        ]
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        environment_ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
        process = self.start(
            "e", "watch", ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment_
        )
        os.close(theirs)

        def read() -> bytes:
            seen = b""
            with contextlib.suppress(OSError):
                while piece := os.read(ours, 4096):
                    seen += piece
            return seen

        seen = (await deferToThread(read)).decode()
        self.assertEqual(await deferToThread(process.wait), 0)
        # What is not as the rest is shown, and the rest is cut to the height of the terminal.
        last = seen.rpartition("GO_ERROR")[2]
        for part in ("it broke", "task-77", "INACTIVE", "and 87 more roles"):
            self.assertIn(part, last)
        self.assertIn("the environment has ended", last)
        piped = await self.good("e", "watch", ENVIRONMENT)
        self.assertIn("never environment 2rvUhqKFcLZ ERROR GO_ERROR x\n", piped)
        self.assertIn("never demo.task-77 ERROR INACTIVE\n", piped)

    async def test_an_interruption(self) -> None:
        asked: Deferred[None] = Deferred()

        async def new_environment(request: Any, call: ServerCall) -> Any:
            asked.callback(None)
            await Deferred()

        self.control.NewEnvironment = new_environment  # type: ignore[attr-defined]
        await self.server.stop()
        await self.serve()
        process = self.start("e", "c", "-w", "demo", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        await asked
        process.send_signal(2)
        out, err = await deferToThread(process.communicate, timeout=20)
        self.assertEqual((process.returncode, out), (130, b""))
        self.assertIn(b"the core carries on", err)
