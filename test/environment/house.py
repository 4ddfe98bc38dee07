"""A core without processes for tests of environments: everything real but the hosts.

    house = await House.make(case, workflows={"w": "...yaml..."}, tasks={"t": "...yaml..."})
    environment = await house.create("w")

Journal, configuration, loader threads, integrations, roster and manager are those of the product;
hosts and tasks are those of the simulated backend, whose behaviour a test can change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from aliecs.backend.simulated import Behaviour, SimulatedBackend, SimulatedHost
from aliecs.configuration.opening import open_configuration
from aliecs.environment.environment import Environment
from aliecs.environment.exclusion import Target
from aliecs.environment.facilities import Facilities, Options
from aliecs.environment.generation import Generator
from aliecs.environment.loading import Loaders
from aliecs.environment.machine import Event
from aliecs.environment.manager import CreationRequest, DestructionRequest, Manager
from aliecs.environment.modification import Modification, ModificationRequest
from aliecs.environment.operation import Operations
from aliecs.errors import NotFound
from aliecs.event.bus import Bus
from aliecs.event.record import Event as BusEvent
from aliecs.event.record import User
from aliecs.integration.factory import make_integrations
from aliecs.interfaces import IRepositories, RepositoryInfo, TemplateInfo, TemplateText
from aliecs.journal import Journal
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.task.roster import Roster
from test.folder import temporary_folder

ME = User(name="tester")
TICK_S = 0.005


@implementer(IRepositories)
@define
class TextRepositories:
    """Workflow repositories whose files are texts of the test."""

    files: Mapping[str, str]
    global_default_revision: str = "main"

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def list(self, with_revisions: bool) -> Sequence[RepositoryInfo]:
        return []

    async def workflow(self, expression: str) -> TemplateText:
        name = expression.rpartition("/workflows/")[2].partition("@")[0]
        return self._text(f"workflows/{name}.yaml")

    async def task_class(self, identifier: str) -> TemplateText:
        name = identifier.rpartition("/tasks/")[2].partition("@")[0]
        return self._text(f"tasks/{name}.yaml")

    async def jit_file(self, repository: str, revision: str, name: str) -> str | None:
        return None

    async def templates(
        self, repository_pattern: str, revision_pattern: str, all_branches: bool, all_tags: bool
    ) -> Sequence[TemplateInfo]:
        return []

    def _text(self, path: str) -> TemplateText:
        if path not in self.files:
            raise NotFound(f"there is no {path}")
        return TemplateText("test", "0" * 40, path, self.files[path].encode())


@define
class House:
    """See the module."""

    manager: Manager
    backend: SimulatedBackend
    roster: Roster
    journal: Journal
    bus: Bus
    events: list[BusEvent] = field(factory=list)

    @classmethod
    async def make(
        cls,
        case: TestCase,
        workflows: Mapping[str, str],
        tasks: Mapping[str, str] | None = None,
        hosts: Sequence[SimulatedHost] = (SimulatedHost("host1"), SimulatedHost("host2")),
        behaviour: Behaviour | None = None,
        options: Options | None = None,
        **roster: Any,
    ) -> House:
        folder = temporary_folder(case)
        clock: Any = reactor
        identifiers = IdentifierGenerator()
        files = {f"workflows/{name}.yaml": text for name, text in workflows.items()}
        files |= {f"tasks/{name}.yaml": text for name, text in (tasks or {}).items()}
        configuration = open_configuration("sqlite://", folder, reactor)
        await configuration.start()
        case.addCleanup(lambda: Deferred.fromCoroutine(configuration.stop()))
        journal = Journal(folder / "journal.db", clock)
        journal.start()
        case.addCleanup(journal.stop)
        repositories = TextRepositories(files)
        generator = Generator(configuration, repositories)
        loaders = Loaders(reactor, configuration, repositories, identifiers, generator)
        loaders.start()
        case.addCleanup(lambda: Deferred.fromCoroutine(loaders.stop()))
        bus = Bus()
        backend = SimulatedBackend(clock, hosts, behaviour or Behaviour())
        made = Roster(
            backend=backend,
            bus=bus,
            journal=journal,
            clock=clock,
            identifiers=identifiers,
            **roster,
        )
        await backend.start(made)
        made.start()
        case.addCleanup(made.stop)
        manager = Manager(
            Facilities(
                roster=made,
                configuration=configuration,
                integrations=make_integrations(["testplugin"], {}, clock),
                loaders=loaders,
                bus=bus,
                journal=journal,
                operations=Operations(identifiers),
                identifiers=identifiers,
                clock=clock,
                options=options or Options(),
            )
        )
        house = cls(manager, backend, made, journal, bus)
        bus.add_sink(house)  # type: ignore[arg-type]
        case.addCleanup(lambda: Deferred.fromCoroutine(house.end()))
        return house

    def deliver(self, event: BusEvent) -> None:
        """See `IEventSink`."""
        self.events.append(event)

    async def end(self) -> None:
        """Destroy what is left."""
        for environment in self.manager.environments():
            await self.destroy(environment, force=True)

    async def create(self, name: str, **variables: str) -> Environment:
        """Create an environment and wait for it."""
        request = CreationRequest(f"test/workflows/{name}", variables, ME)
        made: Environment = await self.manager.create(request).wait()
        return made

    async def control(self, environment: Environment, event: Event) -> None:
        """One transition, to its end."""
        await self.manager.control(environment.id, event, ME).wait()

    async def destroy(self, environment: Environment, **options: bool) -> Any:
        """Destroy an environment."""
        request = DestructionRequest(ME, **options)
        return await self.manager.destroy(environment.id, request).wait()

    async def modify(self, environment: Environment, event: Event, *targets: str) -> None:
        """Exclude or include roles, or detectors where a name begins with `detector `."""
        wanted = Modification(event, tuple(map(target, targets)))
        request = ModificationRequest((wanted,), ME, "why")
        await self.manager.alterations.modify(environment.id, request).wait()

    async def exclude(self, environment: Environment, *targets: str) -> None:
        """Exclude roles or detectors."""
        await self.modify(environment, Event.EXCLUDE, *targets)

    async def include(self, environment: Environment, *targets: str) -> None:
        """Include them again."""
        await self.modify(environment, Event.INCLUDE, *targets)

    async def until(self, holds: Any, deadline_s: float = 5.0) -> None:
        """Wait until something is true."""
        clock: Any = reactor
        end = clock.seconds() + deadline_s
        while not holds():
            assert clock.seconds() < end, "not in time"
            await deferLater(clock, TICK_S)

    def told(self, kind: str) -> list[Any]:
        """The payloads of all events of one kind, such as `run`."""
        return [event.payload for event in self.events if event.payload.topic == kind]


def target(name: str) -> Target:
    """A role by its path, or `detector NAME`."""
    detector = name.removeprefix("detector ")
    return Target(role=name) if detector == name else Target(detector=detector)


def calls(*roles: str) -> str:
    """A workflow of calls: each role is `name: func, trigger[, key: value]...`."""
    lines = ["name: w", "roles:"]
    for role in roles:
        name, _, rest = role.partition(": ")
        func, trigger, *more = rest.split(", ")
        lines += [f"  - name: {name}", "    call:", f"      func: {func}"]
        lines += [f"      trigger: {trigger}", "      timeout: 5s"]
        lines += [f"      {line}" for line in more if not line.startswith("var ")]
        variables = [line.removeprefix("var ") for line in more if line.startswith("var ")]
        if variables:
            lines.append("    vars:")
            lines += [f"      {line}" for line in variables]
    return "\n".join(lines)


DIRECT = """
name: {name}
control: {{mode: direct}}
wants: {{cpu: 0.1, memory: 10}}
command: {{value: {name}}}
"""
BASIC = DIRECT.replace("direct", "basic")


def direct(name: str) -> str:
    """A task template of mode direct."""
    return DIRECT.format(name=name)


def basic(name: str) -> str:
    """A task template of mode basic."""
    return BASIC.format(name=name)
