"""Clients that list environments, one thread and one connection each, as fast as they are answered.

    python -m bench.listers GRPC-ADDRESS REST-ADDRESS grpc-list|grpc-one|rest-list CLIENTS

Prints `ready` when all have their first answer. For each line on standard input it prints, as JSON,
how many answers took how many milliseconds since the last one, and the processor time used.
"""

from __future__ import annotations

import http.client
import json
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import grpc

from aliecs.protocol.protos import o2control_pb2

SERVICE = "/o2control.Control/"
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))


class Answers:
    """What took how long."""

    def __init__(self) -> None:
        self.times: Counter[int] = Counter()
        self.lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """One more answer."""
        with self.lock:
            self.times[round(seconds * 1e3)] += 1

    def report(self) -> str:
        """All of it, and begin anew."""
        with self.lock:
            times, self.times = self.times, Counter()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return json.dumps({"times": times, "processor_s": usage.ru_utime + usage.ru_stime})


def grpc_question(address: str, method: str, request: bytes) -> Callable[[], bytes]:
    """A call without looking at what is in the answer."""
    channel = grpc.insecure_channel(address, options=OPTIONS)
    call = channel.unary_unary(SERVICE + method)
    return lambda: bytes(call(request, timeout=60, wait_for_ready=True))


def rest_question(address: str, path: str) -> Callable[[], bytes]:
    """A request without looking at what is in the answer."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)

    def ask() -> bytes:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body!r}")
        return body

    return ask


def questions(grpc_address: str, rest_address: str, what: str) -> Callable[[], Callable[[], bytes]]:
    """Makes a new client of the kind that is asked for."""
    everything = o2control_pb2.GetEnvironmentsRequest(showAll=True).SerializeToString()
    if what == "grpc-list":
        return lambda: grpc_question(grpc_address, "GetEnvironments", everything)
    if what == "rest-list":
        return lambda: rest_question(rest_address, "/api/v1/environments")
    listed = grpc_question(grpc_address, "GetEnvironments", everything)()
    first = o2control_pb2.GetEnvironmentsReply.FromString(listed).environments[0].id
    one = o2control_pb2.GetEnvironmentRequest(id=first).SerializeToString()
    return lambda: grpc_question(grpc_address, "GetEnvironment", one)


def main() -> None:
    """Ask and ask."""
    grpc_address, rest_address, what, clients = sys.argv[1:]
    answers = Answers()
    make = questions(grpc_address, rest_address, what)
    begun = threading.Barrier(int(clients) + 1)

    def ask_again() -> None:
        ask = make()
        ask()
        begun.wait()
        while True:
            began_s = time.monotonic()
            ask()
            answers.add(time.monotonic() - began_s)

    for _ in range(int(clients)):
        threading.Thread(target=ask_again, daemon=True).start()
    begun.wait()
    print("ready", flush=True)
    while sys.stdin.readline():
        print(answers.report(), flush=True)


if __name__ == "__main__":
    main()
