"""A real fbl on a real PostgreSQL, as its tests see it; only contacts is played by a table."""

from __future__ import annotations

import asyncio
import smtplib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.internal import Unreachable
from mailmaker.fbl.actions.settle import Settler
from mailmaker.fbl.inbound.server import SmtpServer

DOMAIN = "mail.example.com"


@dataclass
class Contacts:
    """contacts' word on accounts."""

    rows: dict[str, AccountRow] = field(default_factory=dict)
    away: bool = False

    def open(self, number: int) -> UUID:
        row = AccountRow(
            account_id=new_id(), number=number, name=f"account {number}", state="open", version=number
        )
        self.rows[str(number)] = self.rows[str(row.account_id)] = row
        return row.account_id

    async def changes(self, after: int) -> KeysPage:
        return KeysPage(accounts=(), keys=(), version=0)

    async def key(self, secret_hash: str) -> KeyRow | None:
        return None

    async def account(self, id_or_number: str) -> AccountRow | None:
        if self.away:
            raise Unreachable("contacts is away")
        return self.rows.get(id_or_number)


@dataclass
class Fbl:
    """The house as the tests see it."""

    db: Database
    contacts: Contacts
    settler: Settler
    server: SmtpServer
    keys: TokenKeys
    account: UUID
    token: Token

    def rcpt(self, purpose: Purpose, token: Token | None = None) -> str:
        prefix = "u" if purpose is Purpose.MAIL_UNSUBSCRIBE else "b"
        return f"{prefix}+{self.keys.mint(purpose, token or self.token)}@{DOMAIN}"

    async def send(
        self, rcpt: str | list[str], mail: bytes, mail_from: str = "ada@example.com"
    ) -> tuple[int, bytes]:
        """What the session was told last: by RCPT if nobody was accepted, else by the final dot."""
        return await asyncio.to_thread(self._send, [rcpt] if isinstance(rcpt, str) else rcpt, mail, mail_from)

    def _send(self, rcpts: list[str], mail: bytes, mail_from: str) -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", self.server.port, timeout=30) as smtp:
            smtp.ehlo("tests.example.com")
            told = smtp.mail(mail_from)
            if told[0] != 250:
                return told
            answers = [smtp.rcpt(rcpt) for rcpt in rcpts]
            if not any(code == 250 for code, _ in answers):
                return answers[-1]
            return smtp.data(mail)

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        async with self.db.platform() as tx:
            return [dict(row) for row in await tx.driver.fetch(sql, *values)]
