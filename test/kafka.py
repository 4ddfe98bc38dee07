"""A real Kafka broker on loopback, for tests: one process for all of them, without ZooKeeper.

It can be killed and started again on the same port with what it holds. What it holds is read back
with a client that shares no code with the one of the core.
"""

from __future__ import annotations

import atexit
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from aliecs.protocol.protos import events_pb2
from test import tools
from test.ports import free_ports

START_S = 60.0

# What a broker of three machines would do takes a small one long: no waiting for others, one copy.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
auto.create.topics.enable=true
log.cleaner.enable=false
num.network.threads=2
num.io.threads=2
"""

_LOGGING = """\
log4j.rootLogger=WARN, file
log4j.appender.file=org.apache.log4j.FileAppender
log4j.appender.file.File={folder}/broker.log
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=%d %p %c %m%n
"""


def find_kafka() -> Path:
    """The broker's archives. For the top of a module: where there are none, the module is not run,
    and it is said in one line at the end."""
    archives = tools.kafka()
    if archives is None:
        reason = "Kafka cannot be had on this machine (make test-tools)"
        pytest.skip(reason, allow_module_level=True)
    return archives


class KafkaServer:
    """One broker that is its own controller."""

    def __init__(self) -> None:
        self.port, self._controller = free_ports(2)
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._kept = tempfile.TemporaryDirectory(prefix="kafka-")
        self.folder = Path(self._kept.name)
        self._formatted = False

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.launch()
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                with KafkaConsumer(bootstrap_servers=self.address, **_PATIENCE) as consumer:
                    consumer.topics()
                return
            except (KafkaError, OSError):
                assert self.running, f"Kafka ended:\n{self.log()}"
                time.sleep(0.1)
        raise AssertionError(f"Kafka did not start:\n{self.log()}")

    def launch(self) -> None:
        """Start, and wait for nothing."""
        if not self._formatted:
            self._format()
        self._process = self._java("kafka.Kafka", str(self.folder / "server.properties"))
        atexit.register(self.kill)

    def kill(self) -> None:
        """End it at once, as a machine that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hold(self, held: bool) -> None:
        """Let it stand still, with all connections open and no answer to anybody, or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if held else signal.SIGCONT)

    def log(self) -> str:
        """What the broker complained of."""
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    def _format(self) -> None:
        names = {"port": self.port, "controller": self._controller, "folder": self.folder}
        properties = self.folder / "server.properties"
        properties.write_text(_PROPERTIES.format(**names))
        (self.folder / "log4j.properties").write_text(_LOGGING.format(**names))
        cluster = ("--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA", "--config", str(properties))
        process = self._java("kafka.tools.StorageTool", "format", *cluster)
        assert process.wait(START_S) == 0, self.log()
        self._formatted = True

    def _java(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        options = ("-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        logging = f"-Dlog4j.configuration=file:{self.folder}/log4j.properties"
        command = ["java", *options, logging, "-cp", f"{find_kafka()}/*", program, *arguments]
        with (self.folder / "output.log").open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, cwd=self.folder)

    # --- reading back ----------------------------------------------------------------------

    def topics(self) -> set[str]:
        """The topics there are."""
        with KafkaConsumer(bootstrap_servers=self.address) as consumer:
            return {topic for topic in consumer.topics() if not topic.startswith("_")}

    def read(self, topics: Sequence[str]) -> list[Message]:
        """Everything that is in `topics`, each partition in its own order, the topics one after
        the other."""
        with KafkaConsumer(
            bootstrap_servers=self.address, enable_auto_commit=False, group_id=None
        ) as consumer:
            known = consumer.topics()
            partitions = [
                TopicPartition(topic, number)
                for topic in topics
                if topic in known
                for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            if not partitions:
                return []
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            ends = consumer.end_offsets(partitions)
            found: list[Message] = []
            deadline = time.monotonic() + START_S
            while any(consumer.position(part) < ends[part] for part in partitions):
                assert time.monotonic() < deadline, "Kafka does not give what it has"
                for records in consumer.poll(timeout_ms=500).values():
                    for one in records:
                        message = Message(one.topic, one.partition, one.offset, one.key, one.value)
                        found.append(message)
            order = {topic: index for index, topic in enumerate(topics)}
            return sorted(found, key=lambda one: (order[one.topic], one.partition, one.offset))

    def wait_for(
        self, topics: Sequence[str], holds: Callable[[list[Message]], bool], within_s: float = 30.0
    ) -> list[Message]:
        """Read until `holds` is true of all that is there."""
        deadline = time.monotonic() + within_s
        while True:
            found = self.read(topics)
            if holds(found):
                return found
            assert time.monotonic() < deadline, f"only {len(found)} messages in {topics}"
            time.sleep(0.1)


class Message:
    """What a consumer gets."""

    def __init__(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value

    @property
    def event(self) -> events_pb2.Event:
        """The value, decoded."""
        return events_pb2.Event.FromString(self.value)


_PATIENCE = {"bootstrap_timeout_ms": 2_000}

_shared: list[KafkaServer] = []


def shared_kafka() -> KafkaServer:
    """The broker that all tests share. Topics are kept apart by `prefix`."""
    if not _shared:
        server = KafkaServer()
        server.start()
        _shared.append(server)
    return _shared[0]


def prefix() -> str:
    """A word that nobody has used in this broker, to begin keys and ids with."""
    return uuid4().hex[:8]
