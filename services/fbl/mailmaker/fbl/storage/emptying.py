"""fbl.storage.emptying: what becomes of each table when an account is gone. The mails go, and every address read out of
them; that a report came, and what was done, stays: a "no" in suppression's ledger names its report as evidence.

A report that is not parsed yet keeps its mail: there may be a "no" in it. It goes in a later round."""

from __future__ import annotations

from mailmaker.common.storage.emptying import Blanked, Emptying

EMPTYING = Emptying(
    emptied={
        "raws": "NOT EXISTS (SELECT FROM reports r WHERE r.account_id = raws.account_id AND r.sha256 = raws.sha256"
        " AND r.state = 'waiting')"
    },
    blanked={
        "reports": Blanked(
            sets="mail_from = '', message_id = NULL, original_message_id = NULL, address = NULL, recipients = '[]'",
            needed="state <> 'waiting' AND (mail_from <> '' OR message_id IS NOT NULL OR original_message_id IS NOT NULL"
            " OR address IS NOT NULL OR recipients <> '[]')",
            why='evidence of "no"s: kind, times, who delivered it, the mail\'s hash, and what was done',
        )
    },
    kept={"arrivals": "hashes of mails, so that one that is sent again is not counted again"},
)
