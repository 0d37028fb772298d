"""common.embedded.kafka_metadata: one Metadata request over a plain socket, to know that a broker answers.

A client library would do the same with a hundred lines of logs about a broker that is not there yet.
"""

import socket
import struct

_METADATA, _VERSION = 3, 4


def answers(host: str, port: int, timeout: float = 2.0) -> bool:
    """True if the broker there lists itself as alive (a broker that is still registering lists none)."""
    client = b"mailmaker"
    header = struct.pack(">hhih", _METADATA, _VERSION, 1, len(client)) + client
    body = struct.pack(">i?", 0, False)  # no topics asked for, none created
    request = header + body
    try:
        with socket.create_connection((host, port), timeout) as peer:
            peer.sendall(struct.pack(">i", len(request)) + request)
            size = struct.unpack(">i", _exactly(peer, 4))[0]
            answer = _exactly(peer, min(size, 1 << 20))
    except (OSError, EOFError):
        return False
    # correlation id, throttle time, then the number of live brokers
    return bool(struct.unpack_from(">iii", answer)[2] > 0)


def _exactly(peer: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = peer.recv(size - len(read))
        if not more:
            raise EOFError
        read += more
    return read
