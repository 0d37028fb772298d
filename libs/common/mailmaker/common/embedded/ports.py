"""common.embedded.ports: free TCP ports that stay the same from one start to the next."""

import json
import random
import socket
from pathlib import Path

# Below the range from which kernels take the ports of outgoing connections, so that none of those is sitting
# on a remembered port when we come back to it.
_RANGE = range(20_000, 32_000)
# Said to somebody of this process, who has perhaps not bound it yet.
_given: set[int] = set()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    for port in random.SystemRandom().sample(_RANGE, min(200, len(_RANGE))):
        if port not in _given and is_free(port, host):
            _given.add(port)
            return port
    raise OSError("no free TCP port between 20000 and 32000")


class Ports:
    """Named ports kept in one small file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def kept(self, name: str) -> int | None:
        return self._kept.get(name)

    def get(self, name: str) -> int:
        """The port of that name: the one it had if that is free, else a new one."""
        port = self._kept.get(name)
        if port is None or not is_free(port):
            return self.renew(name)
        _given.add(port)
        return port

    def renew(self, name: str) -> int:
        port = free_port()
        while port in self._kept.values():
            port = free_port()
        self.keep(name, port)
        return port

    def keep(self, name: str, port: int) -> None:
        self._kept[name] = port
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_name(self._file.name + ".part")
        part.write_text(json.dumps(self._kept, sort_keys=True))
        part.replace(self._file)
