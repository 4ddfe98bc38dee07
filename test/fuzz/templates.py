"""Fuzzing of workflow and task templates: whole files, loaded as for an environment."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from attrs import define

from aliecs.errors import AliecsError
from aliecs.interfaces import TemplateText
from aliecs.language.expression import Compiler
from aliecs.language.functions import PTREE_FUNCTIONS, Scope, make_library
from aliecs.task.taskclass import TaskIdentity, parse_task_class
from aliecs.workflow.loader import LoadRequest, TemplateCache, load
from aliecs.workflow.schema import describe_template, parse_workflow
from test.fuzz import garbage
from test.language.sources import DictSources
from test.oracle import expressions

name = "templates"
USER_VARIABLES = {"hosts": '["h1","h2"]', "flag": "true"}
IDENTITY = TaskIdentity("task", "id1", "cls", "host", "env", "w.a")
CACHE_LIFE = 100
TASK = """\
name: cls
control: {mode: fairmq}
wants: {cpu: 0.1, memory: 10, ports: "8000-8005, 9000"}
limits: {cpu: 1, memory: 100}
defaults: {level: "1", rate: "{{ level }}"}
vars: {word: "{{ level + 'x' }}"}
bind: [{name: out, type: push, addressing: ipc, global: g, sndBufSize: 10}]
connect: [{name: in, type: pull}]
constraints: [{attribute: machine_id, value: h1}]
properties: {severity: "{{ level }}", tree: "{{ ToPtree('a=1', 'ini') }}"}
command:
  shell: true
  value: "run {{ task_id }}"
  arguments: ["--level", "{{ level }}", "{{ hosts }}", ~]
  env: ["A=b", "H={{ task_hostname }}"]
  user: flp
  stdout: "{{ 'std' + 'out' }}"
  stderr: none
"""
WORKFLOW = """\
name: !public w
description: !public "A {test}"
defaults: &anchor
  flag: !public
    {value: "true", type: bool, label: Flag, widget: checkBox, panel: P, index: 1, values: [a, b]}
  hosts: '["h1"]'
  level: 1.50
vars:
  upper: "{{ strings.ToUpper(flag) }}"
constraints: [{attribute: a, value: "{{ level }}"}]
roles:
  - name: r1
    enabled: "{{ flag == 'true' }}"
    defaults: {own: "1"}
    bind: [{name: out, type: push, global: "g-{{ own }}"}]
    roles:
      - name: t
        task: {load: cls}
        connect: [{name: in, type: pull, target: "{{ Parent().Path }}:out"}]
      - name: c
        call: {func: testplugin.Test(), trigger: before_CONFIGURE-50, await: after_CONFIGURE,
               timeout: 5s, return: x, critical: false}
  - name: "host-{{ it }}"
    for: {range: "{{ hosts }}", var: it}
    task: {load: "cls", trigger: enter_RUNNING}
  - name: "n{{ n }}"
    for: {begin: "1", end: "{{ strings.Itoa(3) }}", var: n}
    vars: {<<: *anchor}
    roles: [{name: in, include: other}]
"""
OTHER = "name: other\nroles: [{name: leaf, task: {load: cls}}]\n"
YAML_WORDS = [": ", "- ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "!public ", "!!int ", "~",
    "null", "'", '"', "|\n", ">\n", "#",
              "---\n", "\n", "\n  ", "for: ", "range: ", "roles: ", "task: ", "include: w",
              "include: other", "call: ", "name: ", "{{ a }}", "{{",
              "}}", "true", "1e999", "\t", "%YAML 1.1\n", "? ", "\ufeff", "vars: ", "enabled: ",
              "99999999999", "-1", "w"]  # fmt: skip


@define(frozen=True)
class Case:
    """A file, what kind it is, and what comes of it where that is known."""

    kind: str
    text: bytes
    expected: Any = None


@define
class _Kept:
    cache: TemplateCache | None = None
    used: int = 0

    def get(self) -> TemplateCache:
        if self.cache is None or self.used >= CACHE_LIFE:
            self.cache, self.used = TemplateCache(), 0
        self.used += 1
        return self.cache


_KEPT = _Kept()


def case(random: Random) -> Case:
    """One file."""
    choice = random.randrange(10)
    if choice < 2:
        return _valid(random)
    kind = "task" if choice < 5 else "workflow"
    text = TASK if kind == "task" else random.choice([WORKFLOW, WORKFLOW, OTHER,
        _valid(random).text.decode()])
    if choice == 9:
        data = random.randbytes(random.randint(0,
            60)) if random.random() < 0.3 else garbage.text(random, longest=80).encode()
        return Case(kind, data)
    if random.random() < 0.4:
        family, _ = random.choice(list(expressions.families.values()))
        text = text.replace(random.choice(["{{ level }}", "{{ hosts }}", "true", "h1", "cls"]),
            _quotable(family(random)), 1)
    else:
        text = garbage.mutated(random, text, YAML_WORDS)
    if random.random() < 0.1:
        text = _bomb(random)
    return Case(kind, text.encode())


def attempt(case: Case) -> None:  # type: ignore[no-redef]
    """Load it."""
    try:
        result = _workflow(case.text) if case.kind == "workflow" else _task(case.text)
    except AliecsError as error:
        assert type(error) is not AliecsError and error.code != "internal", repr(error)
        str(error).encode()
        assert case.expected is None, f"refused: {error}"
        return
    assert case.expected is None or result == case.expected, f"{result!r}, not {case.expected!r}"


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _workflow(text: bytes) -> list[str]:
    cache = _KEPT.get()
    sources = DictSources(tasks={"cls": TASK}, workflows={"other": OTHER})
    # Texts that are no UTF-8 never get through the dictionary, so they are parsed alone.
    file = TemplateText(sources.repository, sources.revision, "workflows/w.yaml", text)
    parse_workflow(file)
    describe_template(file)
    sources.workflows["w"] = text.decode()
    functions = {"testplugin": {"Test": lambda *arguments: ""}}
    workflow = load(LoadRequest("w", "env1", USER_VARIABLES, plugin_functions=functions), sources,
        cache)
    return [role.path for role in workflow.root.walk()]


def _task(text: bytes) -> object:
    task_class = parse_task_class(TemplateText("example.org/t/W", "0" * 40, "tasks/cls.yaml", text))
    library = make_library(Compiler() if _KEPT.cache is None else _KEPT.cache.compiler, None,
        PTREE_FUNCTIONS)
    scope = Scope({"level": "1", "hosts": "h"}, library, DictSources())
    command = task_class.build_command(scope, IDENTITY, "", "10s")
    properties = task_class.build_properties(scope, IDENTITY, {"chans.out.0.address": "tcp://*:1"})
    command.payload(1234)
    assert all(isinstance(value, str) for value in properties.values())
    return None


LOOP = """\
name: w
roles:
  - name: "x{{ i }}"
    for: {begin: "1", end: "%s", var: i}
    roles:
      - name: "y{{ j }}"
        for: {begin: "1", end: "60", var: j}
        task: {load: cls}
"""
LONG = """\
name: w
vars: {a: "{{ repeat('x', 1000000) }}"}
roles: [{name: t, vars: {b: "{{ a + a }}"}, task: {load: cls}}]
"""


def _bomb(random: Random) -> str:
    """Small files that ask for much."""
    letters = "abcdefghi"
    aliases = "".join(f"{y}: &{y} [{', '.join([f'*{x}'] * 6)}]\n" for x, y in pairwise(letters))
    variables = "".join(f"  v{n}: '{{{{ 1 }}}}'\n" for n in range(2000))
    return random.choice(
        [
            "name: w\nroles: [{name: i, include: w}]\n",
            f"a: &a [x, x, x, x, x, x]\n{aliases}",
            LOOP % "999999999",
            LOOP % "40",
            "name: w\nroles: " + "[{name: a, roles: " * 80 + "[]" + "}]" * 80,
            "[" * 3000,
            "{a: " * 3000,
            "- " * 3000,
            f"name: w\nvars:\n{variables}roles: []\n",
            LONG,
        ]
    )


def _valid(random: Random) -> Case:
    """A tree of roles whose paths are known."""
    paths = ["w"]
    lines = ["name: w", "roles:"]
    _roles(random, lines, paths, "w", 1)
    return Case("workflow", ("\n".join(lines) + "\n").encode(), paths)


def _roles(random: Random, lines: list[str], paths: list[str], above: str, depth: int) -> None:
    """Roles below `above`, each written in one of several ways."""
    pad = "  " * depth
    task = "task: {load: cls}"
    for number in range(random.randint(1, 3)):
        own = f"r{number}"
        path = f"{above}.{own}"
        kind = random.choice(["task", "call", "roles", "for", "disabled"]) if depth < 5 else "task"
        if kind == "for":
            count = random.randint(1, 3)
            loop = f"for: {{begin: '1', end: '{count}', var: k}}"
            lines.append(f"{pad}- {{name: 'i{number}-{{{{ k }}}}', {loop}, {task}}}")
            paths.extend(f"{above}.i{number}-{k}" for k in range(1, count + 1))
            continue
        paths.append(path)
        if kind == "disabled":
            enabled = "enabled: \"{{ flag == 'no' }}\""
            lines.append(f"{pad}- {{name: x{number}, {enabled}, {task}}}")
        if kind == "call":
            call = "call: {func: testplugin.Test(), trigger: before_CONFIGURE}"
            lines.append(f"{pad}- {{name: {own}, {call}}}")
        elif kind == "roles":
            lines.extend([f"{pad}- name: {own}", f"{pad}  roles:"])
            _roles(random, lines, paths, path, depth + 2)
        else:
            written = random.choice([own, f"r{{{{ strings.Itoa({number}) }}}}"])
            lines.append(f"{pad}- {{name: '{written}', {task}}}")
