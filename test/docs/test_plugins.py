"""The plugin of `docs/plugins.md`, installed beside a real core and called by its workflow."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from test.docs.documents import DOCS, blocks
from test.docs.test_workflows import files
from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

PAGE = DOCS / "plugins.md"


@contextmanager
def sign() -> Iterator[tuple[str, list[str]]]:
    """The sign: its address, and what it showed."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            shown.append(self.rfile.read(int(self.headers["Content-Length"] or 0)).decode())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def install(folder: Path) -> None:
    """Put the files of the page where it says."""
    text = PAGE.read_text()
    for block in blocks(PAGE, "python"):
        before = "\n".join(text.splitlines()[: block.line - 2])
        path = folder / re.findall(r"`([\w/]+\.py)`", before)[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)


def test_the_example(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    install(plugins)
    assert sorted(str(p.relative_to(plugins)) for p in plugins.rglob("*.py")) == [
        "sign.py",
        "twisted/plugins/sign_plugins.py",
    ]
    (settings,) = [b for b in blocks(PAGE, "yaml") if b.text.startswith("integrationPlugins")]
    with (
        sign() as (address, shown),
        RunningCore(
            tmp_path / "house",
            hosts=["flp001"],
            settings=yaml.safe_load(settings.text),
            workflows=files(PAGE),
            variables={"PYTHONPATH": python_path(plugins), "SIGN_URL": address},
        ) as core,
    ):
        environment = core.create(core.template("shown"), run_type="PHYSICS")
        roles = core.coconut("role", "query", environment.id, "shown.clock").stdout
        assert re.search(r"^\tcolour: red$", roles, re.M)
        core.control(environment.id, "START_ACTIVITY")
        assert shown == ["run 1"]
        _, services, _ = core.rest("GET", "/api/v1/services")
        assert services["services"]["sign"]["connectionState"] == "READY"
        seen = core.environment(environment.id)
        assert seen.integratedServicesData["sign"] == "run 1"
        core.control(environment.id, "STOP_ACTIVITY")
        assert shown == ["run 1", ""]
        assert not core.record(environment.id).warnings
        core.destroy(environment.id)


def test_a_sign_that_is_away_is_a_warning(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    install(plugins)
    with RunningCore(
        tmp_path / "house",
        hosts=["flp001"],
        settings={"integrationPlugins": ["sign"]},
        workflows=files(PAGE),
        variables={"PYTHONPATH": python_path(plugins), "SIGN_URL": "http://127.0.0.1:1"},
    ) as core:
        environment = core.create(core.template("shown"))
        assert core.control(environment.id, "START_ACTIVITY").state == "RUNNING"
        (warning,) = core.record(environment.id).warnings
        assert "the sign at http://127.0.0.1:1 cannot be reached" in warning
        core.destroy(environment.id)


def python_path(plugins: Path) -> str:
    """Where Python finds the plugins, and what it found before."""
    return os.pathsep.join([str(plugins), *filter(None, [os.environ.get("PYTHONPATH")])])
