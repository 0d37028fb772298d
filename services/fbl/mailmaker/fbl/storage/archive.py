"""fbl.storage.archive: all that is kept of an account's reports, for its export. People by their contact's id: contacts
says who they are, so that no file outlives an erasure here."""

from __future__ import annotations

from collections.abc import Mapping

from mailmaker.common.storage.archiving import everything_of

PARTS: Mapping[str, str] = {
    "fbl/reports.jsonl": (
        "SELECT jsonb_build_object('account_id', account_id, 'id', id, 'sha256', encode(sha256, 'hex'), 'size', size,"
        " 'kind', kind, 'received_at', received_at, 'settled_at', settled_at, 'feedback_type', feedback_type,"
        " 'recipients', (SELECT coalesce(jsonb_agg(one - 'address'), '[]') FROM jsonb_array_elements(recipients) one),"
        " 'attributed', attributed, 'acted', acted, 'suppression', suppression_id, 'contact', contact_id,"
        " 'mailing_number', mailing_number, 'error', error) FROM reports WHERE account_id = $1"
    )
}
EVERYTHING = everything_of(PARTS)
