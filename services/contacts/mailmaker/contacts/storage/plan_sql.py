"""contacts.storage.plan_sql: domain.plans said set-based: a staged file against a list, in temporary tables.

`staged` is the file as ingest wrote it. `changes` has what differs: a row of the file with the contact it names and the
fields as they will be, or (in a full import) a contact that the file does not name. `keyed` has, for rows with a new
address or key, what Python decided: id, address keys and consents. Unchanged rows are read once and written nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailmaker.contacts.domain.lists import STANDARD_FIELDS
from mailmaker.contacts.domain.plans import Options

STAGED_COLUMNS = ("line", "key_text", *STANDARD_FIELDS, "custom")
KEYED_COLUMNS = (
    "line",
    "contact_id",
    "email_key",
    "mobile_key",
    "fkey_hash",
    "email_consent",
    "sms_consent",
    "met",
)
_ADDRESSES = ("email", "mobile", "fkey")
_TYPED = ", ".join(f"{name} {'date' if name == 'birth_date' else 'text'}" for name in STANDARD_FIELDS)

PREPARE = (
    "SET LOCAL work_mem = '128MB'",
    # Two large sets are compared. What the planner knows of a list that was written a moment ago is nothing, and a
    # nested loop over both takes minutes.
    "SET LOCAL enable_nestloop = off",
    # Between two statements of this transaction Python computes keys; a stopped process still ends here.
    "SET LOCAL idle_in_transaction_session_timeout = '30s'",
    f"CREATE TEMP TABLE staged (line int, key_text text, {_TYPED}, custom jsonb) ON COMMIT DROP",
    f"""CREATE TEMP TABLE changes (line int, contact_id uuid, key_text text, {_TYPED}, custom jsonb,
        email_before text, sms_before text, email_key bytea, mobile_key bytea, fkey_hash bytea,
        rekeyed boolean) ON COMMIT DROP""",
    """CREATE TEMP TABLE keyed (line int, contact_id uuid, email_key bytea, mobile_key bytea, fkey_hash bytea,
        email_consent text, sms_consent text, met boolean) ON COMMIT DROP""",
)
ANALYZE = ("ANALYZE changes", "ANALYZE keyed")

REPEATED = """
DELETE FROM changes d USING (SELECT key_text, max(line) AS line FROM changes WHERE line IS NOT NULL
                              GROUP BY key_text HAVING count(*) > 1) last
 WHERE d.key_text = last.key_text AND d.line < last.line
"""
TO_KEY = """
SELECT line, contact_id, email, mobile, fkey, email_before, sms_before FROM changes WHERE rekeyed ORDER BY line
"""

FINAL = f"""
SELECT c.line, coalesce(c.contact_id, k.contact_id) AS contact_id, c.contact_id IS NULL AS new, c.key_text,
       {", ".join("c." + name for name in STANDARD_FIELDS)}, c.custom,
       coalesce(k.email_consent, c.email_before) AS email_consent, coalesce(k.sms_consent, c.sms_before) AS sms_consent,
       CASE WHEN c.rekeyed THEN k.email_key ELSE c.email_key END AS email_key,
       CASE WHEN c.rekeyed THEN k.mobile_key ELSE c.mobile_key END AS mobile_key,
       CASE WHEN c.rekeyed THEN k.fkey_hash ELSE c.fkey_hash END AS fkey_hash,
       CASE WHEN c.line IS NULL THEN 'removed'
            WHEN k.met OR (c.contact_id IS NOT NULL AND 'unsubscribed' IN (c.email_before, c.sms_before)) THEN 'protected'
            WHEN c.contact_id IS NULL THEN 'created' ELSE 'updated' END AS action
  FROM changes c LEFT JOIN keyed k ON k.line = c.line
"""
COUNTS = f"SELECT action, count(*) AS many FROM ({FINAL}) f GROUP BY action"

_CONSENTS = ("email_consent", "sms_consent")


def _facts(names: Sequence[str], side: str, other: str | None = None) -> str:
    """The fields of one side as JSON, those that differ from the other; without another, all that have a value."""
    pairs = []
    for name in names:
        value = f"{side}.{name}"
        if other is not None:
            value = f"CASE WHEN {value} IS DISTINCT FROM {other}.{name} THEN {value} END"
        pairs.append(f"'{name}', {value}")
    custom = f"nullif({side}.custom, '{{}}')"
    if other is not None:
        custom = f"CASE WHEN {side}.custom <> {other}.custom THEN {custom} END"
    return f"jsonb_strip_nulls(jsonb_build_object({', '.join(pairs)}, 'custom', {custom}))"


def plan_rows(options: Options) -> str:
    """The statement that stores what is not unchanged. $1 account, $2 import, $3 whether it is being applied."""
    written = (*options.standard, *_CONSENTS)
    whole = (*STANDARD_FIELDS, *_CONSENTS)
    return f"""
WITH f AS MATERIALIZED ({FINAL})
INSERT INTO plan_rows (account_id, import_id, action, contact_id, line, before, after, applied)
SELECT $1::uuid, $2::uuid, f.action, f.contact_id, f.line, NULL, {_facts(written, "f")}, $3::boolean
  FROM f WHERE f.new AND f.line IS NOT NULL
UNION ALL
SELECT $1::uuid, $2::uuid, f.action, f.contact_id, f.line, {_facts(written, "o", "f")}, {_facts(written, "f", "o")},
       $3::boolean
  FROM f JOIN contacts o ON o.account_id = $1 AND o.id = f.contact_id WHERE NOT f.new AND f.action <> 'removed'
UNION ALL
SELECT $1::uuid, $2::uuid, f.action, f.contact_id, NULL, {_facts(whole, "o")}, NULL, $3::boolean
  FROM f JOIN contacts o ON o.account_id = $1 AND o.id = f.contact_id WHERE f.action = 'removed'
"""


_SET = (*STANDARD_FIELDS, "custom", "email_consent", "sms_consent", "email_key", "mobile_key", "fkey_hash")
INSERT_NEW = f"""
INSERT INTO contacts (account_id, list_id, id, key_text, {", ".join(_SET)}, created_at, changed_at, version)
SELECT $1, $2, f.contact_id, f.key_text, {", ".join("f." + name for name in _SET)}, $3, $3, 1
  FROM ({FINAL}) f WHERE f.new AND f.line IS NOT NULL ORDER BY f.line
"""
UPDATE_CHANGED = f"""
UPDATE contacts t SET {", ".join(f"{name} = f.{name}" for name in _SET)}, changed_at = $2, version = t.version + 1
  FROM ({FINAL}) f
 WHERE t.account_id = $1 AND t.id = f.contact_id AND NOT f.new AND f.action <> 'removed'
   AND ({", ".join("t." + name for name in _SET)}) IS DISTINCT FROM ({", ".join("f." + name for name in _SET)})
"""
DELETE_REMOVED = """
DELETE FROM contacts t USING changes c WHERE c.line IS NULL AND t.account_id = $1 AND t.id = c.contact_id
"""
WRITTEN = f"""
SELECT t.id, t.email_key, t.mobile_key, t.email_consent, t.sms_consent, t.version
  FROM ({FINAL}) f JOIN contacts t ON t.account_id = $1 AND t.id = f.contact_id
 WHERE f.action <> 'removed' AND t.changed_at = $2
"""
REMOVED = "SELECT contact_id AS id FROM changes WHERE line IS NULL"


def difference(options: Options) -> str:
    """The statement that fills `changes`. $1 account, $2 list; $3 the file's custom fields, where it has any.

    A negative line only names the key of a rejected row: it keeps its contact from being removed.
    """
    after = {name: _overlaid(name, options) for name in STANDARD_FIELDS}
    custom = _custom(options)
    differs = [f"{after[name]} IS DISTINCT FROM c.{name}" for name in options.standard]
    if options.custom:
        differs.append(f"{custom} IS DISTINCT FROM c.custom")
    rekeyed = [f"{after[name]} IS DISTINCT FROM c.{name}" for name in options.standard if name in _ADDRESSES]
    mirror = options.mode == "full"
    return f"""
INSERT INTO changes
SELECT s.line, c.id, s.key_text, {", ".join(after[name] for name in STANDARD_FIELDS)}, {custom},
       c.email_consent, c.sms_consent, c.email_key, c.mobile_key, c.fkey_hash,
       s.line IS NOT NULL AND (c.id IS NULL OR {" OR ".join(rekeyed) or "false"})
  FROM staged s {"FULL" if mirror else "LEFT"} JOIN
       (SELECT * FROM contacts WHERE account_id = $1 AND list_id = $2) c ON c.key_text = s.key_text
 WHERE (s.line IS NULL OR s.line > 0) AND (
       c.id IS NULL {"OR s.line IS NULL" if mirror else ""}
    OR c.email_consent = 'unsubscribed' OR c.sms_consent = 'unsubscribed' OR {" OR ".join(differs) or "false"})
"""


def _overlaid(name: str, options: Options) -> str:
    """domain.plans.overlaid for one field."""
    if name not in options.standard:
        return f"c.{name}"
    return f"s.{name}" if options.empty_cells == "erase" else f"coalesce(s.{name}, c.{name})"


def _custom(options: Options) -> str:
    if not options.custom:
        return "coalesce(c.custom, '{}')"
    kept = "coalesce(c.custom, '{}')" + (" - $3::text[]" if options.empty_cells == "erase" else "")
    return f"({kept} || coalesce(s.custom, '{{}}'))"
