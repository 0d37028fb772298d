"""ingest.storage.archive: all that is kept of an account, for its export, without secrets. Files that were sent are not in
it: they are kept for days only, and their rows are contacts'."""

from __future__ import annotations

from collections.abc import Mapping

from mailmaker.common.storage.archiving import everything_of

PARTS: Mapping[str, str] = {
    "ingest/imports.jsonl": (
        "SELECT to_jsonb(t) - '{about_list,lease,lease_until,attempts,crashes,heard_at,line_ends,not_utf8_at}'::text[]"
        " || jsonb_build_object('sha256', encode(t.sha256, 'hex')) FROM imports t WHERE account_id = $1"
    ),
    "ingest/profiles.jsonl": "SELECT to_jsonb(t) FROM import_profiles t WHERE account_id = $1",
    "ingest/drops.jsonl": (
        "SELECT to_jsonb(t) - '{password_hash,credentials,closed}'::text[] FROM drops t"
        " WHERE account_id = $1 AND NOT closed"
    ),
    "ingest/drop_files.jsonl": (
        "SELECT to_jsonb(t) - '{inode,modified_ns,archived,told,forgotten}'::text[] FROM drop_files t WHERE account_id = $1"
    ),
    "ingest/pgp_keys.jsonl": "SELECT to_jsonb(t) - 'sealed_key' FROM pgp_keys t WHERE account_id = $1",
}
EVERYTHING = everything_of(PARTS)
