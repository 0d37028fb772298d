"""contacts.storage.told_sql: what other houses are told of a plan that was written, put into JSON where it stands."""

from __future__ import annotations

from mailmaker.contacts.storage.plan_sql import FINAL


def _change(contact_id: str) -> str:
    """A ContactChange as JSON: ids, hexadecimal digits, words of ours and a number, in which nothing is to be escaped."""
    keys = ", ".join(
        f"""',"{name}":', coalesce('"' || encode({name}, 'hex') || '"', 'null')"""
        for name in ("email_key", "mobile_key")
    )
    return f"""concat('{{"contact_id":"', {contact_id}, '"', {keys}, ',"email_consent":"', email_consent,
            '","sms_consent":"', sms_consent, '","version":', version, '}}')"""


WRITTEN = f"""
SELECT {_change("contact_id")} FROM ({FINAL}) f WHERE new AND line IS NOT NULL
UNION ALL
SELECT {_change("id")} FROM rewritten
"""
REMOVED = "SELECT contact_id AS id FROM changes WHERE line IS NULL"
