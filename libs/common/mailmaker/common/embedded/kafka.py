"""common.embedded.kafka: one Apache Kafka broker (KRaft) in a directory, as a child that never outlives us.

Synchronous and thread-safe (call it through `asyncio.to_thread` from a coroutine): `start()` answers
"host:port" when a metadata request has been answered, `stop()` returns when the broker has gone. `kill()` and
another `start()` continue on the same data and the same ports.
"""

import base64
import secrets
import shutil
import signal
import threading
import time
from pathlib import Path

from mailmaker.common.embedded import java, kafka_metadata
from mailmaker.common.embedded.errors import EmbeddedError
from mailmaker.common.embedded.kafka_jars import kafka_jars
from mailmaker.common.embedded.ports import Ports, is_free
from mailmaker.common.embedded.process import Child

_HOST = "127.0.0.1"
# One node: every replication factor is 1. The session timeout is short so that a broker that was killed comes
# back in 4 s instead of 11 (its former self must be declared dead first).
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller}
listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
"""


class KafkaServer:
    """A broker under `directory`."""

    def __init__(self, directory: Path, *, heap: str = "256m") -> None:
        self.directory = Path(directory).absolute()
        self._heap = heap
        self._ports = Ports(self.directory / "ports.json")
        self._lock = threading.Lock()
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """host:port, the same for the life of the directory."""
        return f"{_HOST}:{self._ports.kept('broker')}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self, timeout: float = 60.0) -> str:
        """Formats the directory if it is new, starts the broker, waits until it answers."""
        with self._lock:
            if self._child is not None and self._child.alive:
                return self.address
            runtime = java.find()
            jars = kafka_jars()
            deadline = time.monotonic() + timeout
            properties = self._format(runtime, jars)
            self._wait_for_ports(deadline)
            self._child = Child(
                [
                    *self._java(runtime, jars),
                    "-Xms64m",
                    f"-Xmx{self._heap}",
                    "-XX:+ExitOnOutOfMemoryError",
                    "kafka.Kafka",
                    properties,
                ],
                log=self.directory / "kafka.log",
            )
            while not kafka_metadata.answers(_HOST, self._port("broker")):
                if not self._child.alive or time.monotonic() > deadline:
                    failure = self._child.failure("Apache Kafka")
                    self._child.kill()
                    raise failure
                time.sleep(0.03)
            return self.address

    def stop(self, timeout: float = 15.0) -> None:
        with self._lock:
            if self._child is not None:
                self._child.stop(signal.SIGTERM, patience=timeout)
                self._child = None

    def kill(self) -> None:
        """kill -9, for crash tests."""
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def _java(self, runtime: java.Java, jars: Path) -> list[str | Path]:
        quiet = ["--enable-native-access=ALL-UNNAMED"] if runtime.major >= 22 else []
        return [
            runtime.program,
            *quiet,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            f"{jars}/*",
        ]

    def _format(self, runtime: java.Java, jars: Path) -> Path:
        """Once. The ports are kept for ever: a quorum remembers the address of its only voter."""
        properties = self.directory / "server.properties"
        if (self.directory / "formatted").exists():
            return properties
        logs = self.directory / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        broker, controller = self._ports.get("broker"), self._ports.get("controller")
        properties.write_text(_PROPERTIES.format(host=_HOST, broker=broker, controller=controller, logs=logs))
        formatter = Child(
            [
                *self._java(runtime, jars),
                "kafka.tools.StorageTool",
                "format",
                "--standalone",
                "--cluster-id",
                _cluster_id(),
                "--config",
                properties,
                "--ignore-formatted",
            ],
            log=self.directory / "format.log",
        )
        if not formatter.wait(60) or formatter.exit_code != 0:
            failure = formatter.failure("Kafka's StorageTool")
            formatter.kill()
            raise failure
        (self.directory / "formatted").touch()
        return properties

    def _wait_for_ports(self, deadline: float) -> None:
        """A predecessor that was killed with its launcher may still be leaving."""
        for name in ("broker", "controller"):
            while not is_free(self._port(name), _HOST):
                if time.monotonic() > deadline - 45:
                    raise EmbeddedError(
                        f"Port {self._port(name)}, which the Kafka of {self.directory} has to use, is taken."
                    )
                time.sleep(0.05)

    def _port(self, name: str) -> int:
        port = self._ports.kept(name)
        if port is None:
            raise EmbeddedError(f"{self.directory} has no port kept for {name}.")
        return port


def _cluster_id() -> str:
    """16 random bytes; one that begins with a dash would be read as an option."""
    while True:
        text = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not text.startswith("-"):
            return text
