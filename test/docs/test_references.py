"""What the documentation points to is there: documents, sections, files, functions, tables."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from aliecs import errors
from aliecs.api.apricot import Apricot, ExtendedConfiguration
from aliecs.api.apricot_document import document
from aliecs.api.control import Control
from aliecs.api.extended import ExtendedControl
from aliecs.configuration.wire import APRICOT, EXTENDED
from aliecs.errors import AliecsError
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from test.docs.documents import DOCS, ROOT, blocks, documents
from test.docs.test_commands import routes
from test.test_imports import ROWS

LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


def anchors(document: Path) -> set[str]:
    """The anchors that viewers make of headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_document_is_found_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{path.name}" for path in DOCS.glob("*.md")} <= linked


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_files_named_in_the_text_exist(document: Path) -> None:
    named = re.findall(
        r"`((?:aliecs|test|docs|etc|bench|twisted|templates)/[\w./-]*[\w/])`", document.read_text()
    )
    missing = [path for path in named if not (ROOT / path).exists()]
    # The example's plugin is in a folder of its own, and the tree of configuration has paths too.
    assert not [path for path in missing if not re.search("sign_plugins|/ANY/", path)]


def test_the_walks_name_what_is_there() -> None:
    text = (DOCS / "developers.md").read_text()
    steps = re.findall(r"`([\w/]+)\.py: ([\w.]+)`", text)
    assert len(steps) > 30
    for path, name in steps:
        found = importlib.import_module(f"aliecs.{path.replace('/', '.')}")
        for part in name.split("."):
            found = getattr(found, part)


def test_the_plan_of_the_house_is_the_one_that_is_held() -> None:
    first = "service, apricot, cli"
    plan = [block for block in blocks(DOCS / "developers.md", "text") if first in block.text]
    assert [line.split(", ") for line in plan[0].text.splitlines()] == ROWS


def test_the_machine_is_drawn_as_it_is() -> None:
    specification = importlib.util.spec_from_file_location("machine_drawing", DOCS / "machine.py")
    assert specification is not None
    assert specification.loader is not None
    drawing = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(drawing)
    page = drawing.PAGE.read_text()
    assert drawing.redrawn(page) == page, "run: python docs/machine.py"


def table(document: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, cells without their marks."""
    text = (DOCS / document).read_text()
    section = re.split(r"^#+ .*$", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.M)[0]
    found = re.search(r"(?:^\|.*\|\n)+", section, re.M)
    assert found is not None, f"{document} has no table below {heading}"
    rows = re.findall(r"^\| (.*) \|$", found[0], re.M)[2:]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)] for row in rows]


def test_the_methods_of_the_control_api() -> None:
    service: ServiceDescriptor = o2control_pb2.DESCRIPTOR.services_by_name["Control"]
    rows = {row[0]: row[1] for row in table("api.md", "### o2control.Control")}
    assert set(rows) == {method.name for method in service.methods}
    lacking = {name for name in rows if not hasattr(Control, name)}
    assert lacking <= {name for name, offered in rows.items() if offered == "no"}


def test_the_methods_of_our_own() -> None:
    service: ServiceDescriptor = aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"]
    rows = {row[0] for row in table("api.md", "### aliecs.v1.Control")}
    assert rows == {method.name for method in service.methods}
    assert all(hasattr(ExtendedControl, name) for name in rows)


def test_the_methods_of_the_configuration_service() -> None:
    for service, heading, face in (
        (APRICOT, "### apricot.Apricot", Apricot),
        (EXTENDED, "### aliecs.v1.Configuration", ExtendedConfiguration),
    ):
        rows = table("api.md", heading)
        named = [name for row in rows for name in re.findall(r"\w+", row[0])]
        assert sorted(named) == sorted(method.name for method in service.methods)
        assert all(hasattr(face, name) for name in named)


def test_the_paths_of_the_configuration_service() -> None:
    text = " ".join(row[0] for row in table("api.md", "### Configuration over HTTP"))
    documented = {
        path.replace("<", "{").replace(">", "}")
        for path in re.findall(r"/[\w/<>]+", text)
        if not path.startswith("/docs") and not path.endswith("/json")
    }
    assert documented == {path for path in document()["paths"] if not path.endswith("{format}")}


def test_the_paths_of_rest() -> None:
    documented = {row[0] for row in table("api.md", "## REST")}
    served = {
        f"{method} {rule.rule}"
        for rule in routes().iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert documented == served


def test_the_codes_of_errors() -> None:
    text = (DOCS / "api.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \| ([A-Z_]+) \| (\d+) \|$", text, re.M))
    kinds = {
        (kind.code, kind.grpc_status, str(kind.http_status))
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, AliecsError) and kind.code != "settings"
    }
    assert rows == kinds


def test_every_dependency_has_its_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].split("\n")
    floors = dict(
        re.findall(r"^([\w.-]+)(?:\[.*\])? >= ([\d.]+)", line)[0] for line in required if line
    )
    documented: dict[str, str] = {}
    for names, floor, *_ in table("dependencies.md", "## What is used"):
        packages = [re.sub(r",? with .*", "", name) for name in re.split(r", (?!with|`)", names)]
        if names.startswith("Twisted"):
            packages = ["Twisted"]
        versions = re.findall(r"[\d.]+\d", floor.partition(", below")[0])
        for index, package in enumerate(packages):
            documented[package] = versions[min(index, len(versions) - 1)]
    assert set(documented) == set(floors)
    for package, floor in floors.items():
        assert floor.startswith(documented[package]), package
