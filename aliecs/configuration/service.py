"""The configuration service over a store: run numbers, runtime entries, components, inventory.

What everything above sees of configuration when this process looks after it itself. The layout of
the tree is upstream's, so that a core moves between stores, and between this service and the
upstream one, with its tree unchanged. Keeps nothing of its own: every answer is the store's answer
of that moment.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.logger import Logger
from zope.interface import implementer

from aliecs.configuration.query import parse_query
from aliecs.configuration.tree import is_folder_mark, normal_key
from aliecs.errors import Conflict, Exhausted, InvalidInput, NotFound, NotImplementedYet
from aliecs.interfaces import IConfigurationService, IConfigurationStore

RUNTIME = "o2/runtime"
RUN_NUMBER = f"{RUNTIME}/run_number"
DETECTORS = "o2/hardware/detectors"
FLPS = "o2/hardware/flps"
TRIGGER = "TRG"

_LAST_RUN_NUMBER = 2**32 - 1
_ATTEMPTS = 50

_TEMPLATE_TAG = re.compile(r"\{\{|\{%|\{#")

_log = Logger()


@implementer(IConfigurationService)
class LocalConfigurationService:
    """The service over `store`, whose life it leads."""

    def __init__(self, store: IConfigurationStore) -> None:
        self.store = store

    async def start(self) -> None:
        """See `IConfigurationService.start`."""
        await self.store.start()

    async def stop(self) -> None:
        """See `IConfigurationService.stop`."""
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
        """The values directly in a folder, without blanks around them."""
        leaves = {}
        for key, value in (await self.store.items(folder)).items():
            name = key.removeprefix(f"{folder}/")
            if not name or "/" in name:
                continue
            if value != value.strip():
                _log.warn("{key} has blanks around its value, which are left out", key=key)
            leaves[name] = value.strip()
        return leaves

    # --- runtime entries -------------------------------------------------------------------------

    async def runtime_get(self, component: str, key: str) -> str:
        """See `IConfigurationService.runtime_get`."""
        full = _runtime_key(component, key)
        value = await self.store.get(full)
        if value is None:
            raise NotFound(f"there is no runtime entry {full}")
        return value

    async def runtime_set(self, component: str, key: str, value: str) -> None:
        """See `IConfigurationService.runtime_set`."""
        await self.store.put(_runtime_key(component, key), value)

    async def runtime_list(self, component: str) -> Sequence[str]:
        """See `IConfigurationService.runtime_list`. Keys in folders keep their slashes."""
        folder = f"{RUNTIME}/{normal_key(component)}" if component.strip("/") else RUNTIME
        keys = await self.store.list(folder)
        return [key.removeprefix(f"{folder}/") for key in keys if not is_folder_mark(key)]

    # --- components ------------------------------------------------------------------------------

    async def component_payload(self, path: str, variables: Mapping[str, str] | None) -> str:
        """See `IConfigurationService.component_payload`.

        Raises `InvalidInput` for what is no path, `NotFound`, and `NotImplementedYet` where
        `variables` are given for a payload that is a template.
        """
        query = parse_query(path)
        payload = await self.store.get(query.key)
        if payload is None:
            raise NotFound(f"no payload at configuration path {query.key}")
        if variables is not None and (tag := _TEMPLATE_TAG.search(payload)):
            line = payload.count("\n", 0, tag.start()) + 1
            raise NotImplementedYet(
                f"{query.key} is a template ({tag[0]} in line {line}); this version does not "
                "process templates in payloads, only payloads without them, or as they are stored"
            )
        return payload

    async def resolve_component(self, path: str) -> str:
        """See `IConfigurationService.resolve_component`. Raises `NotFound` where there is neither
        a payload nor a fallback."""
        query = parse_query(path)
        for candidate in query.fallbacks():
            if await self.store.get(candidate.key) is not None:
                return str(candidate)
        raise NotFound(f"could not resolve configuration path {query.key}")

    # --- inventory -------------------------------------------------------------------------------

    async def detectors(self, include_trigger: bool) -> Sequence[str]:
        """See `IConfigurationService.detectors`. The trigger is the one named TRG."""
        names = await self._members(DETECTORS)
        return [name for name in names if include_trigger or name != TRIGGER]

    async def host_inventory(self, detector: str) -> Sequence[str]:
        """See `IConfigurationService.host_inventory`. None for a detector that is not there."""
        if not detector:
            return await self._members(FLPS)
        return await self._members(f"{DETECTORS}/{_segment(detector, 'detector')}/flps")

    async def detector_for_host(self, host: str) -> str:
        """See `IConfigurationService.detector_for_host`."""
        _segment(host, "host")
        for key in await self.store.list(DETECTORS):
            segments = key.removeprefix(f"{DETECTORS}/").split("/")
            if len(segments) > 3 and segments[1:3] == ["flps", host]:
                return segments[0]
        raise NotFound(f"detector not found for host {host}: it is below no {DETECTORS}/*/flps")

    async def cards_for_host(self, host: str) -> Sequence[str]:
        """See `IConfigurationService.cards_for_host`. Raises `NotFound` for a host without the key
        `cards`, `InvalidInput` where that cannot be understood."""
        return sorted({card["serial"] for card in await self._cards(host)})

    async def endpoints_for_card(self, host: str, serial: str) -> Sequence[str]:
        """See `IConfigurationService.endpoints_for_card`. None for a card that is not there; errors
        as for `cards_for_host`."""
        return sorted({c["endpoint"] for c in await self._cards(host) if c["serial"] == serial})

    async def _members(self, folder: str) -> list[str]:
        """The names directly in a folder, in order of the keys."""
        keys = await self.store.list(folder)
        return list(dict.fromkeys(_first_segments(keys, folder)))

    async def _cards(self, host: str) -> list[dict[str, str]]:
        key = f"{FLPS}/{_segment(host, 'host')}/cards"
        text = await self.store.get(key)
        if text is None:
            raise NotFound(f"there are no cards of host {host}: no {key}")
        try:
            cards: Any = json.loads(text)
        except ValueError as error:
            raise InvalidInput(f"{key} is not JSON: {error}") from None
        if not isinstance(cards, dict) or not all(isinstance(c, dict) for c in cards.values()):
            raise InvalidInput(f"{key} must be an object of cards by their numbers")
        fields = ("serial", "endpoint")
        return [{field: str(card.get(field, "")) for field in fields} for card in cards.values()]


def _first_segments(keys: Iterable[str], folder: str) -> Iterable[str]:
    for key in keys:
        name = key.removeprefix(f"{folder}/").partition("/")[0]
        if name:
            yield name


def _runtime_key(component: str, key: str) -> str:
    return f"{RUNTIME}/{normal_key(f'{component}/{key}' if component.strip('/') else key)}"


def _segment(name: str, what: str) -> str:
    """`name`, where it is one segment of a key."""
    if "/" in name or normal_key(name) != name:
        raise InvalidInput(f"{name!r} is not the name of a {what}")
    return name
