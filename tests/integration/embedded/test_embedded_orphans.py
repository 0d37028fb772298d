"""embedded.process: a launcher that is killed -9 leaves nothing behind."""

import signal
import subprocess
import sys
from pathlib import Path

from mailmaker.common.embedded.kafka import KafkaServer
from mailmaker.common.embedded.postgres import PostgresServer
from mailmaker.common.testing.processes import descendants, is_alive, wait_until

_LAUNCHER = """
import sys, threading, time
from pathlib import Path
from mailmaker.common.embedded.kafka import KafkaServer
from mailmaker.common.embedded.postgres import PostgresServer

postgres, kafka = PostgresServer(Path(sys.argv[1]) / "pg"), KafkaServer(Path(sys.argv[1]) / "kafka")
starters = [threading.Thread(target=server.start) for server in (postgres, kafka)]
for starter in starters:
    starter.start()
for starter in starters:
    starter.join()  # the threads that asked end here; their servers must not
time.sleep(0.2)
print(postgres.alive and kafka.alive, flush=True)
time.sleep(600)
"""


def test_kill_of_the_launcher_leaves_no_child(tmp_path: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", _LAUNCHER, tmp_path], stdout=subprocess.PIPE)
    assert launcher.stdout is not None
    with launcher.stdout as told:
        assert told.readline() == b"True\n"
        family = descendants(launcher.pid)
        assert len(family) > 3
        launcher.send_signal(signal.SIGKILL)
        launcher.wait(10)
    wait_until(lambda: not any(is_alive(pid) for pid in family), "all descendants are gone", 10)

    # and what they left on disk is no obstacle to a successor
    postgres, kafka = PostgresServer(tmp_path / "pg"), KafkaServer(tmp_path / "kafka")
    try:
        postgres.start()
        kafka.start()
    finally:
        kafka.stop()
        postgres.stop()
