"""The inventory: detectors, their hosts, the readout cards of hosts, and the links of cards.

Read from the folders `o2/hardware` and `o2/components/readoutcard` of a store, anew each time.
Results are sorted, so that two askers are told the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from aliecs.configuration.query import COMPONENTS
from aliecs.configuration.tree import normal_key
from aliecs.errors import InvalidInput, NotFound
from aliecs.interfaces import IConfigurationStore

DETECTORS = "o2/hardware/detectors"
FLPS = "o2/hardware/flps"
READOUT_CARDS = f"{COMPONENTS}/readoutcard"
TRIGGER = "TRG"

# fmt: off
SYSTEMS = frozenset((
    "TPC", "TRD", "TOF", "HMP", "PHS", "CPV", "MCH", "ZDC", "TRG", "EMC", "TST", "ITS", "FDD",
    "FT0", "FV0", "MFT", "MID", "DCS", "FOC", "FIT", "NIL", "FLP", "EPN", "PDP",
))
# fmt: on
"""The names that the experiment has for its detectors and other systems."""

_LINK = re.compile(r"link([0-9]+)")


@frozen
class Inventory:
    """The inventory in `store`. Methods and errors are those of `IConfigurationService`."""

    store: IConfigurationStore

    async def detectors(self, include_trigger: bool) -> Sequence[str]:
        """All detectors. The trigger is the one named TRG."""
        names = await self._members(DETECTORS)
        return [name for name in names if include_trigger or name != TRIGGER]

    async def hosts(self, detector: str) -> Sequence[str]:
        """The hosts of a detector, none for one that is not there; all hosts for an empty name."""
        if not detector:
            return await self._members(FLPS)
        return await self._members(f"{DETECTORS}/{segment(detector, 'detector')}/flps")

    async def by_detector(self) -> Mapping[str, Sequence[str]]:
        """All detectors with their hosts, read at once."""
        hosts: dict[str, set[str]] = {}
        for key in await self.store.list(DETECTORS):
            detector, *rest = key.removeprefix(f"{DETECTORS}/").split("/")
            if not detector:
                continue
            of_detector = hosts.setdefault(detector, set())
            if len(rest) > 1 and rest[0] == "flps" and rest[1]:
                of_detector.add(rest[1])
        return {detector: sorted(hosts[detector]) for detector in sorted(hosts)}

    async def detector_of(self, host: str) -> str:
        """The detector of a host."""
        return (await self._detectors_of([host]))[0]

    async def detectors_of(self, hosts: Sequence[str]) -> Sequence[str]:
        """The detectors of some hosts, sorted, each once."""
        return sorted(set(await self._detectors_of(hosts)))

    async def cards(self, host: str) -> Sequence[str]:
        """Serial numbers of the cards of a host."""
        return sorted({card["serial"] for card in await self._cards(host)})

    async def endpoints(self, host: str, serial: str) -> Sequence[str]:
        """The endpoints of one card; none for a card that is not there."""
        return sorted({c["endpoint"] for c in await self._cards(host) if c["serial"] == serial})

    async def links(
        self, host: str, serial: str, endpoint: str, only_enabled: bool
    ) -> Sequence[str]:
        """Numbers of the links at an endpoint of a CRU."""
        folder = f"{READOUT_CARDS}/{segment(host, 'host')}/cru"
        key = f"{folder}/{segment(serial, 'card')}/{segment(endpoint, 'endpoint of a card')}"
        text = await self.store.get(key)
        if text is None:
            raise NotFound(f"there is no CRU configuration {key}")
        return links_of(key, text, only_enabled)

    async def aliased_links(self, detector: str, only_enabled: bool) -> Sequence[str]:
        """The names of all links of a detector, by what its hosts' `aliases` say."""
        folder = f"{DETECTORS}/{segment(detector, 'detector')}"
        values = await self.store.items(folder)
        if not values:
            raise NotFound(f"there is no detector {detector}: nothing is below {folder}")
        prefix = f"{folder}/flps/"
        keys = (key.removeprefix(prefix) for key in values if key.startswith(prefix))
        names: list[str] = []
        for host in sorted({key.partition("/")[0] for key in keys} - {""}):
            key = f"{prefix}{host}/aliases"
            if key not in values:
                raise NotFound(f"the links of host {host} have no names: there is no {key}")
            aliases = _object(key, values[key]).get("cards", {})
            names += await self._aliased_links_of_host(host, only_enabled, key, aliases)
        return sorted(names)

    async def _aliased_links_of_host(
        self, host: str, only_enabled: bool, key: str, aliases: Any
    ) -> list[str]:
        folder = f"{READOUT_CARDS}/{host}/cru"
        configurations = await self.store.items(folder)
        names = []
        for serial, endpoint in sorted(
            {(c["serial"], c["endpoint"]) for c in await self._cards(host)}
        ):
            of_endpoint = f"{folder}/{serial}/{endpoint}"
            if of_endpoint not in configurations:
                raise NotFound(f"there is no CRU configuration {of_endpoint}")
            for link in links_of(of_endpoint, configurations[of_endpoint], only_enabled):
                names.append(_alias(key, aliases, f"{serial}:{endpoint}", link))
        return names

    async def _detectors_of(self, hosts: Sequence[str]) -> list[str]:
        for host in hosts:
            segment(host, "host")
        detectors: dict[str, str] = {}
        for key in await self.store.list(DETECTORS) if hosts else ():
            segments = key.removeprefix(f"{DETECTORS}/").split("/")
            if len(segments) > 3 and segments[1] == "flps":
                detectors.setdefault(segments[2], segments[0])
        for host in hosts:
            if host not in detectors:
                raise NotFound(
                    f"detector not found for host {host}: it is below no {DETECTORS}/*/flps"
                )
        return [detectors[host] for host in hosts]

    async def _members(self, folder: str) -> list[str]:
        """The names directly in a folder."""
        return sorted(set(_first_segments(await self.store.list(folder), folder)))

    async def _cards(self, host: str) -> list[dict[str, str]]:
        key = f"{FLPS}/{segment(host, 'host')}/cards"
        text = await self.store.get(key)
        if text is None:
            raise NotFound(f"there are no cards of host {host}: no {key}")
        cards = _object(key, text)
        if not all(isinstance(card, dict) for card in cards.values()):
            raise InvalidInput(f"{key} must be an object of cards by their numbers")
        fields = ("serial", "endpoint")
        return [{field: str(card.get(field, "")) for field in fields} for card in cards.values()]


def links_of(key: str, text: str, only_enabled: bool) -> list[str]:
    """The numbers of the links in a CRU configuration, in their order; `key` is where it stands.
    What says nothing of being enabled is none."""
    links = []
    for name, member in _object(key, text).items():
        if not isinstance(member, dict):
            raise InvalidInput(f"{key}: {name} is no object")
        match = _LINK.fullmatch(name)
        if match is None or "enabled" not in member:
            continue
        if not only_enabled or str(member["enabled"]).lower() == "true":
            links.append(match[1])
    return sorted(links, key=int)


def segment(name: str, what: str) -> str:
    """`name`, where it is one segment of a key; raises `InvalidInput` where not."""
    if "/" in name or normal_key(name) != name:
        raise InvalidInput(f"{name!r} is not the name of a {what}")
    return name


def _alias(key: str, aliases: Any, endpoint: str, link: str) -> str:
    try:
        return str(aliases[endpoint]["links"][link]["alias"])
    except (KeyError, TypeError):
        raise NotFound(f"{key} has no name for link {link} of {endpoint}") from None


def _object(key: str, text: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{key} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{key} must be a JSON object")
    return value


def _first_segments(keys: Iterable[str], folder: str) -> Iterable[str]:
    for key in keys:
        name = key.removeprefix(f"{folder}/").partition("/")[0]
        if name:
            yield name
