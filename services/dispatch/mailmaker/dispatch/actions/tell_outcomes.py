"""dispatch.actions: outcomes as events: of messages that ended without a server's word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.contracts.deliveries import Outcome, OutcomesRecorded
from mailmaker.common.contracts.event import CHUNK


def told(rows: Sequence[Record]) -> list[OutcomesRecorded]:
    """Events of messages as they are now (rows with their account, mailing, contact, address key, state, ended_at)."""
    by_account: dict[tuple[UUID, str], list[Record]] = defaultdict(list)
    for row in rows:
        by_account[row["account_id"], row["channel"]].append(row)
    events = []
    for (account_id, channel), some in sorted(by_account.items()):
        for at in range(0, len(some), CHUNK):
            outcomes = tuple(_outcome(row) for row in some[at : at + CHUNK])
            events.append(
                OutcomesRecorded(
                    account_id=account_id,
                    occurred_at=outcomes[0].at,
                    channel="sms" if channel == "sms" else "email",
                    outcomes=outcomes,
                )
            )
    return events


def _outcome(row: Record) -> Outcome:
    return Outcome(
        message_id=row["id"],
        mailing_id=row["mailing_id"],
        contact_id=row["contact_id"],
        address_key=bytes(row["address_key"]).hex(),
        state=row["state"],
        at=row["ended_at"],
    )
