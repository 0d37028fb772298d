"""suppression.domain.journaled: a "no" as a line of the local journal: all that its token says, nothing of a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from mailmaker.common.mail.subjects import contact_subject
from mailmaker.common.mail.tokens import Token
from mailmaker.suppression.domain.no import No


class Unreadable(ValueError):
    """The line is not one we wrote whole."""


@dataclass(frozen=True, slots=True)
class Journaled:
    """A "no" by a mail's link. Its id makes every replay harmless."""

    id: UUID
    token: Token
    door: Literal["link", "one_click"]
    received_at: datetime
    evidence: Mapping[str, str] = field(default_factory=dict)

    def no(
        self,
        account_id: UUID,
        list_id: UUID | None = None,
        addresses: tuple[bytes, ...] = (),
        *,
        complete: bool = False,
    ) -> No:
        """The "no" of this contact's list. Not `complete`: contacts has yet to name list and address keys."""
        return No(
            id=self.id,
            account_id=account_id,
            channel="email",
            scope="list",
            list_id=list_id,
            named=contact_subject(self.token.contact_id),
            door=self.door,
            reason="unsubscribe",
            received_at=self.received_at,
            others=addresses,
            contact_id=self.token.contact_id,
            incomplete=not complete,
            evidence={**self.evidence, "mailing_number": str(self.token.mailing_number)},
        )

    def encode(self) -> bytes:
        """One line."""
        said = {
            "id": str(self.id),
            "account": self.token.account_number,
            "mailing": self.token.mailing_number,
            "contact": str(self.token.contact_id),
            "door": self.door,
            "received_at": self.received_at.isoformat(),
            "evidence": dict(self.evidence),
        }
        return json.dumps(said, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Journaled:
        """The "no" of a line. Raises Unreadable."""
        try:
            said = json.loads(line)
            token = Token(said["account"], said["mailing"], UUID(said["contact"]))
            received_at = datetime.fromisoformat(said["received_at"])
            return cls(UUID(said["id"]), token, said["door"], received_at, said["evidence"])
        except (ValueError, KeyError, TypeError) as wrong:
            raise Unreadable("not a line of the journal") from wrong
