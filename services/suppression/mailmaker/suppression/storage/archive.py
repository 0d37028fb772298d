"""suppression.storage.archive: all that is kept of an account's "no"s, for its export. No keyed hash: people by their
contact's id."""

from __future__ import annotations

from collections.abc import Mapping

from mailmaker.common.storage.archiving import everything_of

PARTS: Mapping[str, str] = {
    "suppression/suppressions.jsonl": (
        "SELECT to_jsonb(l) - '{named,kind}'::text[] || jsonb_build_object('evidence', e.payload, 'released',"
        " CASE WHEN r.released_at IS NOT NULL THEN"
        "  jsonb_build_object('at', r.released_at, 'reason', r.reason, 'key_id', r.key_id, 'evidence', r.evidence) END,"
        " 'enforced', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', d.enforced_at, 'stopped', d.stopped,"
        "  'in_flight', d.in_flight) ORDER BY d.number), '[]')"
        "  FROM enforcements d WHERE d.account_id = $1 AND d.suppression_id = l.id))"
        " FROM ledger l LEFT JOIN evidence e ON e.account_id = l.account_id AND e.id = l.id"
        " LEFT JOIN releases r ON r.account_id = l.account_id AND r.suppression_id = l.id WHERE l.account_id = $1"
    ),
    "suppression/repeats.jsonl": (
        "SELECT to_jsonb(p) || jsonb_build_object('evidence', e.payload) FROM repeats p"
        " LEFT JOIN evidence e ON e.account_id = p.account_id AND e.id = p.id WHERE p.account_id = $1"
    ),
}
EVERYTHING = everything_of(PARTS)
