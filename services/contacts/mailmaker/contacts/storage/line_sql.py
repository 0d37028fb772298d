"""contacts.storage.line_sql: a file that was told by its lines against a list, before any of it is read.

`lines` has number and digest of each line. `loose` are the lines that no contact of the list carries, and for a full import
the contacts that no line names so. Of these lines ingest makes an outline and staged rows, as of a file that has no others;
plan_sql goes on with them.
"""

from __future__ import annotations

from mailmaker.contacts.storage.plan_sql import STANDS

COLUMNS = ("line", "digest")
PREPARE = (
    "CREATE TEMP TABLE lines (line int, digest uuid) ON COMMIT DROP",
    "CREATE TEMP TABLE loose (line int, contact_id uuid, key_text text) ON COMMIT DROP",
    "SET LOCAL plan_cache_mode = force_custom_plan",
)
PATIENCE = "SELECT current_setting('idle_in_transaction_session_timeout')"
SET_PATIENCE = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)"
LOOSE = f"""
INSERT INTO loose (line)
SELECT l.line FROM lines l
 WHERE NOT EXISTS (
       SELECT FROM contacts c WHERE c.account_id = $1 AND c.list_id = $2 AND c.line_digest = l.digest AND {STANDS})
"""
LOOSE_EITHER = f"""
INSERT INTO loose
SELECT l.line, c.id, c.key_text
  FROM lines l FULL JOIN (SELECT c.id, c.key_text, CASE WHEN {STANDS} THEN c.line_digest END AS digest
                            FROM contacts c WHERE c.account_id = $1 AND c.list_id = $2) c ON c.digest = l.digest
 WHERE l.line IS NULL OR c.id IS NULL
"""
"""Both: $1 account, $2 list."""
MANY = "SELECT count(line) FROM loose"
WANTED = "SELECT array_agg(line ORDER BY line) FROM loose WHERE line IS NOT NULL"
ODD = "INSERT INTO odd SELECT line, at, key_text FROM outline WHERE line > 0"
# As plan_sql.UNMATCHED_EITHER, of the contacts that are loose.
UNMATCHED_EITHER = """
INSERT INTO unmatched
SELECT o.line, o.at, c.contact_id
  FROM outline o FULL JOIN (SELECT contact_id, key_text FROM loose WHERE contact_id IS NOT NULL) c ON c.key_text = o.key_text
 WHERE o.line IS NULL OR o.line > 0
"""
NAMED = f"""
SELECT array_agg(c.line_digest) FROM contacts c
 WHERE c.account_id = $1 AND c.list_id = $2 AND c.key_text = ANY (ARRAY(SELECT key_text FROM outline WHERE line > 0))
   AND {STANDS}
"""
"""$1 account, $2 list."""
# A list of constants is hashed, and the lines are read once; a join of the two looped over all lines for each contact.
DOUBLED = "SELECT count(*) > 0 FROM lines WHERE digest = ANY($1::uuid[])"
"""Whether a line that was read has the key of one that was not: which of the two comes first decides, and the other is told
as a duplicate; so the file is read whole. $1 the digests that are NAMED."""
AGAIN = "TRUNCATE outline, odd, unmatched, loose"
FEW = ("SET LOCAL enable_nestloop = on", "ANALYZE outline", "ANALYZE odd")
LEARN = """
UPDATE contacts c SET line_digest = s.digest, line_version = c.version
  FROM staged s JOIN unmatched u ON u.line = s.line
 WHERE c.account_id = $1 AND c.id = u.contact_id AND s.digest IS NOT NULL
   AND NOT EXISTS (SELECT FROM changes x WHERE x.contact_id = c.id)
"""
"""Who already is as their line says is known by it from now on. $1 account."""
