"""The client of another process: what its server does to it."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health_pb2
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from zope.interface import implementer

from aliecs.api.apricot import Apricot, ExtendedConfiguration
from aliecs.configuration.remote import RemoteConfigurationService
from aliecs.configuration.service import LocalConfigurationService
from aliecs.configuration.wire import APRICOT, EXTENDED, ServiceFailed
from aliecs.errors import (
    AliecsError,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    NotImplementedYet,
    Unavailable,
)
from aliecs.interfaces import IConfigurationStore, PayloadImport
from aliecs.protocol.protos import apricot_pb2
from aliecs.txgrpc.client import Channel
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.server import Server
from aliecs.txgrpc.status import ERROR_CODE, RpcError
from aliecs.txgrpc.stub import Stub
from test.configuration.houses import LOOPBACK, serve, sqlite_house, started
from test.configuration.test_contract import HouseTestCase

P = apricot_pb2


class ServedTestCase(HouseTestCase):
    """A service over SQLite that is served, and a bare stub of the reference's service."""

    build = staticmethod(sqlite_house)
    plain = False

    async def make_house(self) -> None:
        await super().make_house()
        self.uri = await serve(self, self.service, plain=self.plain)
        self.remote = await started(self, RemoteConfigurationService(self.uri))
        channel = Channel(self.uri.removeprefix("apricot://"))
        self.addCleanup(channel.close)
        self.apricot = Stub(channel, APRICOT)

    async def refused(self, method: str, request: Any) -> RpcError:
        """The error of a call."""
        try:
            reply = await getattr(self.apricot, method)(request, deadline_s=10)
        except RpcError as error:
            return error
        raise AssertionError(f"{method} answered {reply}")


class WireTests(ServedTestCase):
    """What the reference's clients see."""

    async def test_a_runtime_entry_that_is_not_there(self) -> None:
        request = P.GetRuntimeEntryRequest(component="COG", key="nothing")
        error = await self.refused("GetRuntimeEntry", request)
        self.assertEqual(error.status, "UNKNOWN")
        self.assertIn("nil response for key o2/runtime/COG/nothing", error.message)
        self.assertEqual(error.trailing[ERROR_CODE], "not_found")

    async def test_errors_of_the_service_are_unknown(self) -> None:
        for method, request in (
            ("GetComponentConfiguration", P.ComponentRequest(path="qc/ANY/any/nothing")),
            ("GetDetectorForHost", P.HostRequest(hostname="NOPE")),
            ("GetCRUCardsForHost", P.HostRequest(hostname="flp500")),
            ("ListRuntimeEntries", P.ListRuntimeEntriesRequest(component="..")),
            (
                "ImportComponentConfiguration",
                P.ImportComponentConfigurationRequest(query=query("gpu", entry="x")),
            ),
        ):
            error = await self.refused(method, request)
            self.assertEqual(error.status, "UNKNOWN", method)
            self.assertTrue(error.message)

    async def test_requests_that_make_no_sense(self) -> None:
        bad_type = P.ComponentQuery(component="qc", runType=25, machineRole="any", entry="e")  # type: ignore[arg-type]
        for method, request in (
            ("GetComponentConfiguration", P.ComponentRequest()),
            ("GetComponentConfiguration", P.ComponentRequest(path="")),
            ("GetComponentConfiguration", P.ComponentRequest(path="qc/ANY/any")),
            ("GetComponentConfiguration", P.ComponentRequest(query=bad_type)),
            (
                "GetComponentConfigurationWithLastIndex",
                P.ComponentRequest(path="qc/ANY/any/entry1", processTemplate=True),
            ),
            ("ListComponentEntries", P.ListComponentEntriesRequest()),
            ("ListComponentEntries", P.ListComponentEntriesRequest(path="qc/ANY")),
            ("ResolveComponentQuery", P.ComponentQuery()),
            ("ImportComponentConfiguration", P.ImportComponentConfigurationRequest(payload="x")),
            (
                "ImportComponentConfiguration",
                P.ImportComponentConfigurationRequest(query=query("qc", entry="a/../b")),
            ),
        ):
            error = await self.refused(method, request)
            self.assertEqual(error.status, "INVALID_ARGUMENT", (method, request))
            self.assertIn("bad request received", error.message)

    async def test_answers_in_the_forms_of_the_reference(self) -> None:
        ask = self.apricot
        cards = await ask.GetCRUCardsForHost(P.HostRequest(hostname="flp001"), deadline_s=10)
        self.assertEqual(cards.cards, '["0228","0229"]')
        none = await ask.GetCRUCardsForHost(P.HostRequest(hostname="flp002"), deadline_s=10)
        self.assertEqual(none.cards, "[]")
        card = P.CardRequest(hostname="flp001", cardSerial="0228")
        endpoints = await ask.GetEndpointsForCRUCard(card, deadline_s=10)
        self.assertEqual(endpoints.endpoints, "0 1")
        detectors = await ask.ListDetectors(P.DetectorsRequest(), deadline_s=10)
        self.assertEqual(list(detectors.detectors), ["ABC", "DEF", "XYZ"])
        # Run type and role of such a request do not count.
        listing = P.ListComponentEntriesRequest(path="qc/PHYSICS/nowhere")
        entries = await ask.ListComponentEntries(listing, deadline_s=10)
        self.assertEqual(len(entries.payload), 9)
        resolved = await ask.ResolveComponentQuery(
            P.ComponentQuery(component="qc", runType=P.PHYSICS, machineRole="r", entry="entry11"),
            deadline_s=10,
        )
        self.assertEqual((resolved.runType, resolved.machineRole), (P.ANY, "any"))

    async def test_an_import_of_the_reference_is_kept_in_the_history_too(self) -> None:
        request = P.ImportComponentConfigurationRequest(
            query=query("qc", entry="sub/entry12"), payload="new"
        )
        reply = await self.apricot.ImportComponentConfiguration(request, deadline_s=10)
        self.assertEqual((reply.existingComponentUpdated, reply.existingEntryUpdated), (True, True))
        self.assertEqual(len(await self.remote.payload_history("qc/ANY/any/sub/entry12")), 1)

    async def test_its_health(self) -> None:
        channel = Channel(self.uri.removeprefix("apricot://"))
        self.addCleanup(channel.close)
        check = channel.unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        for name in ("", "apricot.Apricot", "aliecs.v1.Configuration"):
            answer = await check(health_pb2.HealthCheckRequest(service=name), deadline_s=10)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)

    async def test_reflection_shows_both_services(self) -> None:
        channel = Channel(self.uri.removeprefix("apricot://"))
        self.addCleanup(channel.close)
        names = await channel.services(10)
        self.assertLessEqual(
            {"apricot.Apricot", "aliecs.v1.Configuration", "grpc.health.v1.Health"}, names
        )


def query(component: str, entry: str) -> apricot_pb2.ComponentQuery:
    return P.ComponentQuery(component=component, runType=P.ANY, machineRole="any", entry=entry)


class PlainServerTests(ServedTestCase):
    """A server that offers no more than the reference."""

    plain = True

    async def test_imports_fall_back(self) -> None:
        path = "qc/ANY/any/entry1"
        order = PayloadImport(path, "new\n", format="ini", dry_run=True)
        with self.assertRaisesRegex(InvalidInput, f"{path}:1: not INI"):
            await self.remote.import_payload(order)
        trial = await self.remote.import_payload(PayloadImport(path, "new\n", dry_run=True))
        self.assertTrue(trial.entry_existed)
        self.assertIn("+new", trial.difference)
        self.assertIn("keeps no history", trial.notes[0])
        self.assertEqual(await self.store.get(f"o2/components/{path}"), "entry1 config ANY any")
        change = await self.remote.import_payload(PayloadImport(path, "new\n"))
        self.assertEqual((change.component_existed, change.entry_existed), (True, True))
        self.assertEqual(await self.store.get(f"o2/components/{path}"), "new\n")
        fresh = await self.remote.import_payload(PayloadImport("c/ANY/any/x", "y", True))
        self.assertEqual((fresh.component_existed, fresh.entry_existed), (False, False))

    async def test_there_is_no_history(self) -> None:
        for call in (
            self.remote.payload_history("qc/ANY/any/entry1"),
            self.remote.historic_payload("qc/ANY/any/entry1", "x"),
            self.remote.delete_payload("qc/ANY/any/entry1", "", ""),
        ):
            with self.assertRaisesRegex(NotImplementedYet, "has no history"):
                await call


class Terse:
    """A server with the reference's habits: bare texts, any order, an empty name, null."""

    def __init__(self) -> None:
        self.problem = ""

    async def _answer(self, reply: Any) -> Any:
        if self.problem:
            raise ServiceFailed(self.problem)
        return reply

    async def GetRuntimeEntry(self, request: Any, call: ServerCall) -> Any:
        return await self._answer(P.ComponentResponse())

    async def ListDetectors(self, request: Any, call: ServerCall) -> Any:
        return await self._answer(P.DetectorsResponse(detectors=["TPC", "", "ITS"]))

    async def GetCRUCardsForHost(self, request: Any, call: ServerCall) -> Any:
        return await self._answer(P.CRUCardsResponse(cards="null"))

    async def GetEndpointsForCRUCard(self, request: Any, call: ServerCall) -> Any:
        return await self._answer(P.CRUCardEndpointResponse(endpoints=""))

    async def GetDefaults(self, request: Any, call: ServerCall) -> Any:
        return await self._answer(P.StringMap())

    async def GetLinkIDsForCRUEndpoint(self, request: Any, call: ServerCall) -> Any:
        links = ["10", "2"] if request.onlyEnabled else ["10", "2", "1"]
        return await self._answer(P.LinkIDsResponse(linkIDs=links))


class TerseServerTests(HouseTestCase):
    build = staticmethod(sqlite_house)

    async def make_house(self) -> None:
        await super().make_house()
        self.terse = Terse()
        server = await started(self, Server(f"{LOOPBACK}:0", [(APRICOT, self.terse)]))
        uri = f"apricot://{LOOPBACK}:{server.port}"
        self.remote = await started(self, RemoteConfigurationService(uri))

    async def test_answers_are_put_in_order(self) -> None:
        self.assertEqual(await self.remote.detectors(True), ["ITS", "TPC"])
        self.assertEqual(await self.remote.cards_for_host("x"), [])
        self.assertEqual(await self.remote.endpoints_for_card("x", "y"), [])
        self.assertEqual(await self.remote.link_ids("x", "y", "0", False), ["1", "2", "10"])
        self.assertEqual(await self.remote.link_ids("x", "y", "0", True), ["2", "10"])

    async def test_what_is_not_there_is_known_by_the_words(self) -> None:
        self.terse.problem = "nil response for key o2/runtime/a/b"
        with self.assertRaises(NotFound):
            await self.remote.runtime_get("a", "b")
        lost = "[Error (where: fromfile) in a] unable to resolve template: nil response for key b"
        self.terse.problem = lost
        with self.assertRaises(InvalidInput):
            await self.remote.runtime_get("a", "b")

    async def test_a_failure_is_never_an_empty_answer(self) -> None:
        self.terse.problem = "something else"
        with self.assertRaisesRegex(AliecsError, "something else"):
            await self.remote.defaults()

    async def test_what_a_server_does_not_have(self) -> None:
        with self.assertRaises(NotImplementedYet):
            await self.remote.runtime_entries("x")


@implementer(IConfigurationStore)
class StuckStore:
    """A store that never answers, as one on a disk that hangs."""

    uri = "stuck://"

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def _never(self, *arguments: Any) -> Any:
        await Deferred()

    get = put = delete = list = items = compare_and_set = compare_and_delete = _never


class TroubleTests(HouseTestCase):
    build = staticmethod(sqlite_house)

    async def test_nobody_answers(self) -> None:
        remote = RemoteConfigurationService(f"apricot://{LOOPBACK}:1")
        self.addCleanup(lambda: Deferred.fromCoroutine(remote.stop()))
        with self.assertRaisesRegex(Unavailable, f"apricot://{LOOPBACK}:1 cannot be reached"):
            await remote.import_payload(PayloadImport("a/ANY/any/x", "y"))

    async def test_a_server_that_comes_back_is_found_again(self) -> None:
        def server(port: int) -> Server:
            services: list[Any] = [(APRICOT, Apricot(self.service, reactor))]
            return Server(f"{LOOPBACK}:{port}", services)

        first = server(0)
        port = await first.start()
        remote = await started(self, RemoteConfigurationService(f"apricot://{LOOPBACK}:{port}"))
        self.assertEqual(await remote.new_run_number(), 1)
        await first.stop()
        await started(self, server(port))
        self.assertEqual(await remote.new_run_number(), 2)

    async def test_a_store_that_hangs_costs_a_call_its_deadline(self) -> None:
        service = await started(self, LocalConfigurationService(StuckStore(), reactor))
        services: list[Any] = [
            (APRICOT, Apricot(service, reactor, deadline_s=0.2)),
            (EXTENDED, ExtendedConfiguration(service, reactor, deadline_s=0.2)),
        ]
        server = await started(self, Server(f"{LOOPBACK}:0", services))
        uri = f"apricot://{LOOPBACK}:{server.port}"
        patient = await started(self, RemoteConfigurationService(uri))
        for call in (
            patient.variables(),
            patient.component_payload("a/ANY/any/x", {}),
            patient.payload_history("a/ANY/any/x"),
        ):
            with self.assertRaisesRegex(DeadlineExceeded, "within 0.2 s"):
                await call
        hasty = await started(self, RemoteConfigurationService(uri, call_deadline_s=0.05))
        with self.assertRaisesRegex(DeadlineExceeded, "did not answer in time"):
            await hasty.variables()

    async def test_errors_keep_their_kinds(self) -> None:
        uri = await serve(self, self.service)
        remote = await started(self, RemoteConfigurationService(uri))
        await self.store.put("o2/runtime/run_number", "none")
        with self.assertRaises(Conflict):
            await remote.new_run_number()

    async def test_large_answers_arrive(self) -> None:
        remote = await started(self, RemoteConfigurationService(await serve(self, self.service)))
        for number in range(3):
            await self.store.put(f"o2/large/{number}", "x" * 4_000_000)
        self.assertGreater(len(await remote.raw_recursive("o2/large")), 12_000_000)
