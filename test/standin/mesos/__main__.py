"""`python -m test.standin.mesos`: a cluster to be talked to, until it is interrupted.

Its addresses are written to standard output, or to a file, as JSON; see `control` for what can be
done to it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

if "twisted.internet.reactor" not in sys.modules:
    from twisted.internet import asyncioreactor

    asyncioreactor.install()

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from test.standin.mesos.cluster import ATTRIBUTES, RESOURCES, Cluster
from test.standin.mesos.control import Control
from test.standin.mesos.pace import Times


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m test.standin.mesos")
    parser.add_argument("--port", type=int, default=0, help="of the first; the others follow it")
    parser.add_argument("--masters", type=int, default=1)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--resources", default=RESOURCES)
    parser.add_argument("--attributes", default=ATTRIBUTES, help="{number} is the agent's")
    parser.add_argument("--replicated", action="store_true", help="masters remember agents")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster time passes")
    parser.add_argument("--times", default="{}", help="JSON: see `pace.Times`")
    parser.add_argument("--work-dir", type=Path, help="for sandboxes (default: a temporary folder)")
    parser.add_argument("--addresses", type=Path, help="the file for the addresses")
    parser.add_argument("--principal", help="with --secret: whom masters let call")
    parser.add_argument("--secret", default="")
    return parser.parse_args()


async def run(options: argparse.Namespace, work_dir: Path) -> None:
    """Start everything and tell where it is."""
    credentials = {options.principal: options.secret} if options.principal else {}
    cluster = Cluster(
        reactor, work_dir, options.speed, Times(**json.loads(options.times)),
        is_replicated=options.replicated, credentials=credentials,
    )  # fmt: skip
    over: Deferred[None] = Deferred()
    whole: Any = reactor
    whole.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(cluster.stop())
    )
    await cluster.start(options.masters, 0, options.port)
    for number in range(options.agents):
        port = options.port + options.masters + number if options.port else 0
        await cluster.add_agent(
            resources=options.resources, attributes=options.attributes, port=port
        )
    control = Control(cluster)
    await control.listener.start()
    text = json.dumps(control.addresses(), indent=4) + "\n"
    if options.addresses is not None:
        whole_file = options.addresses.with_suffix(".new")
        whole_file.write_text(text)
        whole_file.replace(options.addresses)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()
    await over


def main() -> None:
    """Entry point."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="mesos-") as folder:
        work_dir = options.work_dir or Path(folder)
        # When the reactor runs it is that who hears signals, and not before.
        react(lambda _: deferLater(reactor, 0, Deferred.fromCoroutine, run(options, work_dir)))


if __name__ == "__main__":
    main()
