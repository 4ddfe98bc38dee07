"""The asyncio reactor, installed once for every test: grpc.aio lives in its loop. And interruptions
as on a terminal, also where the tests run in the background of a shell, which ignores them."""

import signal
import sys

if "twisted.internet.reactor" not in sys.modules:
    from twisted.internet import asyncioreactor

    asyncioreactor.install()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Programs that are started inherit it, and could not be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
