"""HTTP with a real server on a real socket."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from twisted.internet import reactor as installed_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from aliecs.backend.mesos.wire import HttpWire, Reply, Unanswered
from aliecs.errors import SettingsError, Unavailable
from test.backend.mesos.certificate import make_certificate

reactor: Any = installed_reactor


class Master(Resource):
    """Answers as it is told to: `mode` is a status, or what goes wrong."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.mode = "stream"
        self.requests: list[Any] = []
        self.bodies: list[bytes] = []

    def render_POST(self, request: Any) -> Any:
        self.requests.append(request)
        self.bodies.append(request.content.read())
        if self.mode == "silence":
            return NOT_DONE_YET
        if self.mode == "cut":
            request.transport.abortConnection()
            return NOT_DONE_YET
        if self.mode == "redirect":
            request.setResponseCode(307)
            request.setHeader("Location", "//other.example:5050")
            return b""
        if self.mode == "stream":
            request.setHeader("Mesos-Stream-Id", "stream-1")
            request.setHeader("Content-Type", "application/x-protobuf")
            request.write(b"5\nfirst")
            return NOT_DONE_YET
        request.setResponseCode(int(self.mode))
        return b"some text" if int(self.mode) >= 300 else b""


class WireTest(TestCase):
    """One wire, one server."""

    timeout = 10

    def setUp(self) -> None:
        self.master = Master()
        site = Site(self.master)
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/api/v1/scheduler"
        self.wire = HttpWire(reactor, 1.0, "ecs", "secret")
        self.pieces: list[bytes] = []

    async def tearDown(self) -> None:
        await self.wire.close()
        for request in self.master.requests:
            channel = getattr(request, "channel", None)
            if channel is not None and channel.transport is not None:
                channel.transport.abortConnection()
        await maybeDeferred(self.port.stopListening)
        await deferLater(reactor, 0.01, lambda: None)

    async def open(self) -> tuple[Any, Deferred[str]]:
        reply, stream = await self.wire.open(self.url, b"subscribe")
        assert reply == Reply(200) and stream is not None and stream.stream_id == "stream-1"
        ended: Deferred[str] = Deferred()
        stream.read(self.pieces.append, ended.callback)
        while not self.pieces:
            await deferLater(reactor, 0.01, lambda: None)
        return stream, ended

    async def test_a_stream_comes_as_it_is_written(self) -> None:
        _, ended = await self.open()
        (request,) = self.master.requests
        headers = request.requestHeaders
        assert headers.getRawHeaders("Content-Type") == ["application/x-protobuf"]
        assert headers.getRawHeaders("Accept") == ["application/x-protobuf"]
        assert headers.getRawHeaders("Connection") == ["close"]
        assert headers.getRawHeaders("Mesos-Stream-Id") is None
        secret = base64.b64encode(b"ecs:secret").decode()
        assert headers.getRawHeaders("Authorization") == [f"Basic {secret}"]
        assert self.master.bodies == [b"subscribe"]
        request.write(b"6\nsecond")
        while len(self.pieces) < 2:
            await deferLater(reactor, 0.01, lambda: None)
        assert b"".join(self.pieces) == b"5\nfirst6\nsecond"
        request.finish()
        assert await ended == "Response body fully received"

    async def test_a_stream_that_is_cut_ends_with_a_reason(self) -> None:
        _, ended = await self.open()
        self.master.requests[0].transport.abortConnection()
        assert await ended

    async def test_a_stream_is_closed_from_this_side(self) -> None:
        stream, ended = await self.open()
        gone = self.master.requests[0].notifyFinish()
        stream.close()
        await ended
        with pytest.raises(Exception, match=r"[Cc]onnection"):
            await gone

    async def test_calls_share_a_connection_and_name_the_stream(self) -> None:
        self.master.mode = "202"
        for _ in range(3):
            assert await self.wire.call(self.url, "stream-1", b"call") == Reply(202)
        peers = {request.getClientAddress().port for request in self.master.requests}
        assert len(peers) == 1
        ids = self.master.requests[0].requestHeaders.getRawHeaders("Mesos-Stream-Id")
        assert ids == ["stream-1"]

    async def test_errors_come_with_their_text(self) -> None:
        self.master.mode = "400"
        assert await self.wire.call(self.url, "stream-1", b"call") == Reply(400, "some text")
        reply, stream = await self.wire.open(self.url, b"subscribe")
        assert (reply, stream) == (Reply(400, "some text"), None)

    async def test_redirects_are_told_and_not_followed(self) -> None:
        self.master.mode = "redirect"
        reply, stream = await self.wire.open(self.url, b"subscribe")
        assert (reply.status, reply.location, stream) == (307, "//other.example:5050", None)

    async def test_something_else_is_not_taken_for_a_master(self) -> None:
        self.master.mode = "200"
        reply, stream = await self.wire.open(self.url, b"subscribe")
        assert stream is None and "is it a Mesos master" in reply.text

    async def test_silence_has_an_end(self) -> None:
        self.master.mode = "silence"
        with pytest.raises(Unanswered, match="did not answer within 1 s"):
            await self.wire.call(self.url, "stream-1", b"call")

    async def test_nobody_waits_for_answers_once_it_is_closed(self) -> None:
        self.master.mode = "silence"
        begun_s = reactor.seconds()
        reactor.callLater(0.1, lambda: Deferred.fromCoroutine(self.wire.close()))
        with pytest.raises(Unanswered):
            await self.wire.open(self.url, b"subscribe")
        assert reactor.seconds() < begun_s + 0.9

    async def test_a_connection_that_is_cut_leaves_it_open_whether_the_call_arrived(self) -> None:
        self.master.mode = "cut"
        with pytest.raises(Unanswered, match="did not answer"):
            await self.wire.call(self.url, "stream-1", b"call")
        assert len(self.master.requests) == 1

    async def test_a_master_that_is_not_there_has_not_got_the_call(self) -> None:
        await self.port.stopListening()
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            await self.wire.call(self.url, "stream-1", b"call")
        assert not isinstance(caught.value, Unanswered)


class SecureWireTest(TestCase):
    """With certificates."""

    timeout = 10

    async def call(self, authority: bytes) -> Reply:
        self.master.mode = "202"
        wire = HttpWire(reactor, 2.0, authority=authority)
        try:
            url = f"https://localhost:{self.port.getHost().port}/api/v1/scheduler"
            return await wire.call(url, "stream-1", b"call")
        finally:
            await wire.close()
            await deferLater(reactor, 0.05, lambda: None)

    def setUp(self) -> None:
        self.master = Master()
        key, self.certificate = make_certificate("localhost")
        pair = ssl.PrivateCertificate.loadPEM(key + self.certificate)
        self.port = reactor.listenSSL(0, Site(self.master), pair.options(), interface="127.0.0.1")

    async def tearDown(self) -> None:
        await self.port.stopListening()

    async def test_a_master_whose_certificate_is_known_is_trusted(self) -> None:
        assert await self.call(self.certificate) == Reply(202)

    async def test_a_master_whose_certificate_is_not_known_gets_nothing(self) -> None:
        with pytest.raises(Unavailable):
            await self.call(b"")
        assert self.master.bodies == []


def test_a_file_that_is_no_certificate_is_refused() -> None:
    with pytest.raises(SettingsError, match="mesosCaFile"):
        HttpWire(reactor, 1.0, authority=b"nothing")
