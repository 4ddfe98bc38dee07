"""Configuration: the tree of keys below, and what everything above sees of it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

from attrs import frozen
from zope.interface import Attribute, Interface


class IConfigurationStore(Interface):
    """A tree of text under slash-separated keys. Coroutines; no call blocks the reactor.

    Errors: `Unavailable` where the store cannot be reached, never "no such key" for it.
    """

    uri: str = Attribute("where it is, without secrets")

    def start() -> Awaitable[None]:
        """Coroutine. Open the store."""

    def stop() -> Awaitable[None]:
        """Coroutine. Close it."""

    def get(key: str) -> Awaitable[str | None]:
        """Coroutine. The value, or None where the key does not exist."""

    def put(key: str, value: str) -> Awaitable[None]:
        """Coroutine. Set a value, making the key where it is missing."""

    def put_all(values: Mapping[str, str]) -> Awaitable[None]:
        """Coroutine. Set many values, all or none as far as the store can; a key with a slash at
        its end is an empty folder."""

    def delete(key: str) -> Awaitable[bool]:
        """Coroutine. Remove a key; True where it existed."""

    def list(prefix: str) -> Awaitable[Sequence[str]]:
        """Coroutine. All full keys below `prefix`, sorted."""

    def items(prefix: str) -> Awaitable[Mapping[str, str]]:
        """Coroutine. All full keys below `prefix` with their values."""

    def compare_and_set(key: str, expected: str | None, value: str) -> Awaitable[bool]:
        """Coroutine. Set `value` only if the present value is `expected` (None: no such key);
        True where it was set. Atomic against every other writer of the store."""

    def compare_and_delete(key: str, expected: str) -> Awaitable[bool]:
        """Coroutine. Remove a key only if its present value is `expected`; True where it was
        removed. Atomic against every other writer of the store."""


class IIndexedStore(IConfigurationStore):
    """A store that numbers its changes."""

    def get_with_index(key: str) -> Awaitable[tuple[str | None, int]]:
        """Coroutine. As `get`, with the number of the store's last change to it."""


@frozen
class PayloadImport:
    """A payload to set. `path` is `component/RUNTYPE/role/entry`."""

    path: str
    payload: str
    new_component: bool = False
    """The component is not known yet."""
    dry_run: bool = False
    """Only say what would change."""
    format: str = ""
    """What to check the payload as: json, yaml, ini or toml; empty: it is not checked."""
    user: str = ""
    comment: str = ""


@frozen
class PayloadChange:
    """What an import changed, or would change."""

    component_existed: bool
    entry_existed: bool
    changed: bool
    """False where the payload was already what it should become."""
    difference: str
    """From the former payload to the new one, as a unified diff."""
    notes: Sequence[str] = ()
    """What a person should know."""


@frozen
class HistoricPayload:
    """A payload as it was until it was overwritten or deleted."""

    version: str
    """Its name among all of the same path; later ones sort behind earlier ones."""
    replaced_ms: int
    replaced_by: str
    comment: str
    size_bytes: int


class IConfigurationService(Interface):
    """What everything above sees of configuration. Coroutines.

    A `path` is a component query `component/RUNTYPE/role/entry`. Errors of all: `InvalidInput` for
    names and paths that are none, `NotFound`, `Unavailable` where the tree cannot be reached.
    """

    uri: str = Attribute("where the tree is, without secrets")

    def start() -> Awaitable[None]:
        """Coroutine. Make ready."""

    def stop() -> Awaitable[None]:
        """Coroutine. Let go."""

    def new_run_number() -> Awaitable[int]:
        """Coroutine. The next run number: atomic, never given twice, also across restarts."""

    def defaults() -> Awaitable[Mapping[str, str]]:
        """Coroutine. The defaults layer of every environment (runtime folder `aliecs/defaults`
        and computed constants)."""

    def variables() -> Awaitable[Mapping[str, str]]:
        """Coroutine. The vars layer of every environment (runtime folder `aliecs/vars`)."""

    def runtime_get(component: str, key: str) -> Awaitable[str]:
        """Coroutine. A runtime entry; `NotFound` where there is none."""

    def runtime_set(component: str, key: str, value: str) -> Awaitable[None]:
        """Coroutine. Set a runtime entry."""

    def runtime_list(component: str) -> Awaitable[Sequence[str]]:
        """Coroutine. The keys of a component's runtime entries."""

    def runtime_entries(component: str) -> Awaitable[Mapping[str, str]]:
        """Coroutine. The keys of a component's runtime entries with their values."""

    def components() -> Awaitable[Sequence[str]]:
        """Coroutine. The names of all components, sorted."""

    def component_entries(
        component: str, run_type: str = "", role: str = "", exact: bool = False
    ) -> Awaitable[Sequence[str]]:
        """Coroutine. `RUNTYPE/role/entry` of a component's payloads, sorted: those of a run type
        and role where these are given, and unless `exact` those that stand in for them (`ANY`,
        `any`). `NotFound` for a component without any."""

    def component_payload(path: str, variables: Mapping[str, str] | None) -> Awaitable[str]:
        """Coroutine. The payload of exactly the component query `component/RUNTYPE/role/entry`
        (`resolve_component` finds the one to fall back to); `variables` given: processed as a
        payload template, None: as it is stored."""

    def component_payload_with_index(path: str) -> Awaitable[tuple[str, int]]:
        """Coroutine. A payload as it is stored, with the number of the last change to it;
        `NotImplementedYet` where the store counts none."""

    def resolve_component(path: str) -> Awaitable[str]:
        """Coroutine. The path that a component query falls back to."""

    def import_payload(order: PayloadImport) -> Awaitable[PayloadChange]:
        """Coroutine. Set a payload, or say what that would change. What was there is kept in the
        history. `Conflict` where the component is known and should be new, or the other way round;
        `InvalidInput` where the payload is not of its format."""

    def delete_payload(path: str, user: str, comment: str) -> Awaitable[None]:
        """Coroutine. Remove a payload, which the history keeps."""

    def payload_history(path: str) -> Awaitable[Sequence[HistoricPayload]]:
        """Coroutine. What a payload was before, the newest first."""

    def historic_payload(path: str, version: str) -> Awaitable[tuple[HistoricPayload, str]]:
        """Coroutine. One of the history, with its text."""

    def invalidate_templates() -> Awaitable[None]:
        """Coroutine. Forget payload templates that were made ready before."""

    def raw_recursive(key: str) -> Awaitable[str]:
        """Coroutine. The part of the tree at and below `key` (empty: all of it) as JSON."""

    def detectors(include_trigger: bool) -> Awaitable[Sequence[str]]:
        """Coroutine. Detector names of the inventory."""

    def host_inventory(detector: str) -> Awaitable[Sequence[str]]:
        """Coroutine. Hosts of a detector; all hosts for the empty text."""

    def detector_for_host(host: str) -> Awaitable[str]:
        """Coroutine. The detector of a host; `NotFound` where it has none."""

    def detectors_inventory() -> Awaitable[Mapping[str, Sequence[str]]]:
        """Coroutine. All detectors with their hosts."""

    def detectors_for_hosts(hosts: Sequence[str]) -> Awaitable[Sequence[str]]:
        """Coroutine. The detectors that some hosts belong to, sorted; `NotFound` where one of the
        hosts has none."""

    def cards_for_host(host: str) -> Awaitable[Sequence[str]]:
        """Coroutine. Serial numbers of the readout cards of a host, sorted."""

    def endpoints_for_card(host: str, serial: str) -> Awaitable[Sequence[str]]:
        """Coroutine. Endpoints of one card, sorted."""

    def link_ids(
        host: str, serial: str, endpoint: str, only_enabled: bool
    ) -> Awaitable[Sequence[str]]:
        """Coroutine. The numbers of the links at an endpoint of a CRU card, in their order."""

    def aliased_link_ids(detector: str, only_enabled: bool) -> Awaitable[Sequence[str]]:
        """Coroutine. The names of all links of a detector, sorted as texts."""
