"""The configuration service of another process: a client of any apricot, ours or the reference's.

Every call has a deadline, and a connection that breaks is made anew. What only our own servers
offer (`aliecs.v1.Configuration`) is used where the server's reflection shows it; an import falls
back to the reference's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve
from zope.interface import implementer

from aliecs.configuration.components import unified_difference
from aliecs.configuration.format import check_payload
from aliecs.configuration.query import (
    ComponentQuery,
    checked_component,
    parse_query,
    parse_stored_query,
    select_entries,
)
from aliecs.configuration.wire import (
    APRICOT,
    EXTENDED,
    error_of_answer,
    history_of_message,
    path_of_message,
    query_message,
)
from aliecs.errors import InvalidInput, NotFound, NotImplementedYet, SettingsError, Unavailable
from aliecs.interfaces import (
    HistoricPayload,
    IConfigurationService,
    PayloadChange,
    PayloadImport,
)
from aliecs.protocol import aliecs_v1_configuration_pb2 as extended_pb2
from aliecs.protocol.protos import apricot_pb2
from aliecs.txgrpc.client import Channel
from aliecs.txgrpc.status import RpcError
from aliecs.txgrpc.stub import Stub

DEFAULT_PORT = 32101
CONNECT_DEADLINE_S = 10.0
CALL_DEADLINE_S = 30.0

# Back within a moment when the other side is back.
_OPTIONS: Mapping[str, int | str] = {
    "grpc.enable_http_proxy": 0,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
}

_EMPTY = apricot_pb2.Empty()


@implementer(IConfigurationService)
class RemoteConfigurationService:
    """The service at `apricot://host[:port]`. `call_deadline_s` limits each call, and
    `connect_deadline_s` the wait for a connection; `metadata` goes with every call."""

    def __init__(
        self,
        uri: str,
        call_deadline_s: float = CALL_DEADLINE_S,
        connect_deadline_s: float = CONNECT_DEADLINE_S,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        target = target_of(uri)
        self.uri = f"apricot://{target}"
        self._call_deadline_s = call_deadline_s
        self._connect_deadline_s = connect_deadline_s
        self._metadata = dict(metadata or {})
        self._channel = Channel(target, _OPTIONS)
        self._apricot = Stub(self._channel, APRICOT)
        self._extended = Stub(self._channel, EXTENDED)

    async def start(self) -> None:
        """See `IConfigurationService.start`. Raises `Unavailable` where nobody answers."""
        try:
            await self._channel.ready(self._connect_deadline_s)
        except RpcError as error:
            raise Unavailable(
                f"no configuration service answers at {self.uri} ({error.message}); is it running, "
                "and is this its gRPC port?"
            ) from None

    async def stop(self) -> None:
        """See `IConfigurationService.stop`."""
        await self._channel.close()

    async def _read(self, method: str, request: Any) -> Any:
        """A call that may be made twice: once more over a new connection where the old one is
        gone."""
        try:
            return await self._call(self._apricot, method, request)
        except Unavailable:
            try:
                await self._channel.ready(self._connect_deadline_s)
            except RpcError as error:
                raise error_of_answer(error, self.uri) from None
            return await self._call(self._apricot, method, request)

    async def _call(self, stub: Stub, method: str, request: Any) -> Any:
        try:
            return await getattr(stub, method)(
                request, deadline_s=self._call_deadline_s, metadata=self._metadata
            )
        except RpcError as error:
            raise error_of_answer(error, self.uri) from None

    # --- run numbers, runtime entries ------------------------------------------------------------

    async def new_run_number(self) -> int:
        """See `IConfigurationService.new_run_number`. A number whose answer was lost is skipped."""
        return int((await self._read("NewRunNumber", _EMPTY)).runNumber)

    async def defaults(self) -> Mapping[str, str]:
        """See `IConfigurationService.defaults`."""
        return dict((await self._read("GetDefaults", _EMPTY)).stringMap)

    async def variables(self) -> Mapping[str, str]:
        """See `IConfigurationService.variables`."""
        return dict((await self._read("GetVars", _EMPTY)).stringMap)

    async def runtime_get(self, component: str, key: str) -> str:
        """See `IConfigurationService.runtime_get`."""
        request = apricot_pb2.GetRuntimeEntryRequest(component=component, key=key)
        return str((await self._read("GetRuntimeEntry", request)).payload)

    async def runtime_set(self, component: str, key: str, value: str) -> None:
        """See `IConfigurationService.runtime_set`."""
        request = apricot_pb2.SetRuntimeEntryRequest(component=component, key=key, value=value)
        await self._read("SetRuntimeEntry", request)

    async def runtime_list(self, component: str) -> Sequence[str]:
        """See `IConfigurationService.runtime_list`."""
        request = apricot_pb2.ListRuntimeEntriesRequest(component=component)
        return sorted((await self._read("ListRuntimeEntries", request)).payload)

    async def runtime_entries(self, component: str) -> Mapping[str, str]:
        """See `IConfigurationService.runtime_entries`."""
        request = apricot_pb2.GetRuntimeEntriesRequest(component=component)
        return dict((await self._read("GetRuntimeEntries", request)).stringMap)

    # --- components ------------------------------------------------------------------------------

    async def components(self) -> Sequence[str]:
        """See `IConfigurationService.components`."""
        return sorted((await self._read("ListComponents", _EMPTY)).payload)

    async def component_entries(
        self, component: str, run_type: str = "", role: str = "", exact: bool = False
    ) -> Sequence[str]:
        """See `IConfigurationService.component_entries`."""
        query = apricot_pb2.ComponentEntriesQuery(
            component=checked_component(component), runType=apricot_pb2.ANY, machineRole="any"
        )
        request = apricot_pb2.ListComponentEntriesRequest(query=query)
        entries = sorted((await self._read("ListComponentEntries", request)).payload)
        return list(select_entries(entries, run_type, role, exact))

    async def component_payload(self, path: str, variables: Mapping[str, str] | None) -> str:
        """See `IConfigurationService.component_payload`."""
        request = apricot_pb2.ComponentRequest(
            query=query_message(parse_query(path)),
            processTemplate=variables is not None,
            varStack=variables or {},
        )
        return str((await self._read("GetComponentConfiguration", request)).payload)

    async def component_payload_with_index(self, path: str) -> tuple[str, int]:
        """See `IConfigurationService.component_payload_with_index`."""
        request = apricot_pb2.ComponentRequest(query=query_message(parse_query(path)))
        reply = await self._read("GetComponentConfigurationWithLastIndex", request)
        return reply.payload, reply.lastIndex

    async def resolve_component(self, path: str) -> str:
        """See `IConfigurationService.resolve_component`."""
        request = query_message(parse_query(path))
        return path_of_message(await self._read("ResolveComponentQuery", request))

    async def import_payload(self, order: PayloadImport) -> PayloadChange:
        """See `IConfigurationService.import_payload`. A server of the reference keeps no history;
        the result notes that."""
        query = parse_stored_query(order.path)
        if not await self._has_extended():
            return await self._import_plainly(query, order)
        request = extended_pb2.ImportPayloadRequest(
            path=str(query),
            payload=order.payload,
            new_component=order.new_component,
            dry_run=order.dry_run,
            format=order.format,
            user=order.user,
            comment=order.comment,
        )
        reply = await self._call(self._extended, "ImportPayload", request)
        return PayloadChange(
            component_existed=reply.component_existed,
            entry_existed=reply.entry_existed,
            changed=reply.changed,
            difference=reply.difference,
            notes=list(reply.notes),
        )

    async def delete_payload(self, path: str, user: str, comment: str) -> None:
        """See `IConfigurationService.delete_payload`."""
        request = extended_pb2.DeletePayloadRequest(path=path, user=user, comment=comment)
        await self._call_extended("DeletePayload", request)

    async def payload_history(self, path: str) -> Sequence[HistoricPayload]:
        """See `IConfigurationService.payload_history`."""
        request = extended_pb2.ListHistoryRequest(path=path)
        reply = await self._call_extended("ListHistory", request)
        return [history_of_message(message) for message in reply.payloads]

    async def historic_payload(self, path: str, version: str) -> tuple[HistoricPayload, str]:
        """See `IConfigurationService.historic_payload`."""
        request = extended_pb2.GetHistoricPayloadRequest(path=path, version=version)
        reply = await self._call_extended("GetHistoricPayload", request)
        return history_of_message(reply.about), reply.payload

    async def invalidate_templates(self) -> None:
        """See `IConfigurationService.invalidate_templates`."""
        await self._read("InvalidateComponentTemplateCache", _EMPTY)

    async def raw_recursive(self, key: str) -> str:
        """See `IConfigurationService.raw_recursive`."""
        request = apricot_pb2.RawGetRecursiveRequest(rawPath=key)
        return str((await self._read("RawGetRecursive", request)).payload)

    async def _has_extended(self) -> bool:
        try:
            return EXTENDED.full_name in await self._channel.services(self._call_deadline_s)
        except RpcError as error:
            raise error_of_answer(error, self.uri) from None

    async def _call_extended(self, method: str, request: Any) -> Any:
        if not await self._has_extended():
            raise NotImplementedYet(
                f"the configuration service {self.uri} has no history and deletes nothing"
            )
        return await self._call(self._extended, method, request)

    async def _import_plainly(self, query: ComponentQuery, order: PayloadImport) -> PayloadChange:
        """Import through the reference's message, with what it does not do done here."""
        path = str(query)
        notes = check_payload(path, order.payload, order.format)
        try:
            existed = bool(await self.component_entries(query.component))
        except NotFound:
            existed = False
        try:
            former: str | None = await self.component_payload(path, None)
        except NotFound:
            former = None
        change = PayloadChange(
            component_existed=existed,
            entry_existed=former is not None,
            changed=former != order.payload,
            difference=""
            if former == order.payload
            else unified_difference(path, former, order.payload),
            notes=[*notes, f"the configuration service {self.uri} keeps no history"],
        )
        if order.dry_run:
            return change
        request = apricot_pb2.ImportComponentConfigurationRequest(
            query=query_message(query), payload=order.payload, newComponent=order.new_component
        )
        reply = await self._call(self._apricot, "ImportComponentConfiguration", request)
        return evolve(change, component_existed=reply.existingComponentUpdated)

    # --- inventory -------------------------------------------------------------------------------

    async def detectors(self, include_trigger: bool) -> Sequence[str]:
        """See `IConfigurationService.detectors`."""
        request = apricot_pb2.DetectorsRequest(getAll=include_trigger)
        return _names((await self._read("ListDetectors", request)).detectors)

    async def host_inventory(self, detector: str) -> Sequence[str]:
        """See `IConfigurationService.host_inventory`."""
        request = apricot_pb2.HostGetRequest(detector=detector)
        return _names((await self._read("GetHostInventory", request)).hosts)

    async def detectors_inventory(self) -> Mapping[str, Sequence[str]]:
        """See `IConfigurationService.detectors_inventory`."""
        entries = (await self._read("GetDetectorsInventory", _EMPTY)).detectorEntries
        return {name: _names(entries[name].flps) for name in _names(entries)}

    async def detector_for_host(self, host: str) -> str:
        """See `IConfigurationService.detector_for_host`."""
        request = apricot_pb2.HostRequest(hostname=host)
        return str((await self._read("GetDetectorForHost", request)).payload)

    async def detectors_for_hosts(self, hosts: Sequence[str]) -> Sequence[str]:
        """See `IConfigurationService.detectors_for_hosts`."""
        request = apricot_pb2.HostsRequest(hosts=hosts)
        return _names((await self._read("GetDetectorsForHosts", request)).detectors)

    async def cards_for_host(self, host: str) -> Sequence[str]:
        """See `IConfigurationService.cards_for_host`."""
        request = apricot_pb2.HostRequest(hostname=host)
        text = (await self._read("GetCRUCardsForHost", request)).cards
        try:
            cards = json.loads(text or "null") or []
        except ValueError:
            raise InvalidInput(f"{self.uri} gives no list of the cards of {host}") from None
        return sorted(str(card) for card in cards)

    async def endpoints_for_card(self, host: str, serial: str) -> Sequence[str]:
        """See `IConfigurationService.endpoints_for_card`."""
        request = apricot_pb2.CardRequest(hostname=host, cardSerial=serial)
        return sorted((await self._read("GetEndpointsForCRUCard", request)).endpoints.split())

    async def link_ids(
        self, host: str, serial: str, endpoint: str, only_enabled: bool
    ) -> Sequence[str]:
        """See `IConfigurationService.link_ids`."""
        request = apricot_pb2.LinkIDsRequest(
            hostname=host, cardSerial=serial, endpoint=endpoint, onlyEnabled=only_enabled
        )
        links = (await self._read("GetLinkIDsForCRUEndpoint", request)).linkIDs
        return sorted(links, key=lambda link: (len(link), link))

    async def aliased_link_ids(self, detector: str, only_enabled: bool) -> Sequence[str]:
        """See `IConfigurationService.aliased_link_ids`."""
        request = apricot_pb2.AliasedLinkIDsRequest(detector=detector, onlyEnabled=only_enabled)
        return sorted((await self._read("GetAliasedLinkIDsForDetector", request)).aliasedLinkIDs)


def target_of(uri: str) -> str:
    """`host:port` of an address `apricot://host[:port]`. Raises `SettingsError`."""
    try:
        parts = urlsplit(uri)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    if not parts.hostname or parts.scheme != "apricot" or parts.path.strip("/") or parts.username:
        raise SettingsError(
            f"{uri!r} is no address of a configuration service, which is apricot://host:port"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def _names(names: Any) -> list[str]:
    """Names as some servers give them: in any order, perhaps with an empty one."""
    return sorted(name for name in names if name)
