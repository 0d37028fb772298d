"""bench.segments: counts with samples over a list of a million contacts, through the door, rule by rule."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.stage import raised

from bench.figures import Ratio, Spread

GOAL = "p95 under 1 s"
FIELDS = [
    {"name": "points", "type": "number"},
    {"name": "tier", "type": "enum", "values": ["gold", "silver", "bronze"]},
    {"name": "expires", "type": "date"},
]
# The list is made where it is kept: what is measured is asking, not importing.
LOAD = """
INSERT INTO contacts.contacts (account_id, list_id, id, key_text, email, mobile, name, surname, sex, birth_date, province,
    region, city, postal_code, country, language, custom, email_consent, sms_consent, email_key, created_at, changed_at,
    version)
SELECT $1, $2, gen_random_uuid(), e, e, CASE WHEN i % 3 = 0 THEN '+39333' || lpad(i::text, 7, '0') END,
       (ARRAY['Mario', 'Niccolò', 'Anna', 'Lucia', 'Giulia', 'Zoë', 'Luca', 'Paolo'])[1 + i % 8], 'Rossi ' || i % 5000,
       (ARRAY['M', 'F', 'X', NULL])[1 + i % 4],
       CASE WHEN i % 9 > 0 THEN date '1940-01-01' + (i::bigint * 7919 % 24000)::int END,
       (ARRAY['MI', 'RM', 'NA', 'FC'])[1 + i % 4], (ARRAY['Lombardia', 'Lazio', 'Campania', 'Emilia-Romagna'])[1 + i % 4],
       (ARRAY['Milano', 'Roma', 'Napoli', 'Forlì'])[1 + i % 4], lpad((i % 99999)::text, 5, '0'), 'IT', 'it',
       CASE WHEN i % 2 = 0 THEN jsonb_build_object('points', i % 5000,
            'tier', (ARRAY['gold', 'silver', 'bronze'])[1 + i % 3], 'expires', (current_date + i % 700)::text) ELSE '{}' END,
       CASE WHEN i % 20 = 0 THEN 'unsubscribed' ELSE 'subscribed' END, 'subscribed', sha256(e::bytea),
       now() - i % 1500 * interval '1 day', now() - i % 90 * interval '1 day', 1
  FROM (SELECT i, 'person' || i || '@example' || i % 50 || '.it' AS e FROM generate_series(1, $3::int) i) p
"""
REACH = """
INSERT INTO contacts.engagement (account_id, contact_id, delivered_at, clicked_at)
SELECT account_id, id, now() - (n % 60) * interval '1 day', CASE WHEN n % 7 = 0 THEN now() - (n % 90) * interval '1 day' END
  FROM (SELECT account_id, id, row_number() OVER () AS n FROM contacts.contacts WHERE account_id = $1 AND list_id = $2) c
 WHERE n % 10 < 7
"""


def _is(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


RULES: dict[str, dict[str, Any]] = {
    "everybody": {"all": []},
    "women of two regions, by age": {
        "all": [
            _is("sex", "eq", "F"),
            _is("region", "in", ["Lazio", "Campania"]),
            _is("birth_date", "between", ["1970-01-01", "1990-12-31"]),
        ]
    },
    "one in a million": _is("email", "eq", "PERSON777@example27.it"),
    "a city, case and accents aside": _is("city", "contains", "FORLI"),
    "a name, case and accents aside": _is("name", "starts_with", "nicc"),
    "a mail domain": _is("email", "ends_with", "@example7.it"),
    "birthday in the next 7 days": _is("birth_date", "anniversary_in_next_days", 7),
    "new in 30 days and subscribed": {
        "all": [_is("created_at", "in_last_days", 30), _is("email_consent", "eq", "subscribed")]
    },
    "custom fields": {
        "all": [
            _is("custom.points", "gt", 2500),
            _is("custom.tier", "in", ["gold", "silver"]),
            _is("custom.expires", "in_next_days", 60),
        ]
    },
    "a set of 1,000": _is("postal_code", "in", [f"{n:05}" for n in range(0, 5000, 5)]),
    "delivered, not clicked": {
        "all": [_is("delivered", "in_last_days", 30), {"not": _is("clicked", "in_last_days", 30)}]
    },
    "any of unlike things": {
        "any": [
            _is("clicked", "in_last_days", 7),
            {"field": "mobile", "op": "is_empty"},
            {"not": _is("region", "eq", "Lazio")},
        ]
    },
}


async def measure(folder: Path, rows: int, repeat: int) -> list[Ratio | Spread]:
    """Asks every rule `repeat` times, one after the other, as a person who edits a segment does."""
    took: dict[str, list[float]] = {name: [] for name in RULES}
    async with raised(folder / "stage", keep_bytes="sample:1000") as stage:
        dev = stage.dev
        async with Client(dev["base_url"], dev["account_key"]) as client:
            list_id = await client.open_list("bench", "email")
        await _fill(dev["database_url"], UUID(dev["account_id"]), UUID(list_id), rows)
        headers = {"Authorization": f"Bearer {dev['account_key']}"}
        async with httpx.AsyncClient(
            base_url=dev["base_url"], headers=headers, timeout=60, trust_env=False
        ) as http:
            (await http.put(f"/v1/lists/{list_id}/fields", json={"fields": FIELDS})).raise_for_status()
            for _ in range(repeat):
                for name, rule in RULES.items():
                    began = time.perf_counter()
                    answer = await http.post(f"/v1/lists/{list_id}/segments:count", json={"rule": rule})
                    took[name].append(time.perf_counter() - began)
                    answer.raise_for_status()
                    if answer.json()["count"] == 0:
                        raise RuntimeError(f"nobody is meant by {name!r}")
    return [Spread(f"count and sample of a segment, {rows} contacts", "s", took, GOAL)]


async def _fill(url: str, account_id: UUID, list_id: UUID, rows: int) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(LOAD, account_id, list_id, rows, timeout=900)
        await conn.execute(REACH, account_id, list_id, timeout=900)
        await conn.execute("VACUUM ANALYZE contacts.contacts, contacts.engagement", timeout=900)
    finally:
        await conn.close()
