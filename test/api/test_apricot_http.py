"""The configuration service over HTTP, by real connections: what tasks and tools are answered."""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
from typing import Any

from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from aliecs.api import apricot_http
from aliecs.api.apricot_document import document
from aliecs.api.apricot_http import LARGEST_BODY, ApricotHttp, clean_path
from aliecs.configuration.opening import open_configuration
from aliecs.configuration.service import LocalConfigurationService
from test.configuration.houses import LOOPBACK, House, started
from test.configuration.test_contract import HouseTestCase
from test.configuration.test_remote import StuckStore

TEXT = "text/plain; charset=utf-8"

TREE = {
    "o2/components/qc/TECHNICAL/any/entryA": "config",
    "o2/components/qc/TECHNICAL/any/entryB": "config",
    "o2/components/qc/PHYSICS/role1/entry1": "entry1 config PHYSICS role1",
    "o2/components/qc/PHYSICS/role1/entry2": "entry2 config PHYSICS role1",
    "o2/components/qc/ANY/role1/entry1": "entry1 config ANY role1",
    "o2/components/qc/ANY/any/entry1": "entry1 config ANY any",
    "o2/components/qc/ANY/any/entry10": "hello",
    "o2/components/qc/ANY/any/entry11": "world",
    "o2/components/qc/ANY/any/entry12": "{{ oh }}",
    "o2/components/qc/ANY/any/sub/entry12": "world",
    "o2/components/qc/ANY/any/sub/resolve": "hidden",
    "o2/components/qc/ANY/any/resolve": "shown",
    "o2/hardware/detectors/ITS/flps/flp001/cards": "{}",
    "o2/hardware/detectors/HMP/flps/flp002/cards": "{}",
    "o2/hardware/detectors/HMP/flps/flp003/cards": "{}",
    "o2/hardware/detectors/TRG/flps/flp100/cards": "{}",
    "o2/hardware/detectors/MID/flps/": "",
    "o2/hardware/flps/flp001/cards": "{}",
    "o2/hardware/flps/flp002/cards": "{}",
    "o2/hardware/flps/flp003/cards": "{}",
    "o2/hardware/flps/flp100/cards": "{}",
}
HOSTS = ["flp001", "flp002", "flp003", "flp100"]
ANY_ENTRIES = [
    "ANY/any/entry1",
    "ANY/any/entry10",
    "ANY/any/entry11",
    "ANY/any/entry12",
    "ANY/any/resolve",
    "ANY/any/sub/entry12",
    "ANY/any/sub/resolve",
]


@frozen
class Answer:
    """What came back."""

    status: int
    body: str
    kind: str
    location: str

    @property
    def value(self) -> Any:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: bytes | None = None) -> Answer:
    """One request, its path as it is given."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        return Answer(
            answer.status,
            text,
            answer.getheader("Content-Type", ""),
            answer.getheader("Location", ""),
        )
    finally:
        connection.close()


async def empty_house(test: Any, place: Any) -> House:
    """SQLite with the tree above."""
    service: Any = await started(test, open_configuration("sqlite://", place, reactor))
    await service.store.put_all(TREE)

    async def another() -> Any:
        raise NotImplementedError

    return House(service, service.store, another)


class HttpTestCase(HouseTestCase):
    build = staticmethod(empty_house)

    async def make_house(self) -> None:
        await super().make_house()
        self.port = self.listen(ApricotHttp(self.service, reactor))

    def listen(self, face: ApricotHttp) -> int:
        listening: Any = reactor.listenTCP(0, face.site(), interface=LOOPBACK)  # type: ignore[attr-defined]
        self.addCleanup(listening.stopListening)
        port: int = listening.getHost().port
        return port

    async def get(self, path: str, method: str = "GET") -> Answer:
        return await deferToThread(ask, self.port, method, path)

    async def good(self, path: str) -> str:
        """The body of an answer that has one."""
        answer = await self.get(path)
        self.assertEqual(answer.status, 200, (path, answer))
        return answer.body


class ComponentTests(HttpTestCase):
    async def test_payloads_end_in_a_newline_more(self) -> None:
        await self.store.put("o2/components/qc/ANY/any/lines", "{\n}\n")
        for path, body in (
            ("qc/PHYSICS/role1/entry1", "entry1 config PHYSICS role1\n"),
            ("qc/ANY/any/entry1", "entry1 config ANY any\n"),
            ("qc/ANY/any/entry1/", "entry1 config ANY any\n"),
            ("qc/any/any/entry1", "entry1 config ANY any\n"),
            ("qc/ANY/any/sub/entry12", "world\n"),
            ("qc/ANY/any/sub%2Fentry12", "world\n"),
            ("qc/ANY/any/lines", "{\n}\n\n"),
        ):
            answer = await self.get(f"/components/{path}")
            self.assertEqual((answer.status, answer.body), (200, body), path)
            self.assertEqual(answer.kind, TEXT)

    async def test_the_way_in_which_tasks_ask(self) -> None:
        for path in ("?process=true", "/?process=true", "/?run_type=PHYSICS&beam=pp&process=true"):
            self.assertEqual(await self.good(f"/components/qc/ANY/any/entry11{path}"), "world\n")

    async def test_all_other_parameters_are_variables(self) -> None:
        path = "/components/qc/ANY/any/entry12"
        for parameters, text in (
            ("?process=true&oh=hello", "hello"),
            ("/?oh=a%20%C3%BC&process=1&other=x", "a ü"),
            ("?process=true&oh=first&oh=second", "first"),
            ("?process=true&oh=<", "&lt;"),
            ("?process=true&a-b=x", ""),
            ("?process=true", ""),
        ):
            self.assertEqual(await self.good(path + parameters), f"{text}\n")

    async def test_a_template_that_is_wrong(self) -> None:
        await self.store.put("o2/components/qc/ANY/any/wrong", "{{ a.b( }}")
        answer = await self.get("/components/qc/ANY/any/wrong?process=true")
        self.assertEqual(answer.status, 500)
        self.assertIn("qc/ANY/any/wrong", answer.body)

    async def test_processing_is_asked_for(self) -> None:
        path = "/components/qc/ANY/any/entry12"
        for parameters in ("", "?process=false", "?process=perhaps", "?oh=x", "?process="):
            self.assertEqual(await self.good(path + parameters), "{{ oh }}\n")

    async def test_payloads_that_are_not_there(self) -> None:
        for path in ("qc/PHYSICS/any/entry1", "qc/ANY/any/entry1/x", "qc/ANY/any/a.json"):
            answer = await self.get(f"/components/{path}")
            self.assertEqual(answer.status, 500, path)
            self.assertTrue(answer.body.strip())
        answer = await self.get("/components/qc/FOO/any/entry1")
        self.assertEqual((answer.status, answer.body), (400, "runtype not valid\n"))

    async def test_resolving(self) -> None:
        for path, found in (
            ("qc/ANY/any/entry1", "qc/ANY/any/entry1"),
            ("qc/physics/role1/entry11", "qc/ANY/any/entry11"),
            ("qc/ANY/any/sub/entry12", "qc/ANY/any/sub/entry12"),
        ):
            self.assertEqual(await self.good(f"/components/{path}/resolve"), f"{found}\n")
        self.assertEqual((await self.get("/components/qc/ANY/any/none/resolve")).status, 500)
        self.assertEqual((await self.get("/components/qc/FOO/any/none/resolve")).status, 400)

    async def test_entries_called_resolve(self) -> None:
        self.assertEqual(await self.good("/components/qc/ANY/any/resolve"), "shown\n")
        self.assertEqual(await self.good("/components/qc/ANY/any/sub/resolve/"), "hidden\n")
        self.assertEqual((await self.get("/components/qc/ANY/any/sub/resolve")).status, 500)

    async def test_lists_of_components(self) -> None:
        for path in ("/components", "/components/", "/components?format=text/plain"):
            answer = await self.get(path)
            self.assertEqual((answer.body, answer.kind), ("qc\n", "text/plain"))
        answer = await self.get("/components?format=json")
        self.assertEqual((answer.value, answer.kind), (["qc"], "application/json"))
        self.assertEqual(answer.body, '[\n\t"qc"\n]\n')

    async def test_lists_of_entries(self) -> None:
        for path in ("/components/qc/ANY/any", "/components/qc/ANY/any/", "/components/qc/any/any"):
            self.assertEqual((await self.good(path)).splitlines(), ANY_ENTRIES)
            self.assertEqual(json.loads(await self.good(f"{path}?format=json")), ANY_ENTRIES)
        self.assertEqual(len((await self.good("/components/qc")).splitlines()), 12)
        of_type = (await self.good("/components/qc/PHYSICS")).splitlines()
        self.assertEqual(of_type, [*ANY_ENTRIES, "ANY/role1/entry1", *PHYSICS])
        raw = await self.good("/components/qc/PHYSICS/?raw=true")
        self.assertEqual(raw.splitlines(), PHYSICS)
        of_role = await self.good("/components/qc/TECHNICAL/role1/")
        self.assertEqual(of_role.splitlines(), [*ANY_ENTRIES, "ANY/role1/entry1", *TECHNICAL])
        self.assertEqual(await self.good("/components/qc/TECHNICAL/role1?raw=1"), "\n")
        self.assertEqual(
            await self.good("/components/qc/TECHNICAL/role1?raw=1&format=json"), "[]\n"
        )
        self.assertEqual((await self.get("/components/qc/FOO")).status, 400)

    async def test_a_component_that_is_not_there(self) -> None:
        answer = await self.get("/components/nothing")
        self.assertEqual(answer.status, 500)
        self.assertIn("no keys found", answer.body)
        answer = await self.get("/components/_invalidate_cache?format=json")
        self.assertEqual(answer.status, 500)
        self.assertIn("_invalidate_cache", answer.value["error"])

    async def test_templates_are_forgotten_on_demand(self) -> None:
        for _ in range(2):
            self.assertEqual(await self.good("/components/qc/ANY/any/entry1?process=1"), ENTRY1)
            answer = await self.get("/components/_invalidate_cache", "POST")
            self.assertEqual((answer.status, answer.body), (200, "OK\n"))


PHYSICS = ["PHYSICS/role1/entry1", "PHYSICS/role1/entry2"]
TECHNICAL = ["TECHNICAL/any/entryA", "TECHNICAL/any/entryB"]
ENTRY1 = "entry1 config ANY any\n"


class InventoryTests(HttpTestCase):
    async def test_hosts(self) -> None:
        for path in ("/inventory/flps", "/inventory/flps/", "/inventory/flps/text"):
            self.assertEqual((await self.good(path)).splitlines(), HOSTS)
        answer = await self.get("/inventory/flps/json")
        self.assertEqual((answer.value, answer.kind), (HOSTS, "application/json"))

    async def test_hosts_of_a_detector(self) -> None:
        path = "/inventory/detectors"
        for end in ("", "/", "/text"):
            self.assertEqual(await self.good(f"{path}/ITS/flps{end}"), "flp001\n")
        self.assertEqual(json.loads(await self.good(f"{path}/ITS/flps/json")), ["flp001"])
        for detector in ("TPC", "MID"):
            self.assertEqual(json.loads(await self.good(f"{path}/{detector}/flps/json")), [])
            self.assertEqual(await self.good(f"{path}/{detector}/flps"), "")
        self.assertEqual((await self.get(f"{path}/XYZ/flps/json")).status, 400)

    async def test_the_whole_inventory(self) -> None:
        inventory = {"HMP": ["flp002", "flp003"], "ITS": ["flp001"], "MID": [], "TRG": ["flp100"]}
        self.assertEqual(json.loads(await self.good("/inventory/detectors/json")), inventory)
        text = "HMP\n\tflp002\n\tflp003\nITS\n\tflp001\nMID\nTRG\n\tflp100\n"
        for path in ("", "/", "/text", "/TST"):
            self.assertEqual(await self.good(f"/inventory/detectors{path}"), text)


class RouteTests(HttpTestCase):
    async def test_what_is_not_there(self) -> None:
        for method, path in (
            ("GET", "/"),
            ("GET", "/docs"),
            ("GET", "/inventory"),
            ("GET", "/inventory/flps/json/"),
            ("POST", "/components"),
            ("PUT", "/components/qc/ANY/any/entry1"),
            ("DELETE", "/components/qc/ANY/any/entry1"),
        ):
            answer = await self.get(path, method)
            self.assertEqual((answer.status, answer.body), (404, "404 page not found\n"), path)
        self.assertEqual((await self.get("/components", "HEAD")).status, 404)

    async def test_paths_are_cleaned(self) -> None:
        for path, clean in (
            ("//components", "/components"),
            ("/components//qc", "/components/qc"),
            ("/components/./qc/", "/components/qc/"),
            ("/components/x/../qc?format=json&a=b", "/components/qc?format=json&a=b"),
            ("/components/qc/ANY/any/a%20%20//b", "/components/qc/ANY/any/a%20%20/b"),
        ):
            answer = await self.get(path)
            self.assertEqual((answer.status, answer.location), (301, clean), path)

    async def test_documentation(self) -> None:
        answer = await self.get("/docs/")
        self.assertEqual((answer.status, answer.location), (301, "/docs/index.html"))
        page = await self.get("/docs/index.html")
        self.assertTrue(page.kind.startswith("text/html"))
        self.assertIn("/inventory/flps/{format}", page.body)
        answer = await self.get("/docs/doc.json")
        self.assertEqual(answer.kind, "application/json")
        self.assertEqual(answer.value["swagger"], "2.0")
        self.assertEqual(answer.value["info"]["title"], "O² Apricot REST API")
        self.assertEqual((await self.get("/docs/index.html", "POST")).status, 405)
        self.assertEqual((await self.get("/docs/nothing")).status, 404)

    async def test_the_document_has_the_routes(self) -> None:
        face = ApricotHttp(self.service, reactor)
        served = {
            (rule.rule.replace("<path:", "<").rstrip("/"), method)
            for rule in face.app.url_map.iter_rules()
            for method in rule.methods - {"HEAD", "OPTIONS"}
            if not rule.rule.startswith("/docs")
        }
        documented = {
            (path.replace("{", "<").replace("}", ">").removesuffix("/resolve"), method.upper())
            for path, methods in document()["paths"].items()
            for method in methods
        }
        self.assertEqual(documented, served)

    async def test_a_body_has_a_bound(self) -> None:
        path = "/components/_invalidate_cache"
        answer = await deferToThread(ask, self.port, "POST", path, b"x" * LARGEST_BODY)
        self.assertEqual(answer.status, 200)

        def send_more() -> bytes:
            with socket.create_connection((LOOPBACK, self.port), timeout=20) as connection:
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
                connection.sendall(head.encode())
                try:
                    for _ in range(1500):
                        connection.sendall(b"x" * 65536)
                    return connection.recv(10)
                except OSError:
                    return b""

        self.assertEqual(await deferToThread(send_more), b"")

    async def test_a_store_that_is_away(self) -> None:
        other = sqlite3.connect(self.place / "configuration.db")
        other.execute("DROP TABLE entry")
        other.commit()
        other.close()
        for path in ("/components", "/inventory/flps", "/inventory/detectors/json"):
            answer = await self.get(path)
            self.assertEqual(answer.status, 500, path)

    async def test_a_store_that_hangs(self) -> None:
        service = await started(self, LocalConfigurationService(StuckStore(), reactor))
        self.port = self.listen(ApricotHttp(service, reactor, deadline_s=0.2))
        answer = await self.get("/components")
        self.assertEqual(answer.status, 500)
        self.assertIn("within 0.2 s", answer.body)

    async def test_more_requests_than_can_wait(self) -> None:
        self.patch(apricot_http, "MOST_AT_ONCE", 2)
        service = await started(self, LocalConfigurationService(StuckStore(), reactor))
        self.port = self.listen(ApricotHttp(service, reactor, deadline_s=1))
        answers = await gatherResults(
            [Deferred.fromCoroutine(self.get("/components")) for _ in range(5)]
        )
        self.assertEqual(sorted(answer.status for answer in answers), [500, 500, 503, 503, 503])
        self.assertEqual((await self.get("/docs/doc.json")).status, 200)

    def test_clean_paths(self) -> None:
        for path, clean in (
            ("", "/"),
            ("/", "/"),
            ("/..", "/"),
            ("/a/..", "/"),
            ("/a/b/", "/a/b/"),
        ):
            self.assertEqual(clean_path(path), clean)
