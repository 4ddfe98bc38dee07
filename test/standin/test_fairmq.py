"""The stand-ins for the experiment's programs: do they behave as the real ones are known to?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.trial.unittest import TestCase

from aliecs.occ.client import Codec, DeviceEventType, OccClient, OccError
from aliecs.protocol.protos.occ_pb2 import (
    DEVICE_ERROR,
    DEVICE_INTENTIONAL,
    EXECUTOR,
    STATE_INTERMEDIATE,
)
from aliecs.txgrpc.client import Channel
from aliecs.txgrpc.status import RpcError
from test.folder import temporary_folder
from test.occ.test_example_tasks import channel, pause
from test.ports import free_ports
from test.standin.fault import Fault, fault_of
from test.standin.install import install

CONFIGURE = [
    ("IDLE", "INIT DEVICE", "INITIALIZING DEVICE"),
    ("INITIALIZING DEVICE", "COMPLETE INIT", "INITIALIZED"),
    ("INITIALIZED", "BIND", "BOUND"),
    ("BOUND", "CONNECT", "DEVICE READY"),
    ("DEVICE READY", "INIT TASK", "READY"),
]
RESET = [
    ("READY", "RESET TASK", "DEVICE READY"),
    ("DEVICE READY", "RESET DEVICE", "IDLE"),
]


class StandInTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        install(self.folder)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.clients: list[OccClient] = []

    def tearDown(self) -> Any:
        for process in self.processes:
            process.kill()
            process.wait(10)
        return gatherResults([ensureDeferred(client.close()) for client in self.clients])

    async def start(
        self, program: str, codec: Codec = Codec.JSON, role: str = "flp001", fault: str = ""
    ) -> OccClient:
        (port,) = free_ports(1)
        plugin = "OCClite" if codec is Codec.JSON else "OCC"
        command = [f"bin/{program}"]
        if program == "o2-readout-exe":
            codec = Codec.PROTOBUF
            command += ["consul-ini://nowhere/readout"]
        else:
            command += ["--session=default", "--transport=shmem", "--id", "2oDvieFrVTi", " "]
            command += ["-S", "/lib", "-P", plugin, "--color", "false"]
            command += ["--control-port", str(port)]
            command = ["path/numactl", "--cpunodebind=0", "--", *command]
        with (self.folder / f"{program}.log").open("a") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "OCC_CONTROL_PORT": str(port),
                    "O2_ROLE": role,
                    "STANDIN_FAULT": fault,
                    "STANDIN_REPORTS": str(self.folder),
                },
            )
        self.processes.append(process)
        client = OccClient(port, codec)
        self.clients.append(client)
        await client.connect(15)
        return client

    async def walk(
        self, client: OccClient, steps: list[tuple[str, str, str]], **properties: str
    ) -> None:
        for source, event, target in steps:
            result = await client.transition(source, event, properties, deadline_s=15)
            self.assertEqual((result.ok, result.state), (True, target), result)
            self.assertEqual((result.trigger, result.event), (EXECUTOR, event))

    async def test_data_flows_from_readout_to_sender_in_two_runs(self) -> None:
        readout = await self.start("o2-readout-exe")
        builder = await self.start("StfBuilder")
        sender = await self.start("StfSender")
        name = f"ipc://@aliecs-standin-{os.getpid()}"
        first = channel("readout", f"{name}-1", "bind", "push")
        taking = channel("readout", f"{name}-1", "connect", "pull")
        second = channel("buildertosender", f"{name}-2", "bind", "push")
        sending = channel("buildertosender", f"{name}-2", "connect", "pull")

        async def configure_readout() -> None:
            # Comes later than those who connect to it.
            await pause(0.3)
            await readout.transition("STANDBY", "CONFIGURE", first, deadline_s=15)

        await gatherResults(
            [
                ensureDeferred(self.walk(builder, CONFIGURE, **taking, **second)),
                ensureDeferred(self.walk(sender, CONFIGURE, **sending)),
                ensureDeferred(configure_readout()),
            ]
        )
        for run in ("31", "32"):
            for client in (builder, sender):
                await self.walk(client, [("READY", "RUN", "RUNNING")], runNumber=run)
            await readout.transition("CONFIGURED", "START", {"runNumber": run}, deadline_s=5)
            await pause(0.5)
            steps = [
                self.walk(client, [("RUNNING", "STOP", "READY")]) for client in (builder, sender)
            ]
            stops = [ensureDeferred(step) for step in steps]
            await readout.transition("RUNNING", "STOP", {}, deadline_s=5)
            await gatherResults(stops)
        reports = [path.read_text() for path in self.folder.glob("*-flp001-*.txt")]
        self.assertEqual(len(reports), 3)
        self.assertEqual(len(set(reports)), 1)
        self.assertEqual(reports[0].count("run=31 source=flp001 "), 1)
        self.assertEqual(reports[0].count("run=32 source=flp001 "), 1)
        self.assertNotIn("blocks=0 ", reports[0])
        for client in (builder, sender):
            await self.walk(client, [*RESET, ("IDLE", "END", "EXITING")])
        self.assertEqual([process.wait(10) for process in self.processes[1:]], [0, 0])

    async def test_what_it_tells_of_itself(self) -> None:
        client = await self.start("StfSender")
        state = await client.get_state(5)
        self.assertEqual(state.state, "IDLE")
        self.assertEqual(state.pid, self.processes[0].pid)
        events = client.events()
        ending = ensureDeferred(self.walk(client, [("IDLE", "END", "EXITING")]))
        self.assertEqual(await anext(events), DeviceEventType.NULL_DEVICE_EVENT)
        self.assertEqual([event async for event in events], [])
        await ending
        self.assertEqual(self.processes[0].wait(10), 0)

    async def test_the_json_dialect_hides_every_reason(self) -> None:
        client = await self.start("StfSender")
        for source, event in (("READY", "RUN"), ("BOUND", "CONNECT")):
            with pytest.raises(OccError) as caught:
                await client.transition(source, event, {}, deadline_s=5)
            self.assertEqual(caught.value.message, "CANCELLED")
        with pytest.raises(OccError) as caught:
            await client.transition("IDLE", "FLY", {}, deadline_s=5)
        self.assertEqual(caught.value.status, "UNKNOWN")
        with pytest.raises(OccError) as caught:
            await anext(client.states())
        self.assertEqual(caught.value.status, "UNIMPLEMENTED")
        raw = Channel(client.target)
        with pytest.raises(RpcError) as rubbish:
            await raw.unary("Transition", bytes, bytes)(b"{", deadline_s=5)
        self.assertEqual((rubbish.value.status, rubbish.value.message), ("CANCELLED", ""))
        await raw.close()
        result = await client.transition("IDLE", "RUN", {}, deadline_s=5)
        self.assertEqual((result.ok, result.trigger), (False, DEVICE_INTENTIONAL))

    async def test_the_legacy_plugin_speaks_protobuf_and_gives_reasons(self) -> None:
        client = await self.start("StfBuilder", Codec.PROTOBUF)
        self.assertEqual((await client.get_state(5)).state, "IDLE")
        with pytest.raises(OccError) as caught:
            await client.transition("READY", "RUN", {}, deadline_s=5)
        self.assertEqual(caught.value.status, "INVALID_ARGUMENT")

    async def test_the_legacy_plugin_tells_every_state(self) -> None:
        client = await self.start("StfSender", Codec.PROTOBUF)
        states, events = client.states(), client.events()
        self.assertTrue(await states.connected(5) and await events.connected(5))
        await self.walk(client, CONFIGURE[:3])
        self.processes[0].send_signal(signal.SIGUSR1)
        seen = [await anext(states) for _ in range(5)]
        self.assertEqual(
            [(update.state, update.kind == STATE_INTERMEDIATE) for update in seen],
            [("INITIALIZING DEVICE", False), ("INITIALIZED", False), ("BINDING", True),
             ("BOUND", False), ("ERROR", False)],
        )  # fmt: skip
        # To this plugin it is not over in ERROR.
        waiting = ensureDeferred(anext(events))
        await pause(0.2)
        self.assertFalse(waiting.called)
        self.processes[0].terminate()
        with pytest.raises(OccError):
            await waiting

    async def test_a_device_that_breaks_down_says_that_it_is_over_and_lives_on(self) -> None:
        client = await self.start("StfSender")
        events = client.events()
        self.assertTrue(await events.connected(5))
        self.processes[0].send_signal(signal.SIGUSR1)
        self.assertEqual(await anext(events), DeviceEventType.NULL_DEVICE_EVENT)
        self.assertEqual([event async for event in events], [])
        self.assertEqual((await client.get_state(5)).state, "ERROR")
        result = await client.transition("ERROR", "END", {}, deadline_s=5)
        self.assertEqual((result.ok, result.trigger), (False, DEVICE_ERROR))

    async def test_the_bytes_of_the_json_dialect(self) -> None:
        client = await self.start("StfSender")
        raw = Channel(client.target)
        self.addCleanup(lambda: ensureDeferred(raw.close()))

        async def ask(path: str, request: Any) -> Any:
            data = request if isinstance(request, bytes) else json.dumps(request).encode()
            return json.loads(await raw.unary(path, bytes, bytes)(data, deadline_s=5))

        # All fields, also those that are nothing.
        self.assertEqual(
            await ask("GetState", {}), {"state": "IDLE", "pid": self.processes[0].pid}
        )
        step = {"srcState": "IDLE", "transitionEvent": "INIT DEVICE"}
        said = {
            "chans.x.0.rateLogging": "1", "chans.x.0.linger": "long", "chans.x.0.autoBind": "0",
            "chans.x.0.rcvBufSize": "1000", "rateLogging": "much",
            "__ptree__:json:tree": '{"a": 1}', "__ptree__:json:broken": "{",
        }  # fmt: skip
        arguments = [{"key": "a.b"}, {"value": "of nothing"}]
        arguments += [{"key": key, "value": value} for key, value in said.items()]
        reply = await ask("Transition", {**step, "arguments": arguments})
        self.assertEqual(
            reply,
            {"trigger": 0, "state": "INITIALIZING DEVICE", "transitionEvent": "INIT DEVICE",
             "ok": True},
        )  # fmt: skip
        log = (self.folder / "StfSender.log").read_text()
        for line in (
            "property a.b= (string)", "property chans.x.0.rateLogging=1 (int)",
            "property chans.x.0.linger=long is not set", "property chans.x.0.autoBind=0 (bool)",
            'property __ptree__:json:tree={"a": 1} (tree)',
            "property __ptree__:json:broken={ is not set", "property rateLogging=much (string)",
            "property chans.x.0.rcvBufSize=1000 (int)", "an argument without a key is skipped",
        ):  # fmt: skip
            self.assertIn(line, log)
        # Without arguments at all.
        reply = await ask(
            "Transition", {"srcState": "INITIALIZING DEVICE", "transitionEvent": "COMPLETE INIT"}
        )
        self.assertEqual((reply["ok"], reply["state"]), (True, "INITIALIZED"))
        reply = await ask("Transition", {"srcState": "INITIALIZED", "transitionEvent": "RUN"})
        self.assertEqual(
            reply, {"trigger": 1, "state": "INITIALIZED", "transitionEvent": "RUN", "ok": False}
        )
        for path in ("/GetState", "/occ_pb.Occ/GetState", "StateStream"):
            with pytest.raises(RpcError) as caught:
                await ask(path, {})
            self.assertEqual(caught.value.status, "UNIMPLEMENTED")
        for request in (b"", b"[]", b"\xff", {**step, "srcState": "READY"}):
            with pytest.raises(RpcError) as caught:
                await ask("Transition", request)
            self.assertEqual((caught.value.status, caught.value.message), ("CANCELLED", ""))

    async def test_it_can_stick_and_be_taken_back(self) -> None:
        client = await self.start("StfSender", fault="StfSender:stick:BIND")
        await self.walk(client, CONFIGURE[:2])
        result = await client.transition("INITIALIZED", "BIND", {}, deadline_s=5)
        self.assertEqual((result.ok, result.state), (False, "INITIALIZED"))
        await self.walk(client, [("INITIALIZED", "RESET DEVICE", "IDLE")])

    async def test_it_can_fail(self) -> None:
        client = await self.start("StfSender", fault="StfSender:error:COMPLETE INIT")
        events = client.events()
        await self.walk(client, CONFIGURE[:1])
        result = await client.transition("INITIALIZING DEVICE", "COMPLETE INIT", {}, deadline_s=5)
        self.assertEqual((result.state, result.trigger), ("ERROR", DEVICE_ERROR))
        self.assertEqual(await anext(events), DeviceEventType.NULL_DEVICE_EVENT)

    async def test_it_can_be_slow_hang_die_and_talk_rubbish(self) -> None:
        slow = await self.start("StfSender", fault="StfSender:slow:*:0.3")
        with pytest.raises(OccError) as caught:
            await slow.transition("IDLE", "INIT DEVICE", {}, deadline_s=0.1)
        self.assertEqual(caught.value.status, "DEADLINE_EXCEEDED")
        hanging = await self.start("StfSender", fault="StfSender:hang:INIT DEVICE")
        with pytest.raises(OccError):
            await hanging.transition("IDLE", "INIT DEVICE", {}, deadline_s=0.2)
        self.assertEqual((await hanging.get_state(5)).state, "IDLE")
        dying = await self.start("StfSender", fault="StfSender:die:INIT DEVICE")
        with pytest.raises(OccError) as caught:
            await dying.transition("IDLE", "INIT DEVICE", {}, deadline_s=5)
        self.assertEqual(caught.value.status, "UNAVAILABLE")
        self.assertEqual(self.processes[2].wait(10), 3)
        rubbish = await self.start("StfSender", fault="StfSender:rubbish:GetState")
        with pytest.raises(OccError) as caught:
            await rubbish.get_state(5)
        self.assertEqual(caught.value.status, "INTERNAL")

    async def test_a_readout_can_fail(self) -> None:
        client = await self.start("o2-readout-exe", fault="o2-readout-exe:error:CONFIGURE")
        result = await client.transition("STANDBY", "CONFIGURE", {}, deadline_s=5)
        self.assertEqual(result.reason, "RuntimeError: told to fail at CONFIGURE")


def test_faults_are_read() -> None:
    variable = "STANDIN_FAULT"
    assert fault_of("a", {variable: "a:slow:BIND:1.5"}) == Fault("slow", "BIND", 1.5)
    assert fault_of("b", {variable: "a:slow:BIND:1.5"}).at("BIND") == ""
    assert fault_of("a", {}).at("BIND") == ""
    with pytest.raises(ValueError, match="a:dance:BIND"):
        fault_of("a", {variable: "a:dance:BIND"})
