"""contacts.storage.undo_sql: an applied plan taken back set-based, through the same `changes` as a file (plan_sql).

Restored is what still is as the import left it, field by field, also each custom field by itself: rows of plans that an
earlier release wrote hold every custom field of the contact on both sides, changed or not. Of a row whose person was erased
neither side is known.
`verdicts` says of each row whether all, some or nothing of it was.
A consent is never among what is restored: an import only lowers consents, and an undo raises none.
"""

from __future__ import annotations

from mailmaker.contacts.domain.lists import STANDARD_FIELDS, KeyKind
from mailmaker.contacts.storage.plan_sql import after_of

PREPARE = """
CREATE TEMP TABLE verdicts (action text, contact_id uuid, undone text) ON COMMIT DROP
"""


def _of(side: str, name: str) -> str:
    if name == "custom":
        return f"coalesce(r.{side} -> 'custom', '{{}}')"
    return f"(r.{side} ->> '{name}'){'::date' if name == 'birth_date' else ''}"


def _said(name: str) -> str:
    """Whether the import changed this field."""
    return f"(r.before ? '{name}' OR r.after ? '{name}')"


def _stands(name: str) -> str:
    """Whether it is still as the import left it."""
    return f"({_said(name)} AND c.{name} IS NOT DISTINCT FROM {_of('after', name)})"


_FIELDS = (*STANDARD_FIELDS, "custom")
_MANY_SAID = " + ".join(f"{_said(name)}::int" for name in STANDARD_FIELDS)
_MANY_STAND = " + ".join(f"{_stands(name)}::int" for name in STANDARD_FIELDS)
# Of a row's custom fields: how many the import changed, which of them still are as it left them, and what those were.
_CUSTOM = """
CROSS JOIN LATERAL (
      SELECT count(*) AS said, count(*) FILTER (WHERE n.stands) AS stand,
             coalesce(array_agg(n.name) FILTER (WHERE n.stands), '{}') AS names,
             coalesce(jsonb_object_agg(n.name, n.was) FILTER (WHERE n.stands AND n.was IS NOT NULL), '{}') AS was
        FROM (SELECT k.name, r.before -> 'custom' -> k.name AS was,
                     (c.custom -> k.name) IS NOT DISTINCT FROM (r.after -> 'custom' -> k.name) AS stands
                FROM (SELECT jsonb_object_keys(r.before -> 'custom')
                       UNION SELECT jsonb_object_keys(r.after -> 'custom')) k (name)
               WHERE (r.before -> 'custom' -> k.name) IS DISTINCT FROM (r.after -> 'custom' -> k.name)) n) o
"""
_ADDRESS_STANDS = " OR ".join(_stands(name) for name in ("email", "mobile", "fkey"))
_ROWS = f"""
SELECT row_number() OVER (ORDER BY p.action, p.contact_id)::int AS line, p.action, p.contact_id, p.before,
       {after_of("p")} AS after
  FROM plan_rows p WHERE account_id = $1 AND import_id = $2 AND applied
"""

CHANGED = f"""
WITH r AS MATERIALIZED ({_ROWS})
INSERT INTO changes (line, contact_id, key_text, {", ".join(_FIELDS)}, email_before, sms_before, email_key, mobile_key,
                     fkey_hash, rekeyed)
SELECT r.line, c.id, c.key_text,
       {", ".join(f"CASE WHEN {_stands(name)} THEN {_of('before', name)} ELSE c.{name} END" for name in STANDARD_FIELDS)},
       (c.custom - o.names) || o.was, c.email_consent, c.sms_consent, c.email_key, c.mobile_key, c.fkey_hash,
       {_ADDRESS_STANDS}
  FROM r JOIN contacts c ON c.account_id = $1 AND c.id = r.contact_id {_CUSTOM}
 WHERE r.before IS NOT NULL AND r.after IS NOT NULL AND {_MANY_STAND} + o.stand > 0
"""
CHANGED_VERDICTS = f"""
WITH r AS MATERIALIZED ({_ROWS})
INSERT INTO verdicts
SELECT r.action, r.contact_id,
       CASE WHEN c.id IS NULL OR m.stand = 0 THEN 'kept' WHEN m.stand < m.said THEN 'partly' ELSE 'restored' END
  FROM r LEFT JOIN contacts c ON c.account_id = $1 AND c.id = r.contact_id {_CUSTOM}
       CROSS JOIN LATERAL (SELECT {_MANY_SAID} + o.said AS said, {_MANY_STAND} + o.stand AS stand) m
 WHERE r.before IS NOT NULL AND r.after IS NOT NULL AND m.said > 0
"""
# A contact that the import created and nobody has written since: whoever writes one raises its version, as did the import
# itself for each channel on which it brought the contact back.
CREATED = f"""
WITH r AS MATERIALIZED ({_ROWS})
INSERT INTO changes (contact_id, rekeyed)
SELECT c.id, false FROM r JOIN contacts c ON c.account_id = $1 AND c.id = r.contact_id
 WHERE r.before IS NULL AND r.after IS NOT NULL AND c.version = 1 + (
       SELECT count(*) FROM lifts l WHERE l.account_id = $1 AND l.import_id = $2 AND l.contact_id = c.id AND l.lifted)
"""
CREATED_VERDICTS = f"""
WITH r AS MATERIALIZED ({_ROWS})
INSERT INTO verdicts
SELECT r.action, r.contact_id, CASE WHEN d.contact_id IS NULL THEN 'kept' ELSE 'restored' END
  FROM r LEFT JOIN changes d ON d.line IS NULL AND d.contact_id = r.contact_id
 WHERE r.before IS NULL AND r.after IS NOT NULL
"""
_KEY = {
    KeyKind.EMAIL: "lower(r.before ->> 'email')",
    KeyKind.MOBILE: "r.before ->> 'mobile'",
    KeyKind.FKEY: "r.before ->> 'fkey'",
}


def removed(kind: KeyKind) -> str:
    """Contacts that the import removed come back under their ids, unless their key has been taken since.
    $1 account, $2 import, $3 list."""
    return f"""
WITH r AS MATERIALIZED ({_ROWS})
INSERT INTO changes (line, former, former_version, created_at, key_text, {", ".join(_FIELDS)}, email_before, sms_before,
                     rekeyed)
SELECT r.line, r.contact_id, (r.before ->> 'version')::bigint, (r.before ->> 'created_at')::timestamptz, {_KEY[kind]},
       {", ".join(_of("before", name) for name in _FIELDS)}, r.before ->> 'email_consent', r.before ->> 'sms_consent', true
  FROM r WHERE r.after IS NULL AND {_KEY[kind]} IS NOT NULL AND NOT EXISTS (
       SELECT FROM contacts c WHERE c.account_id = $1 AND c.list_id = $3 AND c.key_text = {_KEY[kind]}
        UNION ALL SELECT FROM contacts c WHERE c.account_id = $1 AND c.id = r.contact_id)
"""


REMOVED_VERDICTS = f"""
WITH r AS MATERIALIZED ({_ROWS})
INSERT INTO verdicts
SELECT r.action, r.contact_id, CASE WHEN d.former IS NULL THEN 'kept' ELSE 'restored' END
  FROM r LEFT JOIN changes d ON d.former = r.contact_id WHERE r.before IS NOT NULL AND r.after IS NULL
"""
VERDICTS = (CHANGED_VERDICTS, CREATED_VERDICTS, REMOVED_VERDICTS)
MARK = """
UPDATE plan_rows p SET undone = v.undone FROM verdicts v
 WHERE p.account_id = $1 AND p.import_id = $2 AND p.applied AND p.action = v.action AND p.contact_id = v.contact_id
"""
COUNTS = "SELECT undone, count(*) AS many FROM verdicts GROUP BY undone"
RESTORED = "SELECT former AS id FROM changes WHERE former IS NOT NULL"
UNDONE = """
UPDATE plans SET state = 'undone', due_at = NULL, undone = $3::jsonb, undone_at = $4, error_code = NULL, error_detail = NULL
 WHERE account_id = $1 AND import_id = $2
"""
ASK = """
UPDATE plans SET state = 'undoing', due_at = clock_timestamp(), attempts = 0
 WHERE account_id = $1 AND import_id = $2 AND state = 'applied' AND recording_at IS NULL
   AND options ->> 'mode' <> 'opt_out'
"""
GIVE_UP = """
UPDATE plans SET state = 'applied', due_at = NULL, error_code = $3, error_detail = $4
 WHERE account_id = $1 AND import_id = $2
"""
