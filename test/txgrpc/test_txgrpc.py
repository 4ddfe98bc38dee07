"""gRPC inside Twisted, over real sockets."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    ensureDeferred,
)
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aliecs.errors import Conflict, NotFound, Unavailable
from aliecs.protocol.protos import occ_pb2
from aliecs.protocol.protos.occ_pb2 import (
    ConfigEntry,
    DeviceEvent,
    EventStreamReply,
    EventStreamRequest,
    GetStateReply,
    GetStateRequest,
    StateStreamReply,
    StateStreamRequest,
    TransitionReply,
    TransitionRequest,
)
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.client import Channel
from aliecs.txgrpc.route import Route, ServerCall
from aliecs.txgrpc.server import Server, shield
from aliecs.txgrpc.status import DETAILS_LIMIT_BYTES, RpcError
from aliecs.txgrpc.stub import Stub

OCC = occ_pb2.DESCRIPTOR.services_by_name["Occ"]


def wait(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds, lambda: None)


class Servicer:
    """Answers, refuses, breaks or hangs, as the request's source state says."""

    def __init__(self) -> None:
        self.calls: list[ServerCall] = []
        self.cancelled: list[str] = []
        self.operation: Deferred[str] = Deferred()
        self.streams_ended = 0

    async def GetState(self, request: GetStateRequest, call: ServerCall) -> GetStateReply:
        self.calls.append(call)
        call.trailing["aliecs-operation-id"] = "42"
        await wait(0.01)
        return GetStateReply(state="STANDBY", pid=7)

    async def Transition(self, request: TransitionRequest, call: ServerCall) -> TransitionReply:
        what = request.srcState
        if what == "refuse":
            call.details.append(ConfigEntry(key="cause", value="host flp001"))
            call.trailing["x-step"] = "3"
            raise Conflict("the environment is RUNNING: stop it first \N{SNOWMAN}")
        if what == "refuse at length":
            call.details.append(ConfigEntry(key="cause", value="x" * DETAILS_LIMIT_BYTES))
            raise NotFound("y" * 20_000)
        if what == "break":
            raise ValueError("the secret word is swordfish")
        if what == "shield":
            return TransitionReply(state=await shield(self.operation))
        try:
            await wait(30)
        except CancelledError:
            self.cancelled.append(what)
            raise
        return TransitionReply()

    async def EventStream(self, request: EventStreamRequest, call: ServerCall) -> Any:
        try:
            for number in range(3):
                await wait(0.005)
                yield EventStreamReply(event=DeviceEvent(type=occ_pb2.DeviceEventType.Name(number)))
            call.trailing["x-count"] = "3"
        finally:
            self.streams_ended += 1

    async def StateStream(self, request: StateStreamRequest, call: ServerCall) -> Any:
        try:
            yield StateStreamReply(state="RUNNING")
            await wait(30)
        finally:
            self.streams_ended += 1


class TxgrpcTests(TestCase):
    timeout = 20

    def setUp(self) -> Deferred[Any]:
        return ensureDeferred(self.begin())

    async def begin(self) -> None:
        self.servicer = Servicer()
        self.server = Server("127.0.0.1:0", [(OCC, self.servicer)])
        self.port = await self.server.start()
        self.channel = Channel(f"127.0.0.1:{self.port}")
        self.occ = Stub(self.channel, OCC)

    def tearDown(self) -> Deferred[Any]:
        return ensureDeferred(self.end())

    async def end(self) -> None:
        await self.channel.close()
        await self.server.stop()

    async def failure(self, awaitable: Any) -> RpcError:
        try:
            await awaitable
        except RpcError as error:
            return error
        raise AssertionError("the call succeeded")

    async def test_a_reply_with_its_trailing_metadata(self) -> None:
        answer = await self.occ.GetState.answer(
            GetStateRequest(), deadline_s=5, metadata={"x-user": "mona"}
        )
        self.assertEqual((answer.reply.state, answer.reply.pid), ("STANDBY", 7))
        self.assertEqual(answer.trailing["aliecs-operation-id"], "42")
        call = self.servicer.calls[0]
        self.assertEqual(call.path, "/occ_pb.Occ/GetState")
        self.assertEqual(call.metadata["x-user"], "mona")
        self.assertIn("127.0.0.1", call.peer)
        assert call.remaining_s is not None
        self.assertTrue(4 < call.remaining_s < 5.5)

    async def test_a_stream_ends_by_itself(self) -> None:
        types = [reply.event.type async for reply in self.occ.EventStream(EventStreamRequest())]
        self.assertEqual(types, [0, 1, 2])
        self.assertEqual(self.servicer.streams_ended, 1)

    async def test_a_refusal_carries_status_text_details_and_trailing(self) -> None:
        error = await self.failure(
            self.occ.Transition(TransitionRequest(srcState="refuse"), deadline_s=5)
        )
        self.assertEqual(error.status, "FAILED_PRECONDITION")
        self.assertEqual(error.message, "the environment is RUNNING: stop it first \N{SNOWMAN}")
        entry = ConfigEntry()
        self.assertTrue(error.details[0].Unpack(entry))
        self.assertEqual((entry.key, entry.value), ("cause", "host flp001"))
        self.assertEqual(error.trailing["x-step"], "3")

    async def test_what_does_not_fit_a_header_is_cut_not_lost(self) -> None:
        error = await self.failure(
            self.occ.Transition(TransitionRequest(srcState="refuse at length"), deadline_s=5)
        )
        self.assertEqual((error.status, error.message), ("NOT_FOUND", "y" * 6000))
        self.assertEqual(error.details, ())

    async def test_a_fault_of_ours_is_logged_and_hidden(self) -> None:
        error = await self.failure(
            self.occ.Transition(TransitionRequest(srcState="break"), deadline_s=5)
        )
        self.assertEqual(error.status, "INTERNAL")
        self.assertNotIn("swordfish", error.message)
        (logged,) = self.flushLoggedErrors(ValueError)
        self.assertIn("swordfish", logged.getErrorMessage())

    async def test_a_deadline_cancels_the_handler(self) -> None:
        error = await self.failure(
            self.occ.Transition(TransitionRequest(srcState="late"), deadline_s=0.2)
        )
        self.assertEqual(error.status, "DEADLINE_EXCEEDED")
        await self.until(lambda: self.servicer.cancelled == ["late"])

    async def test_a_cancel_of_the_caller_cancels_the_handler(self) -> None:
        call = self.occ.Transition(TransitionRequest(srcState="away"), deadline_s=20)
        await wait(0.1)
        call.cancel()
        with pytest.raises(CancelledError):
            await call
        await self.until(lambda: self.servicer.cancelled == ["away"])

    async def test_a_shielded_operation_outlives_its_clients(self) -> None:
        request = TransitionRequest(srcState="shield")
        error = await self.failure(self.occ.Transition(request, deadline_s=0.2))
        self.assertEqual(error.status, "DEADLINE_EXCEEDED")
        waiting = self.occ.Transition(request, deadline_s=5)
        await wait(0.1)
        self.servicer.operation.callback("CONFIGURED")
        self.assertEqual((await waiting).state, "CONFIGURED")
        again = await self.occ.Transition(request, deadline_s=5)
        self.assertEqual(again.state, "CONFIGURED")

    async def test_a_client_that_leaves_a_stream_ends_its_handler(self) -> None:
        stream = self.occ.StateStream(StateStreamRequest())
        self.assertTrue(await stream.connected(5))
        self.assertEqual((await anext(stream)).state, "RUNNING")
        reading = anext(stream)
        await wait(0.05)
        stream.cancel()
        self.assertEqual((await self.failure(reading)).status, "CANCELLED")
        await self.until(lambda: self.servicer.streams_ended == 1)

    async def test_a_hundred_calls_at_a_time(self) -> None:
        calls = [self.occ.GetState(GetStateRequest(), deadline_s=10) for _ in range(100)]
        results = await DeferredList(calls, fireOnOneErrback=True)
        self.assertEqual({reply.pid for _, reply in results}, {7})

    async def test_a_taken_port_is_named(self) -> None:
        second = Server(f"127.0.0.1:{self.port}", [(OCC, self.servicer)])
        with pytest.raises(Unavailable) as caught:
            await second.start()
        self.assertIn(f"127.0.0.1:{self.port}", caught.value.message)
        self.assertIn("in use", caught.value.message)
        # The first one still answers.
        await self.occ.GetState(GetStateRequest(), deadline_s=5)

    async def test_nobody_there(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            target = f"127.0.0.1:{free.getsockname()[1]}"
            channel = Channel(target)
            stub = Stub(channel, OCC)
            error = await self.failure(stub.GetState(GetStateRequest(), deadline_s=5))
            self.assertEqual(error.status, "UNAVAILABLE")
            error = await self.failure(channel.ready(0.2))
            self.assertIn(target, error.message)
            self.assertIn(channel.state(), ("CONNECTING", "TRANSIENT_FAILURE"))
            await channel.close()
        self.assertEqual(channel.state(), "SHUTDOWN")
        error = await self.failure(stub.GetState(GetStateRequest(), deadline_s=5))
        self.assertEqual(error.status, "CANCELLED")

    async def test_closing_a_channel_ends_what_waits(self) -> None:
        stream = self.occ.StateStream(StateStreamRequest())
        await anext(stream)
        waiting = [
            anext(stream),
            self.occ.Transition(TransitionRequest(srcState="closed"), deadline_s=20),
        ]
        await wait(0.05)
        await self.channel.close()
        for call in waiting:
            error = await self.failure(call)
            self.assertEqual(error.status, "CANCELLED")
            self.assertIn("closed", error.message)

    async def test_who_gives_up_waiting_for_a_stream_ends_it(self) -> None:
        stream = self.occ.StateStream(StateStreamRequest())
        await anext(stream)
        reading = anext(stream)
        await wait(0.05)
        reading.cancel()
        with pytest.raises(CancelledError):
            await reading
        await self.until(lambda: self.servicer.streams_ended == 1)

    async def test_a_method_that_nobody_wrote(self) -> None:
        server = Server("127.0.0.1:0", [(OCC, object())])
        channel = Channel(f"127.0.0.1:{await server.start()}")
        stub = Stub(channel, OCC)
        error = await self.failure(stub.GetState(GetStateRequest(), deadline_s=5))
        self.assertEqual(error.status, "UNIMPLEMENTED")
        self.assertIn("/occ_pb.Occ/GetState", error.message)
        error = await self.failure(anext(stub.EventStream(EventStreamRequest())))
        self.assertEqual(error.status, "UNIMPLEMENTED")
        unknown = channel.streaming("Nowhere", bytes, bytes)
        error = await self.failure(unknown(b"").connected(5))
        self.assertEqual(error.status, "UNIMPLEMENTED")
        with pytest.raises(AttributeError, match=r"occ_pb\.Occ has no method Nothing"):
            _ = stub.Nothing
        await channel.close()
        await server.stop()

    async def test_a_dialect_with_paths_and_a_codec_of_its_own(self) -> None:
        async def shout(request: str, call: ServerCall) -> str:
            return request.upper()

        async def spell(request: str, call: ServerCall) -> Any:
            for letter in request:
                yield letter

        server = Server(
            "127.0.0.1:0",
            routes=[
                Route("Shout", shout, lambda data: data.decode(), str.encode),
                Route("Spell", spell, lambda data: data.decode(), str.encode, streams=True),
            ],
        )
        channel = Channel(f"127.0.0.1:{await server.start()}")
        call = channel.unary("Shout", str.encode, bytes.decode)
        self.assertEqual(await call("straße", deadline_s=5), "STRASSE")
        letters = channel.streaming("Spell", str.encode, bytes.decode)
        self.assertEqual([letter async for letter in letters("abc")], ["a", "b", "c"])
        misread = channel.unary("Shout", str.encode, lambda data: int(data))
        error = await self.failure(misread("abc", deadline_s=5))
        self.assertEqual(error.status, "INTERNAL")
        self.assertIn("Shout", error.message)
        rubbish = channel.unary("Shout", lambda data: data, bytes.decode)
        error = await self.failure(rubbish(b"\xff\xfe", deadline_s=5))
        self.assertEqual(error.status, "INVALID_ARGUMENT")
        self.assertIn("Shout", error.message)
        await channel.close()
        await server.stop()

    async def test_stop_gives_grace_and_then_cancels(self) -> None:
        call = self.occ.Transition(TransitionRequest(srcState="stopped"), deadline_s=20)
        quick = self.occ.GetState(GetStateRequest(), deadline_s=20)
        await wait(0.2)
        await self.server.stop(grace_s=0.3)
        self.assertEqual((await quick).pid, 7)
        await self.failure(call)
        self.assertEqual(self.servicer.cancelled, ["stopped"])

    async def test_command_lines_make_the_same_calls(self) -> None:
        def command_line() -> None:
            with BlockingChannel(f"127.0.0.1:{self.port}") as channel:
                channel.ready(5)
                occ = Stub(channel, OCC)
                reply, trailing = occ.GetState.answer(GetStateRequest(), deadline_s=5)
                assert (reply.pid, trailing["aliecs-operation-id"]) == (7, "42")
                events = list(occ.EventStream(EventStreamRequest(), deadline_s=5))
                assert len(events) == 3
                states = occ.StateStream(StateStreamRequest(), deadline_s=5)
                assert next(states).state == "RUNNING"
                states.close()
                with pytest.raises(RpcError) as caught:
                    occ.Transition(TransitionRequest(srcState="refuse"), deadline_s=5)
                assert caught.value.status == "FAILED_PRECONDITION"
                assert caught.value.details[0].Is(ConfigEntry.DESCRIPTOR)
                assert "occ_pb.Occ" in channel.services(deadline_s=5)
            with BlockingChannel("127.0.0.1:1") as channel, pytest.raises(RpcError) as caught:
                channel.ready(0.2)
            assert str(caught.value).startswith("UNAVAILABLE: no connection to 127.0.0.1:1")

        await deferToThread(command_line)
        await self.until(lambda: self.servicer.streams_ended == 2)

    async def until(self, condition: Any) -> None:
        for _ in range(500):
            if condition():
                return
            await wait(0.01)
        raise AssertionError("it did not come true within 5 s")
