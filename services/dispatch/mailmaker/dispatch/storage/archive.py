"""dispatch.storage: all that is kept of an account, for its export. No secret, no keyed hash, and people by their
contact's id: contacts says who they are, so that no file outlives an erasure here."""

from __future__ import annotations

from collections.abc import Mapping

from mailmaker.common.storage.archiving import everything_of
from mailmaker.dispatch.storage.domain_keys import PUBLIC_PARTS

PARTS: Mapping[str, str] = {
    "dispatch/domains.jsonl": (
        f"SELECT to_jsonb(d) - 'private_key' || jsonb_build_object('others', {PUBLIC_PARTS}) FROM domains d"
        " WHERE account_id = $1"
    ),
    "dispatch/senders.jsonl": "SELECT to_jsonb(t) FROM senders t WHERE account_id = $1",
    "dispatch/pools.jsonl": "SELECT to_jsonb(t) FROM pools t WHERE account_id = $1",
    "dispatch/sources.jsonl": "SELECT to_jsonb(t) - 'secret' FROM sources t WHERE account_id = $1",
    "dispatch/routes.jsonl": "SELECT to_jsonb(t) FROM routes t WHERE account_id = $1",
    "dispatch/templates.jsonl": "SELECT to_jsonb(t) FROM templates t WHERE account_id = $1",
    "dispatch/mailings.jsonl": (
        "SELECT to_jsonb(t) || jsonb_build_object('counts', (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM ("
        " SELECT g.state, count(*) AS n FROM messages g WHERE g.account_id = $1 AND g.mailing_id = t.id GROUP BY g.state"
        ") AS c)) FROM mailings t WHERE account_id = $1"
    ),
    "dispatch/messages.jsonl": (
        "SELECT jsonb_build_object('account_id', account_id, 'id', id, 'mailing_id', mailing_id, 'list_id', list_id,"
        " 'contact_id', contact_id, 'channel', channel, 'class', class, 'state', state, 'reason', reason,"
        " 'detail', detail, 'attempts', attempts, 'begun_at', begun_at, 'ended_at', ended_at, 'reply_code', reply_code,"
        " 'source', source, 'route', route) FROM messages WHERE account_id = $1"
    ),
}
EVERYTHING = everything_of(PARTS)
