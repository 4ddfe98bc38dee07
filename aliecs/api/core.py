"""What the operations of the control API work on, wired in `aliecs.service`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from attrs import define, field

from aliecs.access.audit import Audit
from aliecs.access.gate import Gate
from aliecs.api.automatic import AutomaticEnvironments
from aliecs.api.idempotency import OPERATION_ID as OPERATION_ID
from aliecs.api.idempotency import Requests
from aliecs.environment.environment import Environment
from aliecs.environment.manager import Manager
from aliecs.errors import InvalidInput
from aliecs.event.bus import Bus
from aliecs.interfaces import (
    IConfigurationService,
    IIntegration,
    IIntegrationFactory,
    IRepositories,
    ITaskBackend,
)
from aliecs.protocol.identifier import is_identifier
from aliecs.task.roster import Roster


@define(eq=False)
class Core:
    """What the operations work on, and what the core says of itself."""

    manager: Manager
    roster: Roster
    backend: ITaskBackend
    configuration: IConfigurationService
    repositories: IRepositories
    integrations: Mapping[str, IIntegration]
    integration_factories: Mapping[str, IIntegrationFactory]
    bus: Bus
    instance_name: str
    configuration_uri: str
    version: tuple[int, int, int]
    gate: Gate
    audit: Audit
    shut_down: Callable[[], None]
    """Ends the process, once everything in it has been ended."""
    endpoints: Mapping[str, str] = field(factory=dict)
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    automatic: AutomaticEnvironments = field(init=False)
    requests: Requests = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.automatic = AutomaticEnvironments(self.manager, self.bus)
        self.requests = Requests(self.manager.facilities.journal, self.now_ms)

    def environment(self, environment_id: str) -> Environment:
        """The environment that a request names. Raises `InvalidInput` and `NotFound`."""
        if not environment_id:
            raise InvalidInput("received nil request: the environment id is empty")
        if not is_identifier(environment_id):
            raise InvalidInput(
                f"received bad environment id {environment_id[:40]!r}: it has letters and digits "
                "of base58 only"
            )
        return self.manager.environment(environment_id)
