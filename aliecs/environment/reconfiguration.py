"""What other variables would do to an environment that lives, before anything is done.

The template is loaded again at the revision that the environment has, once with the variables of
its creation and once with the new ones; `workflow.difference` tells what that changes. A task whose
command would be another one because of that needs another process, all others keep theirs and are
told the new values at CONFIGURE. Loading has no effects, and both loads are given the same new
identifiers, so that what only chance makes different is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import define, field, frozen
from zope.interface import implementer

from aliecs.environment.assembly import Assembly, load_request
from aliecs.environment.exclusion import DETECTORS
from aliecs.environment.history import first_lines
from aliecs.errors import AliecsError, Conflict, InvalidInput
from aliecs.interfaces import ILoaderSources, TemplateText
from aliecs.language.functions import Library
from aliecs.task.task import Task
from aliecs.task.taskclass import ResolvedCommand, TaskIdentity
from aliecs.workflow.difference import Changed, Difference, compare, same_shape
from aliecs.workflow.loader import load
from aliecs.workflow.role import TaskRole
from aliecs.workflow.workflow import classes_to_document

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

HOSTS = "hosts"
"""The variable that detectors are found by, where the workflow does not name them."""

BATCH = 500
"""Tasks whose commands are compared together."""

TOLD = 10
"""Reasons that a refusal tells."""


@frozen
class NewVariables:
    """What shall be different from the request that made the environment: variables to `set`, with
    keys as a creation takes them, and names to `unset`."""

    set: Mapping[str, str] = field(factory=dict)
    unset: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.set or self.unset)

    def told(self) -> dict[str, str | None]:
        """Both, for people; None for what is unset."""
        return {**self.set, **dict.fromkeys(self.unset)}

    def over(self, requested: Mapping[str, str]) -> dict[str, str]:
        """The variables of a request with these. Raises `InvalidInput`."""
        both = sorted(set(self.set) & set(self.unset))
        if both:
            raise InvalidInput(f"the variable {both[0]} is to be set and unset")
        for name in (*self.set, *self.unset):
            if not name.strip():
                raise InvalidInput("the name of a variable is empty")
        for name in self.unset:
            if name not in requested:
                there = ", ".join(sorted(requested)) or "none"
                raise InvalidInput(
                    f"the variable {name} cannot be unset: it was not set for this environment "
                    f"(set were: {there})"
                )
        return {k: v for k, v in requested.items() if k not in self.unset} | dict(self.set)


@frozen
class ChangedValue:
    """A variable that the command of a task uses; None where it is not there."""

    name: str
    before: str | None
    after: str | None


@frozen
class Replacement:
    """A task that needs another process, and why."""

    role: TaskRole
    task_id: str
    host: str
    why: str
    values: tuple[ChangedValue, ...] = ()
    keeps_ports: bool = True
    """False where its bound channels are others."""


@frozen
class Plan:
    """What would be done: see the module."""

    variables: NewVariables
    requested: Mapping[str, str]
    """All variables of a request that would make the environment as it will be."""
    changed: Changed
    names: frozenset[str]
    """Variables that have another value for some role."""
    replacements: Sequence[Replacement]
    kept: Sequence[Task]
    class_texts: Mapping[str, TemplateText]
    document: msgspec.Raw
    """The change for the journal, as `Workflow.change` takes it."""


async def plan_of(environment: Environment, variables: NewVariables) -> Plan:
    """Coroutine. What these variables would do. Raises `InvalidInput` for variables that cannot be,
    `Conflict` where they ask for another environment than this one, and what loading raises."""
    requested = variables.over(environment.requested)
    difference, class_texts, document = await _difference(environment, requested)
    if difference.shape:
        raise Conflict(
            "these variables need another environment, not another configuration: "
            + first_lines(difference.shape, TOLD)
        )
    changed = Changed.of(environment.root, difference)
    _refuse_other_detectors(environment, changed)
    planner = _Planner(environment, changed)
    await planner.look_at_all()
    return Plan(
        variables,
        requested,
        changed,
        difference.names,
        planner.replacements,
        planner.kept,
        class_texts,
        msgspec.Raw(document),
    )


async def _difference(
    environment: Environment, requested: Mapping[str, str]
) -> tuple[Difference, Mapping[str, TemplateText], bytes]:
    facilities = environment.facilities
    workflow = environment.workflow
    before = load_request(environment, environment.requested, trial=True)
    after = load_request(environment, requested, trial=True)

    def work(
        sources: ILoaderSources,
    ) -> tuple[Difference, Mapping[str, TemplateText], bytes]:
        drawn: list[str] = []
        was = load(before, _TrialSources(sources, drawn), facilities.templates)
        if strange := same_shape(workflow.root, was.root):
            why = f"since its creation what it was loaded from has changed: {strange[0]}"
            return Difference((), [why]), {}, b""
        shall_be = load(after, _TrialSources(sources, drawn), facilities.templates)
        for text in shall_be.class_texts.values():
            facilities.classes.task_class(text)
        known = workflow.class_texts
        new = {name: text for name, text in shall_be.class_texts.items() if name not in known}
        difference = compare(was.root, shall_be.root)
        document = {
            "changes": [change.to_document() for change in difference.changes],
            "classes": classes_to_document(new),
        }
        return difference, new, msgspec.json.encode(document)

    return await facilities.loaders.run(
        work, effects=False, deadline_s=facilities.options.load_timeout_s
    )


def _refuse_other_detectors(environment: Environment, changed: Changed) -> None:
    """Which detectors it has says who may control it, and who else may have them."""
    root = environment.root
    change, shared = changed.changes.get(root), changed.changes.get(None)
    for one in (change, shared):
        for entries in one.layers.values() if one is not None else ():
            for name in sorted(entries.keys() & {DETECTORS, HOSTS}):
                raise Conflict(
                    "these variables need another environment, not another configuration: the "
                    f"variable {name} of role {root.path} would be {entries[name]} and not "
                    f"{root.variable(name)}"
                )


@frozen
class _Pair:
    """A task, and what its role sees before and after."""

    task: Task
    role: TaskRole
    before: Mapping[str, str]
    after: Mapping[str, str]
    timeout: str


@define(eq=False)
class _Planner:
    """Looks at every task of an environment."""

    environment: Environment
    changed: Changed
    replacements: list[Replacement] = field(factory=list)
    kept: list[Task] = field(factory=list)
    problems: list[str] = field(factory=list)

    async def look_at_all(self) -> None:
        """Decide for each task that has a process. Raises `InvalidInput` where commands cannot be
        made."""
        environment = self.environment
        pairs: list[_Pair] = []
        for role in environment.workflow.task_roles:
            task = environment.task_of(role)
            if task is not None and task.living and task.command is not None:
                if (pair := self._pair(task, role)) is not None:
                    pairs.append(pair)
                if len(pairs) >= BATCH:
                    await self._compare(pairs)
                    pairs = []
            await environment.facilities.roster.pace.breathe()
        await self._compare(pairs)
        if self.problems:
            raise InvalidInput(
                "with these variables the commands of tasks cannot be made: "
                + first_lines(self.problems, TOLD)
            )

    def _pair(self, task: Task, role: TaskRole) -> _Pair | None:
        """What is to be compared; None where it is decided already."""
        change = self.changed.changes.get(role)
        attributes = change.attributes if change is not None else {}
        if (identifier := attributes.get("class_identifier")) is not None:
            self._replace(task, role, f"its task class is {identifier}", keeps_ports=False)
            return None
        if self.changed.touches(role, "bind"):
            self._replace(task, role, "its bound channels are others", keeps_ports=False)
            return None
        timeout = attributes.get("timeout", role.timeout)
        before, after = role.stack(), self.changed.stack(role)
        if before == after and timeout == role.timeout:
            self.kept.append(task)
            return None
        return _Pair(task, role, before, after, timeout)

    def _replace(
        self,
        task: Task,
        role: TaskRole,
        why: str,
        values: tuple[ChangedValue, ...] = (),
        keeps_ports: bool = True,
    ) -> None:
        self.replacements.append(
            Replacement(role, task.id, task.host, why, values, keeps_ports)
        )

    async def _compare(self, pairs: Sequence[_Pair]) -> None:
        if not pairs:
            return
        loaders = self.environment.facilities.loaders
        assembly = Assembly(self.environment)

        def work(sources: ILoaderSources) -> list[_Judgement | AliecsError]:
            judge = _Judge(assembly, assembly.library(None))
            return [judge.judge(pair, sources) for pair in pairs]

        judgements = await loaders.run(work, effects=False)
        for pair, judgement in zip(pairs, judgements, strict=True):
            if isinstance(judgement, AliecsError):
                self.problems.append(judgement.message)
            elif judgement.why:
                self._replace(pair.task, pair.role, judgement.why, judgement.values)
            else:
                self.kept.append(pair.task)
            await self.environment.facilities.roster.pace.breathe()


@frozen
class _Judgement:
    """`why` is empty where the process can stay."""

    why: str = ""
    values: tuple[ChangedValue, ...] = ()


_PARTS: Mapping[str, str] = {
    "value": "command",
    "arguments": "arguments",
    "environment": "environment variables",
    "user": "user",
    "shell": "shell",
    "stdout": "standard output",
    "stderr": "standard error",
    "control_mode": "control mode",
    "timeout_s": "time limit",
}
"""What is given to a process at its launch."""


@frozen
class _Judge:
    """Compares the commands of a task, in a loader thread."""

    assembly: Assembly
    library: Library

    def judge(self, pair: _Pair, sources: ILoaderSources) -> _Judgement | AliecsError:
        """Whether a task needs another process."""
        drawn: list[str] = []
        seen = _Seen(pair.after)
        timeout = pair.role.timeout
        try:
            after = self._command(pair, seen, pair.timeout, _TrialSources(sources, drawn))
        except InvalidInput as problem:
            return problem if pair.role.critical else _Judgement()
        if after == pair.task.command:
            return _Judgement()
        try:
            was = self._command(pair, pair.before, timeout, _TrialSources(sources, drawn))
        except InvalidInput:
            was = None
        before = was or pair.task.command
        parts = [
            name
            for attribute, name in _PARTS.items()
            if getattr(before, attribute) != getattr(after, attribute)
        ]
        if not parts:
            return _Judgement()
        values = [
            ChangedValue(name, pair.before.get(name), pair.after.get(name))
            for name in sorted(seen.names)
            if pair.before.get(name) != pair.after.get(name)
        ]
        verb = "is" if len(parts) == 1 and not parts[0].endswith("s") else "are"
        return _Judgement(f"its {' and '.join(parts)} {verb} changed", tuple(values))

    def _command(
        self,
        pair: _Pair,
        stack: Mapping[str, str],
        timeout: str,
        sources: ILoaderSources,
    ) -> ResolvedCommand:
        task, role = pair.task, pair.role
        identity: TaskIdentity = self.assembly.identity(task, role)
        scope = self.assembly.scope(stack, self.library, sources)
        return task.task_class.build_command(
            scope, identity, role.trigger, timeout, self.assembly.plugin()
        )


class _Seen(Mapping[str, str]):
    """Variables that remember which of them were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._variables[name]

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


@implementer(ILoaderSources)
class _TrialSources:
    """Sources for a load that is only tried. New identifiers are those that another such load has
    `drawn` in its turn; what would be written is not."""

    def __init__(self, sources: ILoaderSources, drawn: list[str]) -> None:
        self._sources = sources
        self._drawn = drawn
        self._used = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # All the rest is asked of the sources.
        asked: Callable[..., Any] = getattr(self._sources, name)
        return asked

    def new_id(self) -> str:
        """See `ILoaderSources`."""
        if self._used == len(self._drawn):
            self._drawn.append(self._sources.new_id())
        self._used += 1
        return self._drawn[self._used - 1]

    def runtime_set(self, component: str, key: str, value: str) -> None:
        """See `ILoaderSources`."""
