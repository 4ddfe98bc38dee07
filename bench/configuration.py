"""What a configuration tree of 100,000 keys costs, in each kind of store.

    python bench/configuration.py [KEYS]

Fills a store, lists it, asks for single keys, and resolves component queries, each as processor
time of this process and as time on the wall; then what the process holds more than before. Consul
is measured where there is one (see `make test-tools`).
"""

from __future__ import annotations

import gc
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from twisted.internet import asyncioreactor

asyncioreactor.install()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import react  # noqa: E402

from aliecs.configuration.opening import open_configuration  # noqa: E402

KEYS = 100_000
QUESTIONS = 1000
FOLDERS = 1000


def processor_s() -> float:
    """Of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_kib() -> int:
    """What this process alone has in memory."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise SystemExit("this system does not tell how much memory a process has")


async def measured(name: str, count: int, work: Callable[[], Awaitable[Any]]) -> None:
    """Do some work and print what each of `count` items of it cost."""
    wall, processor = time.monotonic(), processor_s()
    await work()
    wall, processor = time.monotonic() - wall, processor_s() - processor
    print(
        f"  {name:34} {wall:8.2f} s {processor:8.2f} s processor "
        f"{processor / count * 1e6:9.2f} us each",
        flush=True,
    )


def keys(count: int) -> dict[str, str]:
    """A tree of components, `count` payloads in folders of a hundred."""
    return {
        f"o2/components/qc{number % FOLDERS:04}/ANY/any/entry{number:06}": f"payload {number}"
        for number in range(count)
    }


async def measure(uri: str, place: Path, count: int) -> None:
    """One kind of store."""
    service: Any = open_configuration(uri, place, reactor)
    await service.start()
    gc.collect()
    before = memory_kib()
    try:
        await ask(service, count)
        gc.collect()
        print(f"  {'memory more than before':34} {memory_kib() - before:8} KiB")
    finally:
        await service.stop()


async def ask(service: Any, count: int) -> None:
    """All that is measured of one store."""
    store = service.store
    tree = keys(count)
    some = list(tree)[:QUESTIONS]

    async def small() -> None:
        for number in range(QUESTIONS):
            await store.list(f"o2/components/qc{number % FOLDERS:04}")

    async def get() -> None:
        for key in some:
            await store.get(key)

    async def resolve() -> None:
        for key in some:
            component, _, _, entry = key.removeprefix("o2/components/").split("/")
            await service.resolve_component(f"{component}/PHYSICS/flp/{entry}")

    await measured("set, all together", count, lambda: store.put_all(tree))
    await measured("list all keys", count, lambda: store.list("o2/components"))
    await measured("list with values", count, lambda: store.items("o2/components"))
    await measured("list one component of a thousand", QUESTIONS, small)
    await measured("get", QUESTIONS, get)
    await measured("resolve by the last of four", QUESTIONS, resolve)


async def main(count: int) -> None:
    """All stores."""
    from test import tools

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        print(f"SQLite, {count} keys")
        await measure("sqlite://", place, count)
        print(f"YAML file, {count} keys")
        (place / "tree.yaml").touch()
        await measure(f"file://{place}/tree.yaml", place, count)
    if tools.consul() is None:
        print("Consul: not measured, there is none (make test-tools)")
        return
    from test.consul import ConsulServer

    server = ConsulServer()
    server.start()
    try:
        print(f"Consul, {count} keys")
        await measure(f"consul://{server.address}", Path("/"), count)
    finally:
        server.stop()


def run(reactor: Any, count: str = str(KEYS)) -> Deferred[None]:
    """Entry point."""
    return Deferred.fromCoroutine(main(int(count)))


if __name__ == "__main__":
    react(run, sys.argv[1:])
