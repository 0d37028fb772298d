"""dispatch.egress: runs the proxy: `python -m mailmaker.dispatch.egress --listen HOST:PORT --address IP …`.

MAILMAKER_EGRESS_USER and MAILMAKER_EGRESS_PASSWORD (or …_FILE, naming a file) say how clients sign in. SIGTERM stops
accepting, lets what runs go on for 30 s, and ends with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address

from mailmaker.common.ops.logging import logger, setup
from mailmaker.common.ops.settings import WrongSettings, load
from mailmaker.dispatch.egress.frames import Address
from mailmaker.dispatch.egress.proxy import Egress
from mailmaker.dispatch.egress.rules import Rules
from pydantic import BaseModel, ConfigDict, Field, SecretStr

PREFIX = "MAILMAKER_EGRESS_"
GRACE = 30.0
SPARE_FILES = 64
log = logger("dispatch.egress")


class SignIn(BaseModel):
    """How clients sign in (RFC 1929). Both or neither."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str | None = Field(None, min_length=1)
    password: SecretStr | None = Field(None, min_length=1)


def place(text: str) -> tuple[str, int]:
    """HOST:PORT with an IP address as host; an IPv6 one in brackets. Port 0 takes a free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("HOST:PORT")
    bracketed = host.startswith("[") and host.endswith("]")
    found = address(host[1:-1] if bracketed else host)
    if bracketed != (found.version == 6):
        raise argparse.ArgumentTypeError("an IPv6 address stands in brackets, no other does")
    return str(found), int(port)


def address(text: str) -> Address:
    """An IP address; not an IPv4 address dressed as an IPv6 one."""
    try:
        found = ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError("an IP address") from None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        raise argparse.ArgumentTypeError("write an IPv4 address as such")
    return found


def source(text: str) -> Address:
    """An address to send from: one of this machine, not a wildcard."""
    found = address(text)
    if found.is_unspecified or found.is_multicast:
        raise argparse.ArgumentTypeError("one address of this machine")
    return found


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}")
        return int(text)

    return number


def told(arguments: Sequence[str] | None, environ: Mapping[str, str]) -> tuple[tuple[str, int], Rules]:
    """Where to listen, and the rules. Ends the process with 2 and a reason if they make no sense."""
    options = argparse.ArgumentParser(prog="python -m mailmaker.dispatch.egress", description=__doc__)
    options.add_argument("--listen", type=place, required=True, metavar="HOST:PORT")
    options.add_argument("--address", type=source, required=True, action="append", metavar="IP")
    options.add_argument("--port", type=whole(1, 65535), action="append", help="destination port, default 25")
    options.add_argument(
        "--allow-private", action="store_true", help="also to addresses of no public network"
    )
    options.add_argument(
        "--connections", type=whole(1, 1_000_000), default=1000, help="at once, default 1000"
    )
    given = options.parse_args(arguments)
    try:
        sign_in = load(SignIn, environ, PREFIX)
        rules = Rules(
            addresses=frozenset(given.address),
            ports=frozenset(given.port or (25,)),
            private=given.allow_private,
            username=sign_in.user,
            password=None if sign_in.password is None else sign_in.password.get_secret_value(),
            connections=given.connections,
        )
    except (WrongSettings, OSError, ValueError) as wrong:
        options.error(f"signing in: {wrong}")
    missing = lacks_files(rules.connections)
    if missing:
        options.error(missing)
    return given.listen, rules


def lacks_files(connections: int) -> str | None:
    """Two sockets a connection: raises this process's limit of open files, or says why that is not possible."""
    needed = 2 * connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"--connections {connections} takes {needed} open files; the limit (ulimit -Hn) is {hard}"
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return None


async def serve(where: tuple[str, int], rules: Rules) -> None:
    """Runs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    egress = Egress(rules)
    try:
        port = await egress.listen(*where)
    except OSError as wrong:
        raise SystemExit(f"cannot listen at {where[0]} port {where[1]}: {wrong.strerror}") from None
    log.info(
        "listening",
        host=where[0],
        port=port,
        sources=len(rules.addresses),
        sign_in=rules.username is not None,
    )
    if rules.username is None and not ip_address(where[0]).is_loopback:
        log.warning("nobody need sign in: whoever reaches this port sends from our addresses")
    await stop.wait()
    log.info("stopping", connections=egress.running, grace=GRACE)
    cut = await egress.close(GRACE)
    log.info("stopped", cut=cut)


def main() -> None:
    setup("dispatch")
    where, rules = told(None, os.environ)
    asyncio.run(serve(where, rules))


if __name__ == "__main__":
    main()
