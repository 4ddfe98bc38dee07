"""The configuration service on gRPC: `apricot.Apricot` as the reference's clients know it, and
`aliecs.v1.Configuration`, which goes beyond it. Both over any `IConfigurationService`.

The reference's clients expect INVALID_ARGUMENT where a request makes no sense and UNKNOWN with a
text for everything else; ours find the code of the error beside it. No call takes longer than its
deadline, whatever the store does.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aliecs.configuration.query import checked_component, parse_entries_path, parse_query
from aliecs.configuration.wire import (
    NIL,
    ServiceFailed,
    history_message,
    path_of_message,
    query_message,
)
from aliecs.errors import AliecsError, DeadlineExceeded, Exhausted, InvalidInput, NotFound
from aliecs.interfaces import IConfigurationService, PayloadImport, Role
from aliecs.protocol import aliecs_v1_configuration_pb2 as extended_pb2
from aliecs.protocol.protos import apricot_pb2
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.status import ERROR_CODE

DEADLINE_S = 30.0
LARGEST_REPLY = 45_000_000
"""Bytes; clients take no more."""

A = TypeVar("A")
T = TypeVar("T")

_log = Logger()

MayChange = Callable[[ServerCall, Role], Awaitable[None]]
"""Raises `Unauthenticated` or `Forbidden` for a caller who has less than that role."""


async def may_all(call: ServerCall, role: Role) -> None:
    """Everybody may change everything, as in the reference."""


@define(eq=False)
class _Face:
    """What both services have in common."""

    service: IConfigurationService
    clock: IReactorTime
    deadline_s: float = field(default=DEADLINE_S, kw_only=True)
    may_change: MayChange = field(default=may_all, kw_only=True)
    """Asked before anything is changed."""

    async def _in_time(self, call: ServerCall, asked: Awaitable[T]) -> T:
        """What the service answers. Raises `DeadlineExceeded`; any other error leaves its code for
        our own clients."""
        _log.debug("{path} for {peer}", path=call.path, peer=call.peer)

        async def answer() -> T:
            return await asked

        try:
            # An await of a Deferred; whatever the service awaits inside is cancelled with it.
            result: Any = await Deferred.fromCoroutine(answer()).addTimeout(
                self.deadline_s, self.clock
            )
        except TimeoutError:
            raise DeadlineExceeded(
                f"the configuration did not answer within {self.deadline_s:g} s"
            ) from None
        except AliecsError as error:
            call.trailing[ERROR_CODE] = error.code
            raise
        given: T = result
        return given


@define(eq=False)
class Apricot(_Face):
    """The service `apricot.Apricot`."""

    async def _ask(self, call: ServerCall, asked: Awaitable[T]) -> T:
        try:
            return await self._in_time(call, asked)
        except DeadlineExceeded:
            raise
        except AliecsError as error:
            raise ServiceFailed(error.message) from error

    # --- run numbers and what every environment starts from ------------------------------------

    async def NewRunNumber(
        self, request: apricot_pb2.Empty, call: ServerCall
    ) -> apricot_pb2.RunNumberResponse:
        """The next run number."""
        await self.may_change(call, Role.ADMIN)
        number = await self._ask(call, self.service.new_run_number())
        return apricot_pb2.RunNumberResponse(runNumber=number)

    async def GetDefaults(
        self, request: apricot_pb2.Empty, call: ServerCall
    ) -> apricot_pb2.StringMap:
        """The defaults of environments. The reference answers without them when its store is away,
        and the environment lacks them in silence; here that is an error."""
        defaults = await self._ask(call, self.service.defaults())
        return apricot_pb2.StringMap(stringMap=defaults)

    async def GetVars(self, request: apricot_pb2.Empty, call: ServerCall) -> apricot_pb2.StringMap:
        """The variables of environments. As `GetDefaults`."""
        variables = await self._ask(call, self.service.variables())
        return apricot_pb2.StringMap(stringMap=variables)

    async def RawGetRecursive(
        self, request: apricot_pb2.RawGetRecursiveRequest, call: ServerCall
    ) -> apricot_pb2.ComponentResponse:
        """A part of the tree as JSON."""
        text = await self._ask(call, self.service.raw_recursive(request.rawPath))
        if len(text) > LARGEST_REPLY:
            raise Exhausted(f"{request.rawPath or 'the tree'} is too large: ask for parts of it")
        return apricot_pb2.ComponentResponse(payload=text)

    # --- inventory -----------------------------------------------------------------------------

    async def ListDetectors(
        self, request: apricot_pb2.DetectorsRequest, call: ServerCall
    ) -> apricot_pb2.DetectorsResponse:
        """All detectors, the trigger only with `getAll`."""
        detectors = await self._ask(call, self.service.detectors(request.getAll))
        return apricot_pb2.DetectorsResponse(detectors=detectors)

    async def GetHostInventory(
        self, request: apricot_pb2.HostGetRequest, call: ServerCall
    ) -> apricot_pb2.HostEntriesResponse:
        """The hosts of a detector, or all."""
        hosts = await self._ask(call, self.service.host_inventory(request.detector))
        return apricot_pb2.HostEntriesResponse(hosts=hosts)

    async def GetDetectorsInventory(
        self, request: apricot_pb2.Empty, call: ServerCall
    ) -> apricot_pb2.DetectorEntriesResponse:
        """All detectors with their hosts."""
        inventory = await self._ask(call, self.service.detectors_inventory())
        return apricot_pb2.DetectorEntriesResponse(
            detectorEntries={
                detector: apricot_pb2.DetectorInventoryResponse(flps=hosts)
                for detector, hosts in inventory.items()
            }
        )

    async def GetDetectorForHost(
        self, request: apricot_pb2.HostRequest, call: ServerCall
    ) -> apricot_pb2.DetectorResponse:
        """The detector of a host."""
        detector = await self._ask(call, self.service.detector_for_host(request.hostname))
        return apricot_pb2.DetectorResponse(payload=detector)

    async def GetDetectorsForHosts(
        self, request: apricot_pb2.HostsRequest, call: ServerCall
    ) -> apricot_pb2.DetectorsResponse:
        """The detectors of some hosts."""
        detectors = await self._ask(call, self.service.detectors_for_hosts(list(request.hosts)))
        return apricot_pb2.DetectorsResponse(detectors=detectors)

    async def GetCRUCardsForHost(
        self, request: apricot_pb2.HostRequest, call: ServerCall
    ) -> apricot_pb2.CRUCardsResponse:
        """The cards of a host, as a JSON list."""
        cards = await self._ask(call, self.service.cards_for_host(request.hostname))
        return apricot_pb2.CRUCardsResponse(cards=json.dumps(list(cards), separators=(",", ":")))

    async def GetEndpointsForCRUCard(
        self, request: apricot_pb2.CardRequest, call: ServerCall
    ) -> apricot_pb2.CRUCardEndpointResponse:
        """The endpoints of a card, with blanks between them."""
        endpoints = await self._ask(
            call, self.service.endpoints_for_card(request.hostname, request.cardSerial)
        )
        return apricot_pb2.CRUCardEndpointResponse(endpoints=" ".join(endpoints))

    async def GetLinkIDsForCRUEndpoint(
        self, request: apricot_pb2.LinkIDsRequest, call: ServerCall
    ) -> apricot_pb2.LinkIDsResponse:
        """The links at an endpoint of a card."""
        links = await self._ask(
            call,
            self.service.link_ids(
                request.hostname, request.cardSerial, request.endpoint, request.onlyEnabled
            ),
        )
        return apricot_pb2.LinkIDsResponse(linkIDs=links)

    async def GetAliasedLinkIDsForDetector(
        self, request: apricot_pb2.AliasedLinkIDsRequest, call: ServerCall
    ) -> apricot_pb2.AliasedLinkIDsResponse:
        """The names of all links of a detector."""
        links = await self._ask(
            call, self.service.aliased_link_ids(request.detector, request.onlyEnabled)
        )
        return apricot_pb2.AliasedLinkIDsResponse(aliasedLinkIDs=links)

    # --- runtime entries -----------------------------------------------------------------------

    async def GetRuntimeEntry(
        self, request: apricot_pb2.GetRuntimeEntryRequest, call: ServerCall
    ) -> apricot_pb2.ComponentResponse:
        """One runtime entry. That it is missing is said in the words that clients look for."""
        value = await self._ask(call, self._runtime_entry(request.component, request.key))
        return apricot_pb2.ComponentResponse(payload=value)

    async def _runtime_entry(self, component: str, key: str) -> str:
        try:
            return await self.service.runtime_get(component, key)
        except NotFound as error:
            if NIL in error.message:
                raise
            place = "/".join(part for part in ("o2/runtime", component, key) if part)
            raise NotFound(f"{NIL} {place}: {error.message}") from None

    async def SetRuntimeEntry(
        self, request: apricot_pb2.SetRuntimeEntryRequest, call: ServerCall
    ) -> apricot_pb2.Empty:
        """Set a runtime entry."""
        await self.may_change(call, Role.ADMIN)
        await self._ask(
            call, self.service.runtime_set(request.component, request.key, request.value)
        )
        return apricot_pb2.Empty()

    async def GetRuntimeEntries(
        self, request: apricot_pb2.GetRuntimeEntriesRequest, call: ServerCall
    ) -> apricot_pb2.StringMap:
        """All runtime entries of a component."""
        entries = await self._ask(call, self.service.runtime_entries(request.component))
        return apricot_pb2.StringMap(stringMap=entries)

    async def ListRuntimeEntries(
        self, request: apricot_pb2.ListRuntimeEntriesRequest, call: ServerCall
    ) -> apricot_pb2.ComponentEntriesResponse:
        """Their keys."""
        keys = await self._ask(call, self.service.runtime_list(request.component))
        return apricot_pb2.ComponentEntriesResponse(payload=keys)

    # --- components ----------------------------------------------------------------------------

    async def ListComponents(
        self, request: apricot_pb2.Empty, call: ServerCall
    ) -> apricot_pb2.ComponentEntriesResponse:
        """All components."""
        names = await self._ask(call, self.service.components())
        return apricot_pb2.ComponentEntriesResponse(payload=names)

    async def ListComponentEntries(
        self, request: apricot_pb2.ListComponentEntriesRequest, call: ServerCall
    ) -> apricot_pb2.ComponentEntriesResponse:
        """All entries of a component, whatever run type and role the request names."""
        with_path = request.WhichOneof("queryPath") == "path"
        if with_path and request.path:
            component = _understood(parse_entries_path, request.path)[0]
        elif request.HasField("query"):
            component = _understood(checked_component, request.query.component)
        else:
            raise InvalidInput("bad request received: neither a path nor a query")
        entries = await self._ask(call, self.service.component_entries(component))
        return apricot_pb2.ComponentEntriesResponse(payload=entries)

    async def GetComponentConfiguration(
        self, request: apricot_pb2.ComponentRequest, call: ServerCall
    ) -> apricot_pb2.ComponentResponse:
        """A payload, as it is stored or processed."""
        variables = dict(request.varStack) if request.processTemplate else None
        payload = await self._ask(call, self.service.component_payload(_path(request), variables))
        return apricot_pb2.ComponentResponse(payload=payload)

    async def GetComponentConfigurationWithLastIndex(
        self, request: apricot_pb2.ComponentRequest, call: ServerCall
    ) -> apricot_pb2.ComponentResponseWithLastIndex:
        """A payload as it is stored, with the store's number of its last change."""
        if request.processTemplate:
            raise InvalidInput("bad request received: a processed payload has no index")
        payload, index = await self._ask(
            call, self.service.component_payload_with_index(_path(request))
        )
        return apricot_pb2.ComponentResponseWithLastIndex(payload=payload, lastIndex=index)

    async def ResolveComponentQuery(
        self, request: apricot_pb2.ComponentQuery, call: ServerCall
    ) -> apricot_pb2.ComponentQuery:
        """What a query falls back to."""
        path = _understood(path_of_message, request)
        return query_message(
            parse_query(await self._ask(call, self.service.resolve_component(path)))
        )

    async def ImportComponentConfiguration(
        self, request: apricot_pb2.ImportComponentConfigurationRequest, call: ServerCall
    ) -> apricot_pb2.ImportComponentConfigurationResponse:
        """Set a payload. What was there is kept in the history."""
        await self.may_change(call, Role.GLOBAL)
        if not request.HasField("query"):
            raise InvalidInput("bad request received: an import needs a query")
        order = PayloadImport(
            path=_understood(path_of_message, request.query),
            payload=request.payload,
            new_component=request.newComponent,
            user=call.peer,
        )
        change = await self._ask(call, self.service.import_payload(order))
        return apricot_pb2.ImportComponentConfigurationResponse(
            existingComponentUpdated=change.component_existed,
            existingEntryUpdated=change.entry_existed,
        )

    async def InvalidateComponentTemplateCache(
        self, request: apricot_pb2.Empty, call: ServerCall
    ) -> apricot_pb2.Empty:
        """Forget templates that were made ready before."""
        await self._ask(call, self.service.invalidate_templates())
        return apricot_pb2.Empty()


@define(eq=False)
class ExtendedConfiguration(_Face):
    """The service `aliecs.v1.Configuration`."""

    async def ImportPayload(
        self, request: extended_pb2.ImportPayloadRequest, call: ServerCall
    ) -> extended_pb2.ImportPayloadReply:
        """Set a payload, or only say what that would change."""
        await self.may_change(call, Role.GLOBAL)
        order = PayloadImport(
            path=request.path,
            payload=request.payload,
            new_component=request.new_component,
            dry_run=request.dry_run,
            format=request.format,
            user=request.user or call.peer,
            comment=request.comment,
        )
        change = await self._in_time(call, self.service.import_payload(order))
        return extended_pb2.ImportPayloadReply(
            component_existed=change.component_existed,
            entry_existed=change.entry_existed,
            changed=change.changed,
            difference=change.difference,
            notes=change.notes,
        )

    async def ListHistory(
        self, request: extended_pb2.ListHistoryRequest, call: ServerCall
    ) -> extended_pb2.ListHistoryReply:
        """What a payload was before."""
        history = await self._in_time(call, self.service.payload_history(request.path))
        return extended_pb2.ListHistoryReply(payloads=[history_message(about) for about in history])

    async def GetHistoricPayload(
        self, request: extended_pb2.GetHistoricPayloadRequest, call: ServerCall
    ) -> extended_pb2.GetHistoricPayloadReply:
        """One of these in full."""
        about, payload = await self._in_time(
            call, self.service.historic_payload(request.path, request.version)
        )
        return extended_pb2.GetHistoricPayloadReply(about=history_message(about), payload=payload)

    async def DeletePayload(
        self, request: extended_pb2.DeletePayloadRequest, call: ServerCall
    ) -> extended_pb2.DeletePayloadReply:
        """Remove a payload."""
        await self.may_change(call, Role.GLOBAL)
        await self._in_time(
            call,
            self.service.delete_payload(request.path, request.user or call.peer, request.comment),
        )
        return extended_pb2.DeletePayloadReply()


def _path(request: apricot_pb2.ComponentRequest) -> str:
    """The path that a request names one way or the other."""
    if request.WhichOneof("queryPath") == "path" and request.path:
        return str(_understood(parse_query, request.path))
    if request.HasField("query"):
        return _understood(path_of_message, request.query)
    raise InvalidInput("bad request received: neither a path nor a query")


def _understood(read: Callable[[A], T], asked: A) -> T:
    """What `read` makes of a part of a request, in the words for a request that makes no sense."""
    try:
        return read(asked)
    except InvalidInput as error:
        raise InvalidInput(f"bad request received: {error.message}") from None
