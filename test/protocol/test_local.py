"""The local socket: hellos, addresses of any length, processes that are recognised."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from aliecs.errors import InvalidInput
from aliecs.executor import launcher
from aliecs.protocol.local import (
    TASK_MARK,
    Hello,
    decode_hello,
    process_start_time,
    short_address,
    task_of_process,
)

HELLO = Hello(host="flp001", executor_id="2oE", token="very-secret", pid=4711)


def test_a_hello_there_and_back_without_its_secret_in_print() -> None:
    assert decode_hello(HELLO.encode()) == HELLO
    assert "very-secret" not in repr(HELLO) + str(HELLO)


@pytest.mark.parametrize("record", [b"", b"{}", b"\xff", b'{"host": 1}', b" " * 5000])
def test_what_is_no_hello_is_refused(record: bytes) -> None:
    with pytest.raises(InvalidInput, match="not the hello of an executor"):
        decode_hello(record)


def test_a_socket_may_lie_as_deep_as_it_likes(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 40) / ("deeper" * 30)
    folder.mkdir(parents=True)
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short_address(path) as address:
            server.bind(address)
        server.listen()
        with short_address(path) as address:
            client.connect(address)
    assert path.is_socket()


def test_a_process_has_one_start_time() -> None:
    own = process_start_time(os.getpid())
    assert own > 0 and own == process_start_time(os.getpid())
    assert process_start_time(2**22 + 1) == 0


def test_a_process_says_which_task_it_belongs_to() -> None:
    # The launcher can import nothing, and has the name for itself.
    assert launcher.MARK == TASK_MARK
    with subprocess.Popen(["sleep", "60"], env={TASK_MARK: "2oDvieFrVTi"}) as process:
        # In the middle of exec there is nothing to read.
        deadline = time.monotonic() + 10
        while not task_of_process(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert task_of_process(process.pid) == "2oDvieFrVTi"
        process.kill()
    assert task_of_process(process.pid) == ""
    assert task_of_process(os.getpid()) == ""
