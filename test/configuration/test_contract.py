"""The contract of `IConfigurationService`, held by every kind of service: the same answers over
every store, in this process and across a connection."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from aliecs.errors import Conflict, Exhausted, InvalidInput, NotFound, NotImplementedYet
from aliecs.interfaces import IConfigurationService, IIndexedStore, PayloadImport
from test.configuration.houses import HOUSES, Build

QC_ENTRIES = [
    "ANY/any/entry1",
    "ANY/any/entry10",
    "ANY/any/entry11",
    "ANY/any/entry12",
    "ANY/any/sub/entry12",
    "ANY/role1/entry1",
    "PHYSICS/role1/entry1",
    "PHYSICS/role1/entry2",
    "TECHNICAL/any/entry",
]


class HouseTestCase(TestCase):
    """A test with a house of the kind that `build` makes."""

    timeout = 60
    build: Build

    def setUp(self) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        return Deferred.fromCoroutine(self.make_house())

    async def make_house(self) -> None:
        self.house = await type(self).build(self, self.place)
        self.service: Any = self.house.service
        self.store: Any = self.house.store


class ServiceContract:
    async def test_it_is_a_service(self: Any) -> None:
        verifyObject(IConfigurationService, self.service)
        self.assertIn("://", self.service.uri)

    # --- run numbers ---------------------------------------------------------------------------

    async def test_run_numbers_start_at_one_and_go_on(self: Any) -> None:
        self.assertEqual(await self.service.new_run_number(), 1)
        self.assertEqual(await self.service.new_run_number(), 2)
        self.assertEqual(await self.store.get("o2/runtime/run_number"), "2")
        await self.store.put("o2/runtime/run_number", "500000")
        self.assertEqual(await self.service.new_run_number(), 500001)

    async def test_run_numbers_are_given_once_to_many_askers(self: Any) -> None:
        askers = [self.service, await self.house.another()] * 8
        asked = [Deferred.fromCoroutine(asker.new_run_number()) for asker in askers]
        self.assertEqual(sorted(await gatherResults(asked)), list(range(1, 17)))

    async def test_a_run_number_that_is_none(self: Any) -> None:
        await self.store.put("o2/runtime/run_number", "12\n")
        with self.assertRaisesRegex(Conflict, "no run number"):
            await self.service.new_run_number()
        await self.store.put("o2/runtime/run_number", str(2**32 - 1))
        with self.assertRaisesRegex(Exhausted, "no run numbers left"):
            await self.service.new_run_number()
        self.assertEqual(await self.store.get("o2/runtime/run_number"), str(2**32 - 1))

    # --- defaults and runtime entries ----------------------------------------------------------

    async def test_defaults_and_variables(self: Any) -> None:
        defaults = await self.service.defaults()
        self.assertEqual(defaults["key1"], "value1")
        self.assertEqual(defaults["blank"], "value")
        self.assertNotIn("nested", defaults)
        self.assertTrue(defaults["core_hostname"])
        self.assertEqual(defaults["framework_id"], "")
        self.assertEqual(defaults["consul_base_uri"], self.store.uri)
        self.assertEqual(await self.service.variables(), {"key2": "value2"})

    async def test_runtime_entries(self: Any) -> None:
        self.assertEqual(await self.service.runtime_get("COG-v1", "some"), "{}")
        await self.service.runtime_set("trg/ltu", "file", "x")
        self.assertEqual(await self.service.runtime_get("trg", "ltu/file"), "x")
        self.assertEqual(await self.service.runtime_list("trg"), ["ltu/file"])
        self.assertEqual(await self.service.runtime_entries("trg"), {"ltu/file": "x"})
        await self.service.runtime_set("", "flp_suite_version", "1")
        self.assertEqual(await self.service.runtime_get("", "flp_suite_version"), "1")
        self.assertIn("COG-v1/some", await self.service.runtime_list(""))
        self.assertIn("COG-v1/some", await self.service.runtime_entries(""))
        self.assertEqual(await self.service.runtime_list("nothing"), [])
        self.assertEqual(await self.service.runtime_entries("nothing"), {})
        with self.assertRaisesRegex(NotFound, "o2/runtime/a/b"):
            await self.service.runtime_get("a", "b")

    async def test_runtime_entries_go_by_whole_segments(self: Any) -> None:
        await self.service.runtime_set("aliecs/vars_old", "old", "x")
        self.assertEqual(await self.service.variables(), {"key2": "value2"})
        self.assertEqual(await self.service.runtime_entries("aliecs/vars"), {"key2": "value2"})

    async def test_no_runtime_entry_lies_outside(self: Any) -> None:
        with self.assertRaises(InvalidInput):
            await self.service.runtime_set("a", "../../components/qc/ANY/any/x", "y")
        for call in ("runtime_list", "runtime_entries"):
            with self.assertRaises(InvalidInput):
                await getattr(self.service, call)("../components")
        with self.assertRaises(InvalidInput):
            await self.service.runtime_get("..", "components")

    # --- payloads ------------------------------------------------------------------------------

    async def test_payloads(self: Any) -> None:
        for path, payload in (
            ("qc/PHYSICS/role1/entry1", "entry1 config PHYSICS role1"),
            ("qc/ANY/any/entry1", "entry1 config ANY any"),
            (" qc/ANY/any/sub/entry12 ", "world"),
        ):
            self.assertEqual(await self.service.component_payload(path, None), payload)
            self.assertEqual(await self.service.component_payload(path, {"a": "b"}), payload)

    async def test_payloads_are_found_by_their_exact_path_only(self: Any) -> None:
        with self.assertRaisesRegex(NotFound, "o2/components/qc/PHYSICS/any/entry1"):
            await self.service.component_payload("qc/PHYSICS/any/entry1", None)
        with self.assertRaises(NotFound):
            await self.service.component_payload("qc/PHYSICS/any/entry1", {})
        for path in ("qc/physics/any/entry1", "qc/ANY/any", "qc/ANY/any/a b"):
            with self.assertRaises(InvalidInput):
                await self.service.component_payload(path, None)

    async def test_a_template_is_given_as_it_is_stored(self: Any) -> None:
        raw = await self.service.component_payload("qc/ANY/any/entry10", None)
        self.assertEqual(raw, 'plain line\n{{ var1 }} {% include "entry11" %}')

    async def test_templates(self: Any) -> None:
        payload = self.service.component_payload
        self.assertEqual(
            await payload("qc/ANY/any/entry10", {"var1": "hello"}), "plain line\nhello world"
        )
        self.assertEqual(await payload("qc/ANY/any/entry12", {}), "hello world")
        self.assertEqual(await payload("qc/ANY/any/sub/entry12", {}), "world")
        # Nothing is known in a template but what was given with it.
        self.assertEqual(await payload("qc/ANY/any/entry10", {}), "plain line\n world")
        # A variable that no template can name does no harm.
        self.assertEqual(await payload("qc/ANY/any/entry12", {"a-b.c": "x"}), "hello world")

    async def test_what_is_no_template(self: Any) -> None:
        await self.store.put("o2/components/qc/ANY/any/wrong", "line\n{% if %}")
        await self.store.put("o2/components/qc/ANY/any/lost", '{% include "nothere" %}')
        for name, told in (("wrong", r"qc/ANY/any/wrong \| Line 2"), ("lost", "unable to resolve")):
            with self.assertRaisesRegex(InvalidInput, told):
                await self.service.component_payload(f"qc/ANY/any/{name}", {})

    async def test_an_import_is_what_is_processed_from_then_on(self: Any) -> None:
        payload = self.service.component_payload
        self.assertEqual(await payload("qc/ANY/any/entry12", {}), "hello world")
        await self.service.import_payload(PayloadImport("qc/ANY/any/sub/entry12", "moon"))
        self.assertEqual(await payload("qc/ANY/any/entry12", {}), "hello moon")
        await self.store.put("o2/components/qc/ANY/any/sub/entry12", "sun")
        await self.service.invalidate_templates()
        self.assertEqual(await payload("qc/ANY/any/entry12", {}), "hello sun")

    async def test_templates_are_checked_before_they_are_imported(self: Any) -> None:
        path = "qc/ANY/any/t"
        for payload, notes in (
            ('{"a": "{{ b }}"}', []),
            ('{"a": "{{ b|nosuchfilter }}"}', None),
            ('{"a": "{% for %}"}', None),
            ('{"a": "{% include "entry11" %}"}', ["form was not checked"]),
            ('{"a": "{{ json.Unmarshal(nothing).a }}"}', []),
            ("\"{% include 'nothere' %}\"", ["unable to resolve"]),
        ):
            order = PayloadImport(path, payload, format="json")
            if notes is None:
                with self.assertRaisesRegex(InvalidInput, f"in {path} "):
                    await self.service.import_payload(order)
                continue
            told = (await self.service.import_payload(order)).notes
            self.assertEqual(len(told), len(notes), (payload, told))
            for note, part in zip(told, notes, strict=True):
                self.assertIn(part, note)
        # What is imported as it is, without a form, is nobody's template.
        await self.service.import_payload(PayloadImport(path, "{% for %}"))

    async def test_a_payload_with_its_index(self: Any) -> None:
        path = "qc/ANY/any/entry1"
        if not IIndexedStore.providedBy(self.store):
            with self.assertRaises(NotImplementedYet):
                await self.service.component_payload_with_index(path)
            return
        payload, index = await self.service.component_payload_with_index(path)
        self.assertEqual(payload, "entry1 config ANY any")
        await self.store.put(f"o2/components/{path}", "new")
        payload, later = await self.service.component_payload_with_index(path)
        self.assertEqual(payload, "new")
        self.assertGreater(later, index)
        with self.assertRaises(NotFound):
            await self.service.component_payload_with_index("qc/ANY/any/none")

    async def test_fallbacks(self: Any) -> None:
        for asked, found in (
            ("qc/ANY/any/entry1", "qc/ANY/any/entry1"),
            ("qc/PHYSICS/role1/entry1", "qc/PHYSICS/role1/entry1"),
            ("qc/COSMICS/role1/entry1", "qc/ANY/role1/entry1"),
            ("qc/TECHNICAL/role1/entry", "qc/TECHNICAL/any/entry"),
            ("qc/PHYSICS/role1/entry11", "qc/ANY/any/entry11"),
            ("qc/ANY/any/sub/entry12", "qc/ANY/any/sub/entry12"),
        ):
            self.assertEqual(await self.service.resolve_component(asked), found)
        with self.assertRaisesRegex(NotFound, "could not resolve"):
            await self.service.resolve_component("qc/ANY/any/entry2")

    # --- listing -------------------------------------------------------------------------------

    async def test_components(self: Any) -> None:
        self.assertEqual(await self.service.components(), ["aliecs", "qc", "readoutcard"])
        await self.store.put("o2/components/abc/ANY/any/x", "y")
        await self.store.put("o2/components_old/abd/ANY/any/x", "y")
        self.assertEqual(await self.service.components(), ["abc", "aliecs", "qc", "readoutcard"])

    async def test_entries(self: Any) -> None:
        self.assertEqual(await self.service.component_entries("qc"), QC_ENTRIES)
        self.assertIn("flp001/cru/0228/0", await self.service.component_entries("readoutcard"))
        await self.store.put("o2/components/shallow/ANY/x", "y")
        self.assertEqual(await self.service.component_entries("shallow"), [])
        with self.assertRaisesRegex(NotFound, "no keys found"):
            await self.service.component_entries("q")
        await self.store.put("o2/components/aZ0+@/ANY/any/x", "y")
        self.assertEqual(await self.service.component_entries("aZ0+@"), ["ANY/any/x"])
        for name in ("", "..", "qc/ANY"):
            with self.assertRaises(InvalidInput):
                await self.service.component_entries(name)

    async def test_entries_of_a_run_type_and_a_role(self: Any) -> None:
        for key in ("CALIBRATION_FHR/any/a", "CALIBRATION/any/a", "ANY/rol/x", "ANY/any/any"):
            await self.store.put(f"o2/components/c/{key}", "y")
        entries = self.service.component_entries
        self.assertEqual(await entries("c", "CALIBRATION", "", True), ["CALIBRATION/any/a"])
        self.assertEqual(
            await entries("c", "CALIBRATION"), ["ANY/any/any", "ANY/rol/x", "CALIBRATION/any/a"]
        )
        self.assertEqual(await entries("c", "PHYSICS", "role1"), ["ANY/any/any"])
        self.assertEqual(await entries("c", "PHYSICS", "role1", True), [])
        self.assertEqual(await entries("c", "ANY", "a"), ["ANY/any/any"])

    async def test_a_part_of_the_tree(self: Any) -> None:
        text = await self.service.raw_recursive("o2/components/qc/TECHNICAL")
        self.assertEqual(text, '{\n\t"any": {\n\t\t"entry": "config"\n\t}\n}')
        leaf = await self.service.raw_recursive("/o2/components/qc/TECHNICAL/any/entry/")
        self.assertEqual(leaf, '"config"')
        await self.store.put("o2/x/a[0]", "<one> & ü")
        await self.store.put("o2/x/a[1]/b", "two")
        text = await self.service.raw_recursive("o2/x/a")
        self.assertEqual(json.loads(text), ["<one> & ü", {"b": "two"}])
        self.assertIn("\\u003cone\\u003e \\u0026 ü", text)
        everything = json.loads(await self.service.raw_recursive(""))
        self.assertEqual(everything["o2"]["runtime"]["aliecs"]["vars"], {"key2": "value2"})
        for key in ("o2/nothing", "o2/comp"):
            with self.assertRaisesRegex(NotFound, key):
                await self.service.raw_recursive(key)
        with self.assertRaises(InvalidInput):
            await self.service.raw_recursive("o2/../o2")

    # --- import and history --------------------------------------------------------------------

    async def test_an_import_into_a_new_component(self: Any) -> None:
        order = PayloadImport("reco/ANY/any/entry2", "text", new_component=True)
        change = await self.service.import_payload(order)
        self.assertEqual((change.component_existed, change.entry_existed), (False, False))
        self.assertTrue(change.changed)
        self.assertIn("+text", change.difference)
        self.assertEqual(await self.service.component_payload(order.path, None), "text")
        with self.assertRaisesRegex(Conflict, "exists already"):
            await self.service.import_payload(order)

    async def test_an_import_into_a_component_that_is_not_there(self: Any) -> None:
        with self.assertRaisesRegex(Conflict, "(?s)no component gpu.*new component.*\n- qc\n"):
            await self.service.import_payload(PayloadImport("gpu/ANY/any/entry2", "x"))

    async def test_imports_of_new_and_known_entries(self: Any) -> None:
        for path in ("qc/ANY/any/entry4", "qc/PHYSICS/role1/sub/entry2"):
            for existed, text in ((False, "one\n"), (True, "two\n")):
                change = await self.service.import_payload(PayloadImport(path, text))
                self.assertEqual((change.component_existed, change.entry_existed), (True, existed))
                self.assertEqual(await self.store.get(f"o2/components/{path}"), text)
            self.assertIn("\n-one\n+two\n", change.difference)
            change = await self.service.import_payload(PayloadImport(path, "two\n"))
            self.assertEqual((change.changed, change.difference), (False, ""))
            self.assertEqual(len(await self.service.payload_history(path)), 1)

    async def test_a_dry_run_changes_nothing(self: Any) -> None:
        before = dict(await self.store.items(""))
        for path, existed in (("qc/ANY/any/entry1", True), ("qc/ANY/any/other", False)):
            order = PayloadImport(path, "new", dry_run=True)
            change = await self.service.import_payload(order)
            self.assertEqual((change.entry_existed, change.changed), (existed, True))
            self.assertIn("+new", change.difference)
        with self.assertRaises(Conflict):
            await self.service.import_payload(PayloadImport("gpu/ANY/any/x", "y", dry_run=True))
        self.assertEqual(dict(await self.store.items("")), before)

    async def test_what_is_imported_is_checked(self: Any) -> None:
        path = "qc/ANY/any/checked"
        good = {"json": '{"a": 1}', "yaml": "a: [1]\n", "ini": "[a]\nb = c\n", "toml": 'a = "b"\n'}
        for format, payload in good.items():
            order = PayloadImport(path, payload, format=format.upper())
            self.assertEqual((await self.service.import_payload(order)).notes, [])
        for format, payload, line in (
            ("json", '{\n"a": }', 2),
            ("yaml", "a: b\nc: [\n", 3),
            ("ini", "[a]\nb\n", 2),
            ("toml", "a = 1\nb =\n", 2),
        ):
            for dry_run in (True, False):
                order = PayloadImport(path, payload, format=format, dry_run=dry_run)
                with self.assertRaisesRegex(InvalidInput, f"{path}:{line}: not {format.upper()}"):
                    await self.service.import_payload(order)
        self.assertEqual(await self.service.component_payload(path, None), good["toml"])
        with self.assertRaisesRegex(InvalidInput, "'xml' is no format"):
            await self.service.import_payload(PayloadImport(path, "x", format="xml"))

    async def test_a_template_is_no_json_before_it_is_processed(self: Any) -> None:
        order = PayloadImport("qc/ANY/any/t", '{\n"a": {{ b }}}', format="json")
        notes = (await self.service.import_payload(order)).notes
        self.assertRegex(notes[0], r"template \(\{\{ in line 2\)")

    async def test_nothing_is_imported_elsewhere(self: Any) -> None:
        for path in (
            "qc/FOO/any/x",
            "qc/ANY/any/../x",
            "qc/ANY/any/a//b",
            "qc/ANY/any/x@1",
            "qc/ANY//x",
        ):
            with self.assertRaises(InvalidInput, msg=path):
                await self.service.import_payload(PayloadImport(path, "x"))

    async def test_what_was_overwritten_is_kept(self: Any) -> None:
        path = "qc/ANY/any/sub/entry12"
        self.assertEqual(await self.service.payload_history(path), [])
        for number in range(3):
            order = PayloadImport(path, f"text {number} ü", user="me@here", comment=f"c{number}")
            await self.service.import_payload(order)
        history = await self.service.payload_history(path)
        self.assertEqual([about.comment for about in history], ["c2", "c1", "c0"])
        self.assertEqual({about.replaced_by for about in history}, {"me@here"})
        self.assertEqual([about.size_bytes for about in history], [9, 9, 5])
        times = [about.replaced_ms for about in history]
        self.assertEqual(times, sorted(times, reverse=True))
        texts = [(await self.service.historic_payload(path, a.version))[1] for a in history]
        self.assertEqual(texts, ["text 1 ü", "text 0 ü", "world"])
        self.assertEqual(
            (await self.service.historic_payload(path, history[0].version))[0], history[0]
        )
        # The history of an entry is not that of entries below or beside it.
        self.assertEqual(await self.service.payload_history("qc/ANY/any/sub"), [])
        self.assertEqual(await self.service.payload_history("qc/ANY/any/entry12"), [])
        for version in ("2020-01-01T00:00:00.000000Z", "x"):
            with self.assertRaises(NotFound):
                await self.service.historic_payload(path, version)
        for version in ("", "../x"):
            with self.assertRaises(InvalidInput):
                await self.service.historic_payload(path, version)

    async def test_where_the_history_is(self: Any) -> None:
        path = "qc/ANY/any/entry1"
        await self.service.import_payload(PayloadImport(path, "new", user="me", comment="why"))
        (key,) = await self.store.list("o2/history")
        self.assertRegex(
            key,
            rf"^o2/history/components/{path}/@\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z$",
        )
        value = json.loads(await self.store.get(key))
        self.assertEqual(value["payload"], "entry1 config ANY any")
        self.assertEqual((value["user"], value["comment"]), ("me", "why"))
        self.assertEqual(await self.service.component_entries("qc"), QC_ENTRIES)

    async def test_the_last_twenty_are_kept(self: Any) -> None:
        path = "qc/ANY/any/entry1"
        for number in range(23):
            await self.service.import_payload(PayloadImport(path, f"text {number}"))
        history = await self.service.payload_history(path)
        texts = [(await self.service.historic_payload(path, a.version))[1] for a in history]
        self.assertEqual(texts, [f"text {number}" for number in range(21, 1, -1)])

    async def test_imports_at_once_lose_nothing(self: Any) -> None:
        path = "qc/ANY/any/entry1"
        askers = [self.service, await self.house.another()]
        texts = [f"text {number}" for number in range(12)]
        done = await DeferredList(
            [
                Deferred.fromCoroutine(askers[number % 2].import_payload(PayloadImport(path, text)))
                for number, text in enumerate(texts)
            ]
        )
        self.assertTrue(all(success for success, _ in done), done)
        history = await self.service.payload_history(path)
        kept = [(await self.service.historic_payload(path, a.version))[1] for a in history]
        present = await self.service.component_payload(path, None)
        self.assertEqual(sorted([present, *kept]), sorted(["entry1 config ANY any", *texts]))

    async def test_a_deletion_among_imports_loses_nothing(self: Any) -> None:
        path = "qc/ANY/any/entry1"
        asked = [
            self.service.delete_payload(path, "", "")
            if number == 3
            else self.service.import_payload(PayloadImport(path, f"text {number}"))
            for number in range(8)
        ]
        done = await DeferredList([Deferred.fromCoroutine(one) for one in asked])
        self.assertTrue(all(success for success, _ in done), done)
        history = await self.service.payload_history(path)
        kept = {(await self.service.historic_payload(path, a.version))[1] for a in history}
        with contextlib.suppress(NotFound):
            kept.add(await self.service.component_payload(path, None))
        texts = {f"text {number}" for number in range(8) if number != 3}
        self.assertEqual(kept, {"entry1 config ANY any", *texts})

    async def test_what_was_deleted_is_kept(self: Any) -> None:
        path = "qc/ANY/any/entry1"
        await self.service.delete_payload(path, "me", "not used")
        with self.assertRaises(NotFound):
            await self.service.component_payload(path, None)
        with self.assertRaises(NotFound):
            await self.service.delete_payload(path, "me", "")
        (about,) = await self.service.payload_history(path)
        self.assertEqual((about.replaced_by, about.comment), ("me", "not used"))
        _, text = await self.service.historic_payload(path, about.version)
        self.assertEqual(text, "entry1 config ANY any")
        change = await self.service.import_payload(PayloadImport(path, text))
        self.assertFalse(change.entry_existed)

    async def test_templates_can_be_forgotten_at_any_time(self: Any) -> None:
        before = await self.service.component_payload("qc/ANY/any/entry1", {})
        await self.service.invalidate_templates()
        after = await self.service.component_payload("qc/ANY/any/entry1", {})
        self.assertEqual(before, after)

    # --- inventory -----------------------------------------------------------------------------

    async def test_inventory(self: Any) -> None:
        service = self.service
        self.assertEqual(list(await service.detectors(True)), ["ABC", "DEF", "TRG", "XYZ"])
        self.assertEqual(list(await service.detectors(False)), ["ABC", "DEF", "XYZ"])
        self.assertEqual(
            list(await service.host_inventory("")),
            ["flp001", "flp002", "flp003", "flp100", "flp500"],
        )
        self.assertEqual(list(await service.host_inventory("DEF")), ["flp002", "flp003"])
        self.assertEqual(list(await service.host_inventory("XYZ")), [])
        self.assertEqual(list(await service.host_inventory("NOPE")), [])
        self.assertEqual(
            await service.detectors_inventory(),
            {"ABC": ["flp001"], "DEF": ["flp002", "flp003"], "TRG": ["flp100"], "XYZ": []},
        )

    async def test_detectors_of_hosts(self: Any) -> None:
        service = self.service
        self.assertEqual(await service.detector_for_host("flp001"), "ABC")
        self.assertEqual(await service.detector_for_host("flp003"), "DEF")
        self.assertEqual(
            await service.detectors_for_hosts(["flp003", "flp001", "flp002"]), ["ABC", "DEF"]
        )
        self.assertEqual(await service.detectors_for_hosts([]), [])
        for host in ("NOPE", "abc", "flp00"):
            with self.assertRaisesRegex(NotFound, "detector not found"):
                await service.detector_for_host(host)
            with self.assertRaisesRegex(NotFound, "detector not found"):
                await service.detectors_for_hosts(["flp001", host])

    async def test_cards(self: Any) -> None:
        service = self.service
        self.assertEqual(await service.cards_for_host("flp001"), ["0228", "0229"])
        self.assertEqual(await service.endpoints_for_card("flp001", "0228"), ["0", "1"])
        self.assertEqual(await service.endpoints_for_card("flp001", "NOPE"), [])
        self.assertEqual(await service.cards_for_host("flp002"), [])
        for host, error in (("NOPE", NotFound), ("flp500", InvalidInput), ("flp003", InvalidInput)):
            with self.assertRaisesRegex(error, host):
                await service.cards_for_host(host)
            with self.assertRaisesRegex(error, host):
                await service.endpoints_for_card(host, "0228")

    async def test_links(self: Any) -> None:
        links = self.service.link_ids
        self.assertEqual(await links("flp001", "0228", "0", False), ["0", "1", "2", "10"])
        self.assertEqual(await links("flp001", "0228", "0", True), ["0", "2"])
        for place in (
            ("NOPE", "0228", "0"),
            ("flp001", "0230", "0"),
            ("flp001", "0228", "5"),
            ("flp146", "0110", "0"),
        ):
            with self.assertRaises(NotFound):
                await links(*place, False)

    async def test_links_by_their_names(self: Any) -> None:
        links = self.service.aliased_link_ids
        names = ["01", "123", "400", "58", "59", "600", "62", "63", "a-b_c=d", "string"]
        self.assertEqual(await links("ABC", False), names)
        self.assertEqual(await links("ABC", True), ["01", "400", "58", "600", "string"])
        self.assertEqual(await links("XYZ", False), [])
        for detector in ("NOPE", "abc", "DEF"):
            with self.assertRaises(NotFound):
                await links(detector, False)
        await self.store.put(
            "o2/components/readoutcard/flp001/cru/0229/1", '{"link7": {"enabled": "true"}}'
        )
        with self.assertRaisesRegex(NotFound, "no name for link 7 of 0229:1"):
            await links("ABC", True)

    async def test_names_of_hosts_and_detectors_are_no_paths(self: Any) -> None:
        for call in (
            self.service.detector_for_host("a/b"),
            self.service.host_inventory("../flps"),
            self.service.cards_for_host(".."),
            self.service.endpoints_for_card("", "x"),
            self.service.link_ids("flp001", "..", "0", False),
            self.service.aliased_link_ids("a/b", False),
        ):
            with self.assertRaises(InvalidInput):
                await call


def of_house(build: Build) -> type[TestCase]:
    """The contract for one kind of house."""
    name = "".join(word.capitalize() for word in build.__name__.split("_")) + "Tests"
    members = {"build": staticmethod(build), "__module__": __name__}
    return type(name, (ServiceContract, HouseTestCase), members)


for _build in HOUSES:
    _case = of_house(_build)
    globals()[_case.__name__] = _case
del _case
