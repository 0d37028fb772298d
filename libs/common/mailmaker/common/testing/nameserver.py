"""common.testing.nameserver: a small DNS server of made-up zones, that can also be told to behave badly.

It answers for the whole tree of names as a resolver would, CNAMEs followed: what is not in its zone does not exist.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zonefile

Zone = str | Mapping[tuple[str, str], Sequence[str]]
"""The text of a zone file with full names, or {(name, type): [data as in a zone file, ...]}."""
Manner = Literal["servfail", "drop", "truncate"]
_ATTEMPTS, _CHAIN, _IDLE = 10, 8, 30.0
_Key = tuple[dns.name.Name, dns.rdatatype.RdataType]


class Nameserver(asyncio.DatagramProtocol):
    """`async with Nameserver(zone) as ns:` listens on 127.0.0.1, UDP and TCP, at a free port: `ns.address`.

    Names in `manners` are treated so (`truncate`: by UDP only); those in `delays` wait for seconds or for an event first.
    `asked` counts the questions by (name, type), those that came by TCP in `asked_by_tcp` too.
    """

    def __init__(self, zone: Zone, ttl: int = 300) -> None:
        self.manners: dict[str, Manner] = {}
        self.delays: dict[str, float | asyncio.Event] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.asked_by_tcp: Counter[tuple[str, str]] = Counter()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.load(zone, ttl)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def load(self, zone: Zone, ttl: int = 300) -> None:
        """Takes this zone in place of the last one; `ttl` where the zone gives none. Negative answers carry its SOA."""
        if not isinstance(zone, str):
            lines = [(name.rstrip("."), type_, data) for (name, type_), all_ in zone.items() for data in all_]
            zone = "\n".join(f"{name}. IN {type_} {data}" for name, type_, data in lines)
        rrsets = dns.zonefile.read_rrsets(zone, rdclass=None, default_ttl=ttl)
        self._rrsets: dict[_Key, dns.rrset.RRset] = {(rrset.name, rrset.rdtype): rrset for rrset in rrsets}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for attempt in range(_ATTEMPTS):
            self._server = await asyncio.start_server(self._tcp, "127.0.0.1", 0)
            self.port = int(self._server.sockets[0].getsockname()[1])
            at = "127.0.0.1", self.port
            try:
                self._udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=at)
                break
            except OSError:
                # The two protocols number their ports apart: ours may be another one's by UDP.
                self._server.close()
                if attempt == _ATTEMPTS - 1:
                    raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._udp.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.create_task(self._reply(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, wire: bytes, sender: tuple[str, int]) -> None:
        if (answer := await self._answer(wire, tcp=False)) is not None:
            self._udp.sendto(answer, sender)

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                if (answer := await self._answer(wire, tcp=True)) is None:
                    break
                writer.write(len(answer).to_bytes(2) + answer)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        try:
            query = dns.message.from_wire(wire)
            response = dns.message.make_response(query, recursion_available=True)
            (question,) = query.question
        except (dns.exception.DNSException, ValueError):
            return None
        name = question.name.to_text(omit_final_dot=True).lower()
        key = name, dns.rdatatype.to_text(question.rdtype)
        self.asked[key] += 1
        self.asked_by_tcp[key] += tcp
        delay = self.delays.get(name, 0.0)
        await (delay.wait() if isinstance(delay, asyncio.Event) else asyncio.sleep(delay))
        manner = self.manners.get(name)
        if manner == "drop":
            return None
        if manner == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif manner == "truncate" and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._look_up(response, question.name, question.rdtype)
        largest = 65535 if tcp else max(query.payload, 512)
        return response.to_wire(max_size=largest, prefer_truncation=True)

    def _look_up(
        self, response: dns.message.Message, name: dns.name.Name, type_: dns.rdatatype.RdataType
    ) -> None:
        for _ in range(_CHAIN):
            if (found := self._rrsets.get((name, type_))) is not None:
                response.answer.append(found)
                return
            if (alias := self._rrsets.get((name, dns.rdatatype.CNAME))) is None:
                break
            response.answer.append(alias)
            name = alias[0].target
        if not any(owner.is_subdomain(name) for owner, _ in self._rrsets):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = dns.rdatatype.SOA
        if zones := [owner for owner, kind in self._rrsets if kind == soa and name.is_subdomain(owner)]:
            response.authority.append(self._rrsets[max(zones, key=len), soa])
