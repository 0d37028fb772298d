"""contacts.storage.plan_sql: domain.plans said set-based: a staged file against a list, in temporary tables.

`outline` has an entry a row of the file: its key and its digest. `unmatched` are the rows that a list does not hold as
they are (first found as `odd`, by their digests alone), and in a full import the contacts that the file does not name: a
contact whose last write was this very row needs no second look, so only unmatched rows are pulled whole, into `staged`.
`changes` has what differs: a row with the contact it names and the fields as they will be, or a contact to be removed;
undo_sql fills it too, with contacts that come back under their former ids among them. A row with a new address or key is
`rekeyed`; `made` is the id of who is new. Where a list has none of a file's contacts, the rows come keyed into `changes` at
once; else `keyed` brings them what Python computed. Unchanged rows are read once and written nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailmaker.contacts.domain.lists import STANDARD_FIELDS
from mailmaker.contacts.domain.plans import Options

STAGED_COLUMNS = ("line", "key_text", *STANDARD_FIELDS, "custom", "digest")
OUTLINE_COLUMNS = ("line", "at", "digest", "key_text")
OUTLINE_IN_CSV = ("line", "key_text", "digest", "at")
MADE_COLUMNS = (*STAGED_COLUMNS, "made", "email_key", "mobile_key", "fkey_hash")
_ADDRESSES = ("email", "mobile", "fkey")
_TYPED = ", ".join(f"{name} {'date' if name == 'birth_date' else 'text'}" for name in STANDARD_FIELDS)

PREPARE = (
    # Hashes spill to disk, whatever a list holds, and are the quicker for it: one that a core's cache holds is probed in
    # two thirds of the time of one that fits 24 MB (1,000,000 digests: 0.93-1.1 s, 1.5 s).
    "SET LOCAL work_mem = '4MB'",
    "SET LOCAL hash_mem_multiplier = 1",
    # Two large sets are compared. What the planner knows of a list that was written a moment ago is nothing, and a
    # nested loop over both takes minutes.
    "SET LOCAL enable_nestloop = off",
    # Between two statements of this transaction Python computes keys; a stopped process still ends here.
    "SET LOCAL idle_in_transaction_session_timeout = '30s'",
    "CREATE TEMP TABLE outline (line int, key_text text, digest uuid, at bigint) ON COMMIT DROP",
    "CREATE TEMP TABLE odd (line int, at bigint, key_text text) ON COMMIT DROP",
    "CREATE TEMP TABLE unmatched (line int, at bigint, contact_id uuid) ON COMMIT DROP",
    f"CREATE TEMP TABLE staged (line int, key_text text, {_TYPED}, custom jsonb, digest uuid) ON COMMIT DROP",
    f"""CREATE TEMP TABLE changes (line int, contact_id uuid, key_text text, {_TYPED}, custom jsonb, digest uuid,
        email_before text, sms_before text, email_key bytea, mobile_key bytea, fkey_hash bytea,
        rekeyed boolean DEFAULT true, made uuid, former uuid, former_version bigint, created_at timestamptz,
        met_email boolean DEFAULT false, met_sms boolean DEFAULT false) ON COMMIT DROP""",
    """CREATE TEMP TABLE keyed (line int, contact_id uuid, email_key bytea, mobile_key bytea, fkey_hash bytea)
        ON COMMIT DROP""",
    """CREATE TEMP TABLE rewritten (id uuid, email_key bytea, mobile_key bytea, email_consent text, sms_consent text,
        version bigint) ON COMMIT DROP""",
    "CREATE TEMP TABLE birth (consent text) ON COMMIT DROP",
)
BORN = "INSERT INTO birth VALUES ($1)"
"""The consent of who is new."""
FEW = ("SET LOCAL enable_nestloop = on", "ANALYZE staged", "ANALYZE unmatched")
"""Said before rows of few known contacts are compared: each is then looked up by its id."""
FEW_ODD = ("SET LOCAL enable_nestloop = on", "ANALYZE odd")
"""Said before few rows are matched: each is then looked up by its key."""

STANDS = (
    """c.line_version = c.version AND c.email_consent <> 'unsubscribed' AND c.sms_consent <> 'unsubscribed'"""
)
"""Whether contact c is as the row said that has its digest."""
# A digest is of all that a row says, its key too: it need not be looked whose it is.
ODD = f"""
INSERT INTO odd
SELECT o.line, o.at, o.key_text FROM outline o
 WHERE o.line > 0 AND NOT EXISTS (
       SELECT FROM contacts c WHERE c.account_id = $1 AND c.list_id = $2 AND c.line_digest = o.digest
          AND {STANDS})
"""
UNMATCHED = """
INSERT INTO unmatched
SELECT o.line, o.at, c.id
  FROM odd o LEFT JOIN contacts c ON c.account_id = $1 AND c.list_id = $2 AND c.key_text = o.key_text
"""
UNMATCHED_FEW = """
INSERT INTO unmatched
SELECT o.line, o.at, c.id
  FROM odd o LEFT JOIN (
       SELECT id, key_text FROM contacts
        WHERE account_id = $1 AND list_id = $2 AND key_text = ANY (ARRAY(SELECT key_text FROM odd))) c USING (key_text)
"""
"""All: $1 account, $2 list. Few are looked up by their keys, whatever the planner knows of a list that was just loaded."""
UNMATCHED_EITHER = """
INSERT INTO unmatched
SELECT o.line, o.at, c.id
  FROM outline o FULL JOIN
       (SELECT id, key_text, line_digest AS digest,
               line_version = version AND email_consent <> 'unsubscribed' AND sms_consent <> 'unsubscribed' AS stands
          FROM contacts WHERE account_id = $1 AND list_id = $2) c ON c.key_text = o.key_text
 WHERE o.line IS NULL OR (o.line > 0 AND (c.digest = o.digest AND c.stands) IS NOT TRUE)
"""
"""Of a full file. A negative line only names the key of a rejected row: it keeps its contact from being removed."""
FOUND = """
SELECT count(*) FILTER (WHERE line IS NOT NULL) AS rows, count(at) AS placed,
       count(*) FILTER (WHERE line IS NOT NULL AND contact_id IS NOT NULL) AS known FROM unmatched
"""
PLACES = "SELECT at FROM unmatched WHERE line IS NOT NULL ORDER BY at"

FINAL = f"""
SELECT c.line, coalesce(c.contact_id, c.made) AS contact_id, c.contact_id IS NULL AS new, c.key_text,
       {", ".join("c." + name for name in STANDARD_FIELDS)}, coalesce(c.custom, '{{}}') AS custom, c.digest,
       c.created_at, coalesce(c.former_version + 1, 1) AS version,
       CASE WHEN c.met_email THEN 'unsubscribed' ELSE coalesce(c.email_before, (SELECT consent FROM birth)) END
            AS email_consent,
       CASE WHEN c.met_sms THEN 'unsubscribed' ELSE coalesce(c.sms_before, (SELECT consent FROM birth)) END AS sms_consent,
       c.email_key, c.mobile_key, c.fkey_hash,
       CASE WHEN c.line IS NULL THEN 'removed'
            WHEN c.met_email OR c.met_sms OR (c.contact_id IS NOT NULL AND 'unsubscribed' IN (c.email_before, c.sms_before))
            THEN 'protected' WHEN c.contact_id IS NULL THEN 'created' ELSE 'updated' END AS action
  FROM changes c
"""
COUNTS = f"SELECT action, count(*) AS many FROM ({FINAL}) f GROUP BY action"

_CONSENTS = ("email_consent", "sms_consent")


def _facts(names: Sequence[str], side: str, other: str | None = None) -> str:
    """The fields of one side as JSON, those that differ from the other, custom ones too; without another, all that have
    a value."""
    if other is None:
        pairs = [f"'{name}', {side}.{name}" for name in names]
        return f"""jsonb_strip_nulls(jsonb_build_object({", ".join(pairs)}, 'custom', nullif({side}.custom, '{{}}')))"""
    # Put together as text: of sixteen fields few differ, and an object of all would be built to be stripped.
    members = [
        f"""CASE WHEN {side}.{name} IS DISTINCT FROM {other}.{name} THEN '"{name}":' || to_json({side}.{name})::text END"""
        for name in names
    ]
    members.append(f"""CASE WHEN {side}.custom <> {other}.custom THEN '"custom":' || (
        SELECT jsonb_object_agg(e.key, e.value)::text FROM jsonb_each({side}.custom) e
         WHERE ({other}.custom -> e.key) IS DISTINCT FROM e.value) END""")
    return f"('{{' || concat_ws(',', {', '.join(members)}) || '}}')::jsonb"


def after_of(row: str) -> str:
    """What of a contact a row of plan_rows wrote, as JSON; NULL where it removed it, or nothing is known any more."""
    return f"coalesce({row}.after, jsonb_strip_nulls(to_jsonb({row}.made)))"


KNOWN = "SELECT count(contact_id) FROM changes"
_ONLY = "AND {}.id = ANY(ARRAY(SELECT contact_id FROM changes WHERE line IS {}))"
"""Said where a plan writes few known contacts. The planner does not know how few: it would read the whole list's index for
a hundredth of it, or take a list that was loaded a moment ago for a few rows."""


def plan_rows(options: Options, *, few: bool = False) -> str:
    """The statement that stores what is not unchanged. $1 account, $2 import, $3 whether it is being applied."""
    only, only_removed = (_ONLY.format("o", "NOT NULL"), _ONLY.format("o", "NULL")) if few else ("", "")
    written = (*options.standard, *_CONSENTS)
    whole = (*STANDARD_FIELDS, *_CONSENTS)
    made = [*STANDARD_FIELDS, "custom", *_CONSENTS]
    return f"""
INSERT INTO plan_rows (account_id, import_id, action, contact_id, line, made, before, after, applied)
SELECT $1::uuid, $2::uuid, f.action, f.contact_id, f.line,
       ROW({", ".join(f"nullif(f.{name}, '{{}}')" if name == "custom" else f"f.{name}" for name in made)})::contact_facts,
       NULL, NULL, $3::boolean
  FROM ({FINAL}) f WHERE f.new AND f.line IS NOT NULL
UNION ALL
SELECT $1::uuid, $2::uuid, f.action, f.contact_id, f.line, NULL, {_facts(written, "o", "f")}, {_facts(written, "f", "o")},
       $3::boolean
  FROM ({FINAL}) f JOIN contacts o ON o.account_id = $1 AND o.id = f.contact_id
 WHERE NOT f.new AND f.action <> 'removed' {only}
UNION ALL
SELECT $1::uuid, $2::uuid, f.action, f.contact_id, NULL, NULL,
       {_facts(whole, "o")} || jsonb_build_object('created_at', o.created_at, 'version', o.version), NULL, $3::boolean
  FROM ({FINAL}) f JOIN contacts o ON o.account_id = $1 AND o.id = f.contact_id WHERE f.action = 'removed' {only_removed}
"""


_SET = (*STANDARD_FIELDS, "custom", "email_consent", "sms_consent", "email_key", "mobile_key", "fkey_hash")
INSERT_NEW = f"""
INSERT INTO contacts (account_id, list_id, id, key_text, {", ".join(_SET)}, line_digest, line_version, created_at,
                      changed_at, version)
SELECT $1, $2, f.contact_id, f.key_text, {", ".join("f." + name for name in _SET)}, f.digest, f.version,
       coalesce(f.created_at, $3), $3, f.version
  FROM ({FINAL}) f WHERE f.new AND f.line IS NOT NULL
"""


def update_changed(*, few: bool) -> str:
    """$1 account, $2 now. Who was updated is kept: to look for them again among all contacts would take longer."""
    return f"""
WITH done AS (
UPDATE contacts t SET {", ".join(f"{name} = f.{name}" for name in _SET)}, line_digest = f.digest,
       line_version = t.version + 1, changed_at = $2, version = t.version + 1
  FROM ({FINAL}) f
 WHERE t.account_id = $1 AND t.id = f.contact_id AND NOT f.new AND f.action <> 'removed'
   AND ({", ".join("t." + name for name in _SET)}) IS DISTINCT FROM ({", ".join("f." + name for name in _SET)})
   {_ONLY.format("t", "NOT NULL") if few else ""}
RETURNING t.id, t.email_key, t.mobile_key, t.email_consent, t.sms_consent, t.version
)
INSERT INTO rewritten SELECT * FROM done
"""


DELETE_REMOVED = """
DELETE FROM contacts t USING changes c WHERE c.line IS NULL AND t.account_id = $1 AND t.id = c.contact_id
"""


REMOVE = """
INSERT INTO changes (contact_id, rekeyed) SELECT contact_id, false FROM unmatched WHERE line IS NULL
"""


def difference(options: Options, *, known: bool) -> str:
    """The statement that fills `changes` from unmatched rows. $1 account; $2 those of its custom fields that an
    empty cell clears, where there are any. `known`: some of the rows name contacts that the list has."""
    after = {name: _overlaid(name, options) for name in STANDARD_FIELDS}
    custom = _custom(options)
    differs = [f"{after[name]} IS DISTINCT FROM c.{name}" for name in options.standard]
    if options.custom:
        differs.append(f"{custom} IS DISTINCT FROM c.custom")
    rekeyed = [f"{after[name]} IS DISTINCT FROM c.{name}" for name in options.standard if name in _ADDRESSES]
    out = "c.email_consent = 'unsubscribed' OR c.sms_consent = 'unsubscribed'"
    written = f"({' OR '.join([out, *differs])})"
    written = f"c.id IS NOT NULL AND {written}" if options.mode == "update" else f"c.id IS NULL OR {written}"
    of_account = "account_id = $1" if known else "account_id = $1 AND false"
    return f"""
INSERT INTO changes (line, contact_id, key_text, {", ".join(STANDARD_FIELDS)}, custom, digest, email_before, sms_before,
                     email_key, mobile_key, fkey_hash, rekeyed)
SELECT s.line, c.id, s.key_text, {", ".join(after[name] for name in STANDARD_FIELDS)}, {custom}, s.digest,
       c.email_consent, c.sms_consent, c.email_key, c.mobile_key, c.fkey_hash,
       c.id IS NULL OR {" OR ".join(rekeyed) or "false"}
  FROM staged s JOIN unmatched u ON u.line = s.line
       LEFT JOIN (SELECT * FROM contacts WHERE {of_account}) c ON c.id = u.contact_id
 WHERE {written}
"""


def _overlaid(name: str, options: Options) -> str:
    """domain.plans.overlaid for one field."""
    if name not in options.standard:
        return f"c.{name}"
    cell = f"s.{name}" if options.erases(name) else f"coalesce(s.{name}, c.{name})"
    return _unless_known(cell, f"c.{name}", options)


def _custom(options: Options) -> str:
    if not options.custom:
        return "coalesce(c.custom, '{}')"
    kept = "coalesce(c.custom, '{}')" + (" - $2::text[]" if erased_custom(options) else "")
    return _unless_known(f"({kept} || coalesce(s.custom, '{{}}'))", "c.custom", options)


def erased_custom(options: Options) -> list[str]:
    """The file's custom fields that an empty cell clears."""
    return [name for name in options.fields if name not in STANDARD_FIELDS and options.erases(name)]


def _unless_known(cell: str, value: str, options: Options) -> str:
    return f"CASE WHEN c.id IS NULL THEN {cell} ELSE {value} END" if options.mode == "add" else cell
