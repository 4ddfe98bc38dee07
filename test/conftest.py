"""The asyncio reactor, installed once for every test: grpc.aio lives in its loop."""

import sys

if "twisted.internet.reactor" not in sys.modules:
    from twisted.internet import asyncioreactor

    asyncioreactor.install()
