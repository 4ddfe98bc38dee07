"""Fills a tree of configuration from a YAML file of the same shape.

How an embedded store gets an experiment's inventory, defaults and component payloads. Also a
program, to be run while no core is at work or beside one:

    python -m aliecs.configuration.importing sqlite:///var/lib/o2/aliecs/configuration.db tree.yaml
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from aliecs.configuration.opening import open_store
from aliecs.configuration.tree import flatten
from aliecs.errors import AliecsError
from aliecs.interfaces import IConfigurationStore
from aliecs.language.document import parse_document


async def import_text(store: IConfigurationStore, text: bytes, name: str) -> int:
    """Coroutine. Set in `store` what a YAML text of nested maps holds, all or nothing where the
    store can (see its `put_all`).

    `name` is what to call the text to people. Gives the number of values. Values that exist are
    replaced; nothing is removed. Raises `TemplateError` with the line where the text cannot be
    understood, `Conflict` where a key would have a value and keys below it.
    """
    values = flatten(parse_document(text, name))
    await store.put_all(values)
    return len(values)


async def _import(reactor: Any, uri: str, name: str) -> None:
    store = open_store(uri, Path.cwd(), reactor)
    text = Path(name).read_bytes()
    await store.start()
    try:
        count = await import_text(store, text, name)
    finally:
        await store.stop()
    sys.stdout.write(f"{count} values set in {store.uri}\n")


def main() -> None:
    """Entry point of the program; exit status 0 where it worked, 1 where not, 2 for wrong usage."""
    given = sys.argv[1:]
    if len(given) != 2:
        sys.stderr.write("usage: python -m aliecs.configuration.importing STORE-URI FILE\n")
        raise SystemExit(2)

    async def work(reactor: Any) -> None:
        try:
            await _import(reactor, *given)
        except (AliecsError, OSError) as error:
            raise SystemExit(str(error)) from error

    def run(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(work(reactor))

    react(run)


if __name__ == "__main__":
    main()
