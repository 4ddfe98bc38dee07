"""Workflows generated while others are loaded, by programs that stand in for DPL."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from aliecs.configuration.opening import open_configuration
from aliecs.environment.generation import Generator, addresses, parse_address, workflow_name
from aliecs.errors import Conflict, DeadlineExceeded, InvalidInput, NotFound
from aliecs.repository.manager import Repositories
from test.executor.watching import wait_until
from test.repository.gitting import WorkingCopy
from test.standin.dpl import install_dpl

CHAIN = (
    "o2-dpl-raw-proxy -b --readout-proxy '--channel-config "
    '"name=readout-proxy,type=pull,method=connect,address=ipc:///tmp/x,transport=shmem"\' '
    "| o2-dpl-output-proxy -b --dpl-output-proxy '--channel-config "
    '"name=downstream,type=push,method=bind,address=ipc:///tmp/y,transport=shmem"\''
)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("myexe --arg val", []),
        ("myexe --config apricot://", []),
        ("a --c apricot://h:1/o2/components/qc/ANY/any/x", ["apricot://h:1/o2/components/qc/ANY/any/x"]),
        ("a --c apricot://h/x | b", ["apricot://h/x"]),
        ("a --c apricot://h/x|b", ["apricot://h/x"]),
        ("a --c apricot://h/x --d e", ["apricot://h/x"]),
        ("a --c apricot://h/x?a='b' --d", ["apricot://h/x?a='b'"]),
        ('a --c apricot://h/x?a="b"', ['apricot://h/x?a="b"']),
        ("a --c 'apricot://h/x?a=[\"b\"]'", ['apricot://h/x?a=["b"]']),
        ("a --c 'apricot://h/x?a=[\"b\"]'|b", ['apricot://h/x?a=["b"]']),
        ("a apricot://h/x | b consul-json://h/y\nc", ["apricot://h/x", "consul-json://h/y"]),
        ("a apricot://1 apricot://2 apricot://3", ["apricot://1", "apricot://2", "apricot://3"]),
    ],
)  # fmt: skip
def test_addresses_in_commands(command: str, found: list[str]) -> None:
    assert list(addresses(command)) == found


def test_what_addresses_ask_for() -> None:
    for address, path, process, variables in (
        ("apricot://h/o2/components/qc/ANY/any/x", "qc/ANY/any/x", True, {}),
        ("consul-json://h/o2/components/qc/ANY/any/x", "qc/ANY/any/x", False, {}),
        ("consul-json://h/components/q/ANY/any/x?a=b", "q/ANY/any/x", True, {"a": "b"}),
        ("apricot://h/components/q/ANY/any/x?process=false&a=b", "q/ANY/any/x", False, {"a": "b"}),
    ):
        wanted = parse_address(address)
        assert (wanted.path, wanted.parameters.process) == (path, process)
        assert wanted.parameters.variables == variables
    for address in ("apricot://h/x", "apricot://h/components/q/ANY/any/x?", "a://components/x?a="):
        with pytest.raises(InvalidInput):
            parse_address(address)


def test_names() -> None:
    digest = hashlib.sha1(b"source x && cmdpkgA=1payload", usedforsecurity=False).hexdigest()
    assert workflow_name("source x && cmd", "pkg", "A=1", ["payload"]) == f"jit-{digest}"


class GenerationTests(TestCase):
    timeout = 120

    def setUp(self) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.environment_file = install_dpl(self.place / "dpl")
        self.flows = WorkingCopy(self.place / "flows")
        self.flows.write("tasks/a.yaml", "name: a\n")
        self.flows.commit(one="name: one\n")
        return Deferred.fromCoroutine(self.begin())

    async def begin(self) -> None:
        self.configuration = open_configuration("sqlite://", self.place, reactor)
        await self.configuration.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.configuration.stop()))
        self.repositories = Repositories(
            self.configuration, self.place, reactor, repositories=[str(self.flows.path)]
        )
        await self.repositories.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.repositories.stop()))

    def generator(self, timeout_s: float = 30.0) -> Generator:
        return Generator(self.configuration, self.repositories, self.environment_file, timeout_s)

    @property
    def made(self) -> list[str]:
        return sorted(path.name for path in (self.place / "jit").glob("*"))

    async def test_templates_are_made_once_and_found_in_every_repository(self) -> None:
        generator = self.generator()
        name = await generator.generate(CHAIN, "")
        self.assertRegex(name, "^jit-[0-9a-f]{40}$")
        made = self.place / "jit" / name / "workflows" / f"{name}.yaml"
        before = made.stat().st_mtime_ns
        self.assertEqual(await generator.generate(CHAIN, ""), name)
        self.assertEqual(made.stat().st_mtime_ns, before)
        for repository in ("builtin", str(self.flows.path)):
            text = await self.repositories.workflow(f"{repository}/workflows/{name}")
            self.assertIn(b"::readout-proxy-{{ it }}", text.text)
            self.assertEqual(text.repository, repository)
            task_class = f"{repository}/tasks/{name}-0-o2-dpl-raw-proxy@{text.revision}"
            self.assertIn(b"mode: fairmq", (await self.repositories.task_class(task_class)).text)
        self.assertEqual(self.made, [name])
        self.assertFalse((self.flows.path / "workflows" / f"{name}.yaml").exists())

    async def test_what_the_name_depends_on(self) -> None:
        generator = self.generator()
        await self.configuration.store.put("o2/components/qc/ANY/any/x", "one")
        command = f"{CHAIN} --config apricot://host:1/o2/components/qc/ANY/any/x"
        names = [
            await generator.generate(CHAIN, ""),
            await generator.generate(f"{CHAIN} --more", ""),
            await generator.generate(CHAIN, "A=1"),
            await generator.generate(command, ""),
        ]
        await self.configuration.store.put("o2/components/qc/ANY/any/x", "two")
        names.append(await generator.generate(command, ""))
        self.assertEqual(len(set(names)), 5)

    async def test_many_at_once(self) -> None:
        generator = self.generator()
        asked = [
            Deferred.fromCoroutine(generator.generate(f"{CHAIN} --n {number % 3}", ""))
            for number in range(12)
        ]
        results = await DeferredList(asked)
        self.assertEqual({success for success, _ in results}, {True})
        self.assertEqual(self.made, sorted({name for _, name in results}))
        self.assertEqual(len(self.made), 3)

    async def test_the_environment_and_lines(self) -> None:
        name = await self.generator().generate("o2-qc $GIVEN \n --last", "GIVEN=word OTHER=1")
        text = (self.place / "jit" / name / "workflows" / f"{name}.yaml").read_text()
        self.assertIn("o2-qc word --last\n", text)

    async def test_what_goes_wrong(self) -> None:
        generator = self.generator()
        for command, error, words in (
            (f"{CHAIN} --standin-fail", Conflict, "exit status 3; it said: no such detector"),
            ("nobody-knows-me", Conflict, "exit status 127; it said: .*not found"),
            ("true", Conflict, "wrote no workflows/jit-.*it said nothing"),
            ("o2-qc --standin-fail --standin-flood", Conflict, "much to say | no such detector"),
            ("o2-qc --c apricot://h/components/qc/ANY/any/gone", NotFound, "qc/ANY/any/gone"),
            ("o2-qc --c apricot://h/elsewhere", InvalidInput, "no components/ in it"),
        ):
            with self.assertRaisesRegex(error, words):
                await generator.generate(command, "")
        self.assertEqual(self.made, [])

    async def test_one_that_does_not_end(self) -> None:
        mark = "31.4159"
        with self.assertRaisesRegex(DeadlineExceeded, "given up after 1 s"):
            await self.generator(timeout_s=1.0).generate(
                f"o2-qc --standin-sleep {mark} | o2-qc --standin-sleep {mark}", ""
            )
        self.assertEqual(self.made, [])
        # They were killed: a busy machine takes a moment to let them go.
        await wait_until(lambda: not [p for p in _command_lines() if mark in p])

    async def test_a_machine_without_dpl(self) -> None:
        self.environment_file = self.place / "nowhere.sh"
        with self.assertRaisesRegex(Conflict, "nowhere.sh .setting dplEnvironmentFile"):
            await self.generator().generate(CHAIN, "")

    async def test_what_nobody_uses_is_removed_at_the_next_start(self) -> None:
        name = await self.generator().generate(CHAIN, "")
        kept = await self.generator().generate(f"{CHAIN} --kept", "")
        (self.place / "jit" / ".unfinished-x").mkdir()
        old = time.time() - 40 * 86400
        os.utime(self.place / "jit" / name, (old, old))
        again = Repositories(self.configuration, self.place, reactor)
        await again.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(again.stop()))
        self.assertEqual(self.made, [kept])


def _command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines
