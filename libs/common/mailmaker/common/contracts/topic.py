"""common.contracts.topic: the roads, declared once; AsyncAPI, manifests and docs are made from here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. `key` says in words what orders it; `retention` None means compacted."""

    name: str
    owner: str
    key: str
    retention: timedelta | None
    doc: str
    partitions: int = 12


ACCOUNTS = Topic(
    "accounts.v1",
    "contacts",
    "account",
    None,
    "Account opened, changed or closed; API key issued or revoked (hash and scopes only).",
)
CONTACTS = Topic(
    "contacts.v1",
    "contacts",
    "account, list",
    timedelta(days=7),
    "List changed; contacts changed, removed or erased (chunks); import planned, quarantined, applied or undone.",
)
IMPORTS = Topic(
    "imports.v1", "ingest", "list", timedelta(days=7), "Import staged (reference and counts) or cancelled."
)
MAILINGS = Topic(
    "mailings.v1",
    "dispatch",
    "mailing",
    timedelta(days=30),
    "Mailing started, paused, resumed, cancelled or finished, with counts.",
)
DELIVERIES = Topic(
    "deliveries.v1",
    "dispatch",
    "account, address key",
    timedelta(days=7),
    "Outcomes recorded, opens and clicks (chunks); suppression enforced.",
)
SUPPRESSIONS = Topic(
    "suppressions.v1",
    "suppression",
    "account, suppression key",
    None,
    "Address suppressed or released: the current state of each key; keys, never addresses.",
)
COMPLAINTS = Topic(
    "complaints.v1",
    "fbl",
    "account, address key",
    timedelta(days=90),
    "Complaint or bounce received; opt-out requested by mail; report unattributed.",
)

TOPICS: tuple[Topic, ...] = (ACCOUNTS, CONTACTS, IMPORTS, MAILINGS, DELIVERIES, SUPPRESSIONS, COMPLAINTS)
