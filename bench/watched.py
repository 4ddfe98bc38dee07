"""The core under observation: `twistd aliecs`, and a record of how long its reactor was held.

    python -m bench.watched FILE --config settings.yaml

Every five milliseconds something is due; when it comes late by more than ten, the moment and the
delay are written to FILE, in seconds, one line for each.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

asyncioreactor.install(asyncio.new_event_loop())

from twisted.internet import reactor as installed_reactor  # noqa: E402
from twisted.scripts import twistd  # noqa: E402

TICK_S = 0.005
WORTH_TELLING_S = 0.01


def watch(reactor: Any, path: Path) -> None:
    """Begin to look."""
    record = path.open("w", buffering=1)
    due_s = time.monotonic()

    def look() -> None:
        nonlocal due_s
        now_s = time.monotonic()
        if now_s - due_s > WORTH_TELLING_S:
            record.write(f"{time.time():.3f} {now_s - due_s:.4f}\n")
        due_s = time.monotonic() + TICK_S
        reactor.callLater(TICK_S, look)

    reactor.callWhenRunning(look)


def main() -> None:
    """Watch, and be the core."""
    watch(installed_reactor, Path(sys.argv[1]))
    sys.argv = ["twistd", "-n", "--pidfile=", "aliecs", *sys.argv[2:]]
    twistd.run()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
