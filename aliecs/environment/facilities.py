"""What every environment works with: made once in `aliecs.service`, handed to all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from aliecs.environment.dump import Dumps
from aliecs.environment.loading import Loaders
from aliecs.environment.operation import Operations
from aliecs.event.bus import Bus
from aliecs.interfaces import IConfigurationService, IIntegration
from aliecs.journal import Journal
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.task.roster import Roster
from aliecs.task.taskclass import TaskClasses
from aliecs.workflow.loader import TemplateCache


@frozen
class Options:
    """Settings that environments look at; durations are seconds.

    `defaults` are variables below everything else, such as the interpreter for tasks in Python.
    """

    fmq_plugin: str = "OCClite"
    fmq_plugin_search_path: str = "$CONTROL_OCCPLUGIN_ROOT/lib/"
    deploy_timeout_s: float = 90.0
    configure_timeout_s: float = 120.0
    transition_timeout_s: float = 90.0
    load_timeout_s: float = 60.0
    clean_shared_memory: bool = False
    defaults: Mapping[str, str] = {}


@frozen
class Facilities:
    """See the module."""

    roster: Roster
    configuration: IConfigurationService
    integrations: Mapping[str, IIntegration]
    loaders: Loaders
    bus: Bus
    journal: Journal
    operations: Operations
    identifiers: IdentifierGenerator
    clock: IReactorTime
    options: Options
    dumps: Dumps | None = None
    """Where loading a workflow may leave files for people."""
    templates: TemplateCache = field(factory=TemplateCache)
    classes: TaskClasses = field(factory=TaskClasses)
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
