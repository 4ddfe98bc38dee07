"""A real Consul on loopback, for tests: one process for all of them, emptied for each."""

from __future__ import annotations

import atexit
import json
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from test import tools
from test.ports import free_ports

_START_S = 60.0


def find_consul() -> Path:
    """The program. For the top of a module: where there is none, the module is not run, and it is
    said in one line at the end."""
    program = tools.consul()
    if program is None:
        pytest.skip(
            "Consul cannot be had on this machine (make test-tools)", allow_module_level=True
        )
    return program


class ConsulServer:
    """One development agent, which forgets everything when it ends. `arguments` are further ones of
    its command line; `token` is what it wants to see from this class."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self.port, *self._others = free_ports(5)
        self.address = f"127.0.0.1:{self.port}"
        self.token = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="consul-")

    def start(self) -> None:
        """Start, and wait until it has a leader."""
        server, lan, wan, _ = self._others
        command = [
            str(find_consul()),
            "agent",
            "-dev",
            *("-bind=127.0.0.1", "-client=127.0.0.1", f"-http-port={self.port}"),
            *("-dns-port=-1", "-grpc-port=-1", f"-server-port={server}"),
            *(f"-serf-lan-port={lan}", f"-serf-wan-port={wan}", "-log-level=err"),
            *self.arguments,
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder.name
        )
        atexit.register(self.stop)
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            try:
                if json.loads(self._ask("GET", "status/leader")):
                    self._ask("PUT", "kv/probe", b"x")
                    self.empty()
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("Consul did not start")

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def empty(self) -> None:
        """Remove all keys."""
        self._ask("DELETE", "kv/?recurse=true")

    def put(self, key: str, value: bytes) -> None:
        """Set a key as another program would."""
        self._ask("PUT", f"kv/{key}", value)

    def get(self, key: str) -> bytes:
        """The value of a key."""
        return self._ask("GET", f"kv/{key}?raw=true")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://{self.address}/v1/{path}", data=body, method=method
        )
        if self.token:
            request.add_header("X-Consul-Token", self.token)
        with urllib.request.urlopen(request, timeout=5) as answer:
            content: bytes = answer.read()
            return content


_shared: list[ConsulServer] = []


def shared_consul() -> ConsulServer:
    """The server that all tests share, empty."""
    if not _shared:
        server = ConsulServer()
        server.start()
        _shared.append(server)
    _shared[0].empty()
    return _shared[0]
