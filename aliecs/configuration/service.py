"""The configuration service over a store: run numbers, runtime entries, components, inventory.

What everything above sees of configuration when this process looks after it itself. The layout of
the tree is upstream's, so that a core moves between stores, and between this service and the
upstream one, with its tree unchanged. Keeps nothing of its own but templates made ready: every
answer is the store's answer of that moment. Payloads are in `components`, hosts in `inventory`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.logger import Logger
from zope.interface import implementer

from aliecs.configuration.components import Components
from aliecs.configuration.inventory import Inventory
from aliecs.configuration.processing import Processing
from aliecs.configuration.query import parse_stored_query
from aliecs.configuration.tree import is_folder_mark, normal_key
from aliecs.errors import Conflict, Exhausted, NotFound
from aliecs.interfaces import (
    HistoricPayload,
    IConfigurationService,
    IConfigurationStore,
    PayloadChange,
    PayloadImport,
)

RUNTIME = "o2/runtime"
RUN_NUMBER = f"{RUNTIME}/run_number"

_LAST_RUN_NUMBER = 2**32 - 1
_ATTEMPTS = 50

_log = Logger()


@implementer(IConfigurationService)
class LocalConfigurationService:
    """The service over `store`, whose life it leads.

    `reactor` is where the work of threads comes back to; with `trim_space` defaults and variables
    of environments lose blanks around their values.
    """

    def __init__(self, store: IConfigurationStore, reactor: Any, trim_space: bool = True) -> None:
        self.store = store
        self.uri = store.uri
        self._trim_space = trim_space
        self._inventory = Inventory(store)
        self._processing = Processing(reactor, self._stored)
        self._components = Components(store, self._processing)

    async def start(self) -> None:
        """See `IConfigurationService.start`."""
        await self.store.start()
        self._processing.start()

    async def stop(self) -> None:
        """See `IConfigurationService.stop`."""
        await self._processing.stop()
        await self.store.stop()

    # --- run numbers -----------------------------------------------------------------------------

    async def new_run_number(self) -> int:
        """See `IConfigurationService.new_run_number`. The key holds the last number given, in
        decimal; a missing one stands for 0.

        Raises `Conflict` where it holds something else or too many others take numbers now, and
        `Exhausted` after number 4294967295.
        """
        for _ in range(_ATTEMPTS):
            last = await self.store.get(RUN_NUMBER)
            if last is not None and not re.fullmatch(r"[0-9]{1,10}", last):
                raise Conflict(
                    f"{RUN_NUMBER} holds {last!r}, which is no run number; set it to the last "
                    "number that was used"
                )
            number = int(last or "0") + 1
            if number > _LAST_RUN_NUMBER:
                raise Exhausted(f"{RUN_NUMBER} holds {last}: there are no run numbers left")
            if await self.store.compare_and_set(RUN_NUMBER, last, str(number)):
                return number
        raise Conflict(f"no run number: {RUN_NUMBER} changed {_ATTEMPTS} times meanwhile")

    # --- what every environment starts from ------------------------------------------------------

    async def defaults(self) -> Mapping[str, str]:
        """See `IConfigurationService.defaults`. The constants are upstream's: `consul_base_uri`
        and its parts (the store's address), `framework_id`, `core_hostname`. A store that is no
        server has no address: then whoever runs a Consul for the tasks may say here where."""
        values = await self._leaves(f"{RUNTIME}/aliecs/defaults")
        place = urlsplit(self.store.uri)
        address = {
            "consul_hostname": place.hostname or "",
            "consul_port": str(place.port or ""),
            "consul_endpoint": place.netloc,
        }
        return {
            **({**values, **address} if place.netloc else {**address, **values}),
            "consul_base_uri": self.store.uri,
            "framework_id": await self.store.get(f"{RUNTIME}/aliecs/mesos_fid") or "",
            "core_hostname": socket.gethostname(),
        }

    async def variables(self) -> Mapping[str, str]:
        """See `IConfigurationService.variables`."""
        return await self._leaves(f"{RUNTIME}/aliecs/vars")

    async def _leaves(self, folder: str) -> dict[str, str]:
        """The values directly in a folder."""
        leaves = {}
        for key, value in (await self.store.items(folder)).items():
            name = key.removeprefix(f"{folder}/")
            if not name or "/" in name:
                continue
            if value != value.strip():
                done = "left out" if self._trim_space else "kept"
                _log.warn("{key} has blanks around its value, {done}", key=key, done=done)
            leaves[name] = value.strip() if self._trim_space else value
        return leaves

    # --- runtime entries -------------------------------------------------------------------------

    async def runtime_get(self, component: str, key: str) -> str:
        """See `IConfigurationService.runtime_get`."""
        full = runtime_key(component, key)
        value = await self.store.get(full)
        if value is None:
            raise NotFound(f"there is no runtime entry {full}")
        return value

    async def runtime_set(self, component: str, key: str, value: str) -> None:
        """See `IConfigurationService.runtime_set`."""
        await self.store.put(runtime_key(component, key), value)

    async def runtime_list(self, component: str) -> Sequence[str]:
        """See `IConfigurationService.runtime_list`. Keys in folders keep their slashes."""
        folder = _runtime_folder(component)
        keys = await self.store.list(folder)
        return [key.removeprefix(f"{folder}/") for key in keys if not is_folder_mark(key)]

    async def runtime_entries(self, component: str) -> Mapping[str, str]:
        """See `IConfigurationService.runtime_entries`. One read, of one moment."""
        folder = _runtime_folder(component)
        values = await self.store.items(folder)
        return {
            key.removeprefix(f"{folder}/"): value
            for key, value in values.items()
            if not is_folder_mark(key)
        }

    # --- components ------------------------------------------------------------------------------

    async def components(self) -> Sequence[str]:
        """See `IConfigurationService.components`."""
        return await self._components.names()

    async def component_entries(
        self, component: str, run_type: str = "", role: str = "", exact: bool = False
    ) -> Sequence[str]:
        """See `IConfigurationService.component_entries`."""
        return await self._components.entries(component, run_type, role, exact)

    async def component_payload(self, path: str, variables: Mapping[str, str] | None) -> str:
        """See `IConfigurationService.component_payload`."""
        if variables is None:
            return await self._components.stored(path)
        return await self._components.processed(path, variables)

    async def component_payload_with_index(self, path: str) -> tuple[str, int]:
        """See `IConfigurationService.component_payload_with_index`."""
        return await self._components.stored_with_index(path)

    async def resolve_component(self, path: str) -> str:
        """See `IConfigurationService.resolve_component`. Raises `NotFound` where there is neither
        a payload nor a fallback."""
        return await self._components.resolve(path)

    async def import_payload(self, order: PayloadImport) -> PayloadChange:
        """See `IConfigurationService.import_payload`."""
        return await self._components.import_payload(order)

    async def delete_payload(self, path: str, user: str, comment: str) -> None:
        """See `IConfigurationService.delete_payload`."""
        await self._components.delete(path, user, comment)

    async def payload_history(self, path: str) -> Sequence[HistoricPayload]:
        """See `IConfigurationService.payload_history`."""
        return await self._components.history.all(parse_stored_query(path))

    async def historic_payload(self, path: str, version: str) -> tuple[HistoricPayload, str]:
        """See `IConfigurationService.historic_payload`."""
        return await self._components.history.get(parse_stored_query(path), version)

    async def invalidate_templates(self) -> None:
        """See `IConfigurationService.invalidate_templates`."""
        self._processing.forget()

    async def raw_recursive(self, key: str) -> str:
        """See `IConfigurationService.raw_recursive`."""
        return await self._components.raw_recursive(key)

    async def _stored(self, path: str) -> str:
        return await self._components.stored(path)

    # --- inventory -------------------------------------------------------------------------------

    async def detectors(self, include_trigger: bool) -> Sequence[str]:
        """See `IConfigurationService.detectors`."""
        return await self._inventory.detectors(include_trigger)

    async def host_inventory(self, detector: str) -> Sequence[str]:
        """See `IConfigurationService.host_inventory`. None for a detector that is not there."""
        return await self._inventory.hosts(detector)

    async def detectors_inventory(self) -> Mapping[str, Sequence[str]]:
        """See `IConfigurationService.detectors_inventory`."""
        return await self._inventory.by_detector()

    async def detector_for_host(self, host: str) -> str:
        """See `IConfigurationService.detector_for_host`."""
        return await self._inventory.detector_of(host)

    async def detectors_for_hosts(self, hosts: Sequence[str]) -> Sequence[str]:
        """See `IConfigurationService.detectors_for_hosts`."""
        return await self._inventory.detectors_of(hosts)

    async def cards_for_host(self, host: str) -> Sequence[str]:
        """See `IConfigurationService.cards_for_host`. Raises `NotFound` for a host without the key
        `cards`, `InvalidInput` where that cannot be understood."""
        return await self._inventory.cards(host)

    async def endpoints_for_card(self, host: str, serial: str) -> Sequence[str]:
        """See `IConfigurationService.endpoints_for_card`. None for a card that is not there; errors
        as for `cards_for_host`."""
        return await self._inventory.endpoints(host, serial)

    async def link_ids(
        self, host: str, serial: str, endpoint: str, only_enabled: bool
    ) -> Sequence[str]:
        """See `IConfigurationService.link_ids`."""
        return await self._inventory.links(host, serial, endpoint, only_enabled)

    async def aliased_link_ids(self, detector: str, only_enabled: bool) -> Sequence[str]:
        """See `IConfigurationService.aliased_link_ids`."""
        return await self._inventory.aliased_links(detector, only_enabled)


def runtime_key(component: str, key: str) -> str:
    """The key of a runtime entry. Raises `InvalidInput` where it would lie elsewhere."""
    return f"{RUNTIME}/{normal_key(f'{component}/{key}' if component.strip('/') else key)}"


def _runtime_folder(component: str) -> str:
    return f"{RUNTIME}/{normal_key(component)}" if component.strip("/") else RUNTIME
