"""A stage for relay tests: a hand-filled dispatch schema, a relay on it, and what the tables say afterwards."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from mailmaker.common.mail.address import address_key
from mailmaker.common.mail.subjects import address_subject, contact_subject, fkey_subject
from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.domain.shaping import Shaping
from mailmaker.dispatch.relay.connect import Smarthost
from mailmaker.dispatch.relay.mx import MxResolver
from mailmaker.dispatch.relay.shaped import shipped
from mailmaker.dispatch.relay.shift import RelaySettings
from mailmaker.dispatch.relay.source import Sources
from mailmaker.dispatch.relay.worker import Relay
from mailmaker.dispatch.render.mail import Doors
from mailmaker.dispatch.storage.seal import Seal

PEPPER = b"p" * 32
KEYS = TokenKeys({1: b"k" * 32})
SEAL = Seal("a secret of the tests only")
DOORS = Doors("http://127.0.0.1:8000", "mail.demo.test")
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
ED25519 = ed25519.Ed25519PrivateKey.generate()
ED25519_PEM = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
RECORDS = {
    "mm1._domainkey.demo.test": "v=DKIM1; k=rsa; p=" + PUBLIC.decode(),
    "mm1-ed25519._domainkey.demo.test": "v=DKIM1; k=ed25519; p="
    + base64.b64encode(ED25519.public_key().public_bytes_raw()).decode(),
}
HTML = (
    "<p>Gentile {{ name | default: 'cliente' }},</p>\n"
    + "<p>Un paragrafo come un altro, perché così è.</p>\n" * 4
)
HTML += '<p><a href="{{ unsubscribe_url }}">Non scrivetemi</a></p>'


@dataclass
class Stage:
    """One account with lists, mailings and messages."""

    db: Database
    account: UUID = field(default_factory=new_id)
    domain: UUID = field(default_factory=new_id)
    sender: UUID = field(default_factory=new_id)
    template: UUID = field(default_factory=new_id)
    mailings: list[UUID] = field(default_factory=list)
    number: int = 7

    async def set_up(self) -> Stage:
        now = datetime.now(UTC)
        sealed = SEAL.close(PEM, self.account, self.domain)
        async with self.db.platform() as tx:
            run = tx.driver.execute
            await run(
                "INSERT INTO known_accounts VALUES ($1, $2, 'Demo', 'open', 1)", self.account, self.number
            )
            await run(
                "INSERT INTO domains (account_id, id, name, state, selector, public_key, private_key, created_at)"
                " VALUES ($1, $2, 'demo.test', 'verified', 'mm1', $3, $4, $5)",
                self.account,
                self.domain,
                PUBLIC.decode(),
                sealed,
                now,
            )
            await run(
                "INSERT INTO senders (account_id, id, domain_id, name, email, created_at)"
                " VALUES ($1, $2, $3, 'Società Demo', 'news@demo.test', $4)",
                self.account,
                self.sender,
                self.domain,
                now,
            )
            await run(
                "INSERT INTO templates (account_id, id, name, channel, subject, html, body, fields, created_at)"
                " VALUES ($1, $2, 't', 'email', '', '', '', '{}', $3)",
                self.account,
                self.template,
                now,
            )
        await self.vouch()
        return self

    async def second_key(self, state: str) -> None:
        """The domain has an Ed25519 key too, in this state."""
        sealed = SEAL.close(ED25519_PEM, self.account, self.domain)
        async with self.db.platform() as tx:
            await tx.driver.execute(
                "INSERT INTO domain_keys (account_id, domain_id, selector, algorithm, public_key, private_key, state, since)"
                " VALUES ($1, $2, 'mm1-ed25519', 'ed25519', '', $3, $4, now())",
                self.account,
                self.domain,
                sealed,
                state,
            )

    async def vouch(self) -> None:
        """The feed is at its head now, and stays vouched for during the test."""
        async with self.db.platform() as tx:
            await tx.driver.execute(
                "UPDATE feed_position SET confirmed_at = clock_timestamp() + interval '1 hour'"
            )

    async def open_list(self, caps: dict[str, Any] | None = None) -> UUID:
        list_id = new_id()
        async with self.db.platform() as tx:
            await tx.driver.execute(
                "INSERT INTO lists (account_id, list_id, name, key_kind, caps, timezone, controller, closed, version)"
                " VALUES ($1, $2, 'Clienti', 'email', $3, 'Europe/Rome', '{}', false, 1)",
                self.account,
                list_id,
                json.dumps({} if caps is None else {"email": caps}),
            )
        return list_id

    async def mailing(
        self,
        list_id: UUID,
        *,
        html: str = HTML,
        subject: str = "Ciao {{ name }}",
        mail_class: str = "marketing",
        valid_until: datetime | None = None,
        state: str = "running",
        tag: str | None = None,
        lists: list[UUID] | None = None,
    ) -> UUID:
        mailing = new_id()
        self.mailings.append(mailing)
        async with self.db.platform() as tx:
            await tx.driver.execute(
                "INSERT INTO mailings (account_id, account_number, id, number, name, channel, class, state, template_id,"
                " sender_id, domain_id, list_ids, subject, html, body, fields, from_name, from_email, created_at,"
                " started_at, expanded_at, valid_until, tag)"
                " VALUES ($1, 7, $2, $3, 'm', 'email', $4, $5, $6, $7, $8, $9, $10, $11, $12, '{name}', 'Società Demo',"
                " 'news@demo.test', now(), now(), now(), $13, $14)",
                self.account,
                mailing,
                len(self.mailings),
                mail_class,
                state,
                self.template,
                self.sender,
                self.domain,
                lists or [list_id],
                subject,
                html,
                "Ciao {{ name }}\n{{ unsubscribe_url }}\n",
                valid_until,
                tag,
            )
        return mailing

    async def messages(
        self,
        mailing: UUID,
        list_id: UUID,
        contacts: list[UUID],
        *,
        channel: str = "email",
        merge: dict[str, Any] | None = None,
        fkey: bool = False,
        mail_class: str = "marketing",
        domain: str = "example.com",
        lane: str | None = None,
    ) -> list[UUID]:
        """One message to each contact; contact n of any list has the address of its id."""
        rows = []
        for contact in contacts:
            address = f"c{contact.hex}@{domain}"
            key = address_key(PEPPER, self.account, "email", address)
            name = merge if merge is not None else {"name": f"Mario {contact.hex[-4:]}"}
            rows.append(
                (
                    self.account,
                    new_id(),
                    mailing,
                    list_id,
                    contact,
                    channel,
                    mail_class,
                    address,
                    contact.hex if fkey else None,
                    key,
                    address_subject(key),
                    contact_subject(contact),
                    fkey_subject(list_id, contact.hex) if fkey else None,
                    json.dumps(name),
                    "queued",
                    lane,
                )
            )
        async with self.db.platform() as tx:
            await tx.driver.executemany(
                "INSERT INTO messages (account_id, id, mailing_id, list_id, contact_id, channel, class, address, fkey,"
                " address_key, address_subject, contact_subject, fkey_subject, merge, state, lane, due_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, now())",
                rows,
            )
            await tx.driver.execute("SELECT 1")
        return [row[1] for row in rows]

    async def suppress(
        self,
        subject: bytes,
        *,
        number: int,
        list_id: UUID | None = None,
        source: str = "feed",
        released: bool = False,
    ) -> None:
        async with self.db.platform() as tx:
            await tx.driver.execute(
                "INSERT INTO suppressed VALUES ($1, 'email', $2, $3, $4, $5, $6, NULL, 'unsubscribe')"
                " ON CONFLICT (account_id, channel, subject, list_id, source) DO UPDATE SET number = excluded.number,"
                " released = excluded.released",
                self.account,
                subject,
                list_id or UUID(int=0),
                source,
                number,
                released,
            )

    async def states(self, mailing: UUID | None = None) -> dict[str, int]:
        async with self.db.platform() as tx:
            rows = await tx.driver.fetch(
                "SELECT state, count(*) AS n FROM messages WHERE account_id = $1 AND ($2::uuid IS NULL OR mailing_id = $2)"
                " GROUP BY state",
                self.account,
                mailing,
            )
        return {row["state"]: row["n"] for row in rows}

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        async with self.db.platform() as tx:
            return list(await tx.driver.fetch(sql, *values))

    async def run(self, sql: str, *values: Any) -> None:
        async with self.db.platform() as tx:
            await tx.driver.execute(sql, *values)

    def relay(
        self,
        port: int | None,
        *,
        connections: int = 4,
        plan: RetryPlan | None = None,
        nameserver: str | None = None,
        smtp_port: int = 25,
        shaping: Shaping | None = None,
    ) -> Relay:
        clock = SystemClock()
        server = None if port is None else Smarthost("127.0.0.1", port, "relay.demo.test")
        settings = RelaySettings(
            server,
            DOORS,
            connections=connections,
            plan=plan or RetryPlan(requeue=timedelta(milliseconds=50)),
        )
        mx = MxResolver(clock, nameserver, allow_private=True)
        sources = Sources(clock, mx, shaping or shipped(), SEAL, server, smtp_port)
        return Relay(self.db, clock, KEYS, SEAL, settings, Metrics(), sources)


async def until(question: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Waits for a condition, not for time."""
    async with asyncio.timeout(seconds):
        while not await question():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def renewal(stage: Stage) -> None:
    """Returns once a relay has renewed its lease: in the seconds between it has had every chance to do what it must not."""
    first: list[object] = []

    async def renewed() -> bool:
        leases = [row["lease_until"] for row in await stage.rows("SELECT lease_until FROM relays")]
        first.extend(leases[:1] if not first else [])
        return bool(first) and bool(leases) and leases[0] != first[0]

    await until(renewed)


def contacts(count: int) -> list[UUID]:
    return [new_id() for _ in range(count)]
