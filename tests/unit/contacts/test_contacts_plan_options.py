"""unit: a plan's options are read as they were kept, and the previous release reads what this one keeps."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from uuid import uuid4

from mailmaker.common.contracts.contacts import ContactChange
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.plans import Basis, Limits, Options
from mailmaker.contacts.storage import told_sql
from mailmaker.contacts.storage.plans import options_texts, plan_of

PLAN = {"account_id": uuid4(), "import_id": uuid4(), "list_id": uuid4(), "state": "staged"}
OPTIONS = Options(
    mode="full",
    fields=("email", "name"),
    empty_cells="keep",
    consent=Consent.PENDING,
    rows=3,
    rejected=1,
    duplicate=0,
    staged=2,
    apply="auto",
    empty_by_field={"name": "erase"},
    limits=Limits(20.0, None, 5.0, of_contacts=10, key_changed=False),
    findings=(("file.row_count", "3 rows where 4 were announced"),),
    received_at=datetime(2026, 11, 25, 9, 30, tzinfo=UTC),
    sent_by=uuid4(),
    basis=Basis("They consented again.", datetime(2026, 10, 1, tzinfo=UTC)),
    key_column="E-Mail",
    profile_id=uuid4(),
)


def test_options_are_read_as_they_were_kept() -> None:
    options, more = options_texts(OPTIONS)
    row = {**PLAN, "options": options, "more_options": more, "counts": None, "applied": None}
    assert plan_of(row).options == OPTIONS


def test_the_previous_release_knows_all_that_stands_where_it_reads() -> None:
    found = json.loads(options_texts(OPTIONS)[0])
    assert set(found["limits"]) == {"removed", "dropped", "rejected"}
    assert not {"key_column", "profile_id"} & set(found)
    # What it has kept itself has no more than that.
    row = {**PLAN, "options": json.dumps(found), "more_options": "{}", "counts": None, "applied": None}
    options = plan_of(row).options
    assert (options.limits, options.key_column, options.profile_id) == (Limits(20.0, None, 5.0), None, None)


def test_what_postgresql_tells_of_a_contact_has_every_field_of_the_contract() -> None:
    assert re.findall(r'"(\w+)":', told_sql._change("id")) == list(ContactChange.model_fields)
