"""unit: what a row of a file is, and that the counts sum to the rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.guards import Guarded, Known, guard, still_guarded, unlike_shown
from mailmaker.contacts.domain.plans import (
    Action,
    Before,
    Counts,
    Limits,
    Options,
    classify,
    consent_after,
    counted,
    overlaid,
)

consents = st.sampled_from(Consent)
cells = st.none() | st.sampled_from(["a", "b"])
rows = st.fixed_dictionaries({"name": cells, "city": cells})


def options(**more: object) -> Options:
    given_: dict[str, object] = {
        "mode": "incremental",
        "fields": ("email", "name", "city"),
        "empty_cells": "keep",
        "consent": Consent.SUBSCRIBED,
        "rows": 10,
        "rejected": 0,
        "duplicate": 0,
        "staged": 10,
        "apply": "auto",
        **more,
    }
    return Options(**given_)  # type: ignore[arg-type]


@given(
    before=st.none() | st.builds(Before, rows, consents, consents),
    row=rows,
    met=st.booleans(),
    empty=st.sampled_from(["keep", "erase"]),
    mode=st.sampled_from(["incremental", "add", "update", "full"]),
)
def test_every_row_is_exactly_one_thing(
    before: Before | None, row: dict[str, str | None], met: bool, empty: str, mode: str
) -> None:
    asked = options(empty_cells=empty, fields=("name", "city"), mode=mode)
    action = classify(before, row, asked, meets_a_no=met)
    if before is None and mode == "update":
        assert action is None
    elif before is None:
        assert action is (Action.PROTECTED if met else Action.CREATED)
    elif met or Consent.UNSUBSCRIBED in (before.email_consent, before.sms_consent):
        assert action is Action.PROTECTED
    else:
        changed = overlaid(before.values, row, asked) != dict(before.values)
        assert action is (Action.UPDATED if changed and mode != "add" else None)


@given(before=st.none() | consents, wished=consents, met=st.booleans())
def test_an_import_never_raises_a_consent(before: Consent | None, wished: Consent, met: bool) -> None:
    after = consent_after(before, options(consent=wished), meets_a_no=met)
    if before is not None:
        assert after in (before, Consent.UNSUBSCRIBED)
    if met or before is Consent.UNSUBSCRIBED:
        assert after is Consent.UNSUBSCRIBED


def test_an_empty_cell_keeps_or_erases_as_asked_and_no_column_stays() -> None:
    before = {"name": "Anna", "city": "Roma", "sex": "F"}
    row = {"name": None, "city": "Bari", "sex": "M"}
    assert overlaid(before, row, options()) == {"name": "Anna", "city": "Bari", "sex": "F"}
    assert overlaid(before, row, options(empty_cells="erase")) == {
        "name": None,
        "city": "Bari",
        "sex": "F",
        "email": None,
    }


kinds = st.lists(st.sampled_from(["created", "updated", "protected", "unchanged"]), max_size=60)


@given(staged=kinds, rejected=st.integers(0, 9), duplicate=st.integers(0, 9), removed=st.integers(0, 9))
def test_the_counts_of_a_plan_sum_to_the_rows(
    staged: list[str], rejected: int, duplicate: int, removed: int
) -> None:
    asked = options(
        rows=len(staged) + rejected + duplicate, rejected=rejected, duplicate=duplicate, staged=len(staged)
    )
    counts = counted(
        asked,
        received=len(staged),
        created=staged.count("created"),
        updated=staged.count("updated"),
        protected=staged.count("protected"),
        removed=removed,
    )
    assert counts.adds_up
    assert counts.unchanged == staged.count("unchanged")
    assert guard(counts, asked, Known(contacts=5)) is None


def test_rows_lost_on_the_way_are_no_plan() -> None:
    found = guard(Counts(rows=10, created=8), options(), Known())
    assert found is not None
    assert (found.state, found.code) == ("failed", "plan.broken")


def test_a_full_file_without_a_good_row_does_not_empty_a_list() -> None:
    found = guard(Counts(rows=3, rejected=3, removed=5), options(mode="full", rows=3), Known(contacts=5))
    assert found is not None
    assert found.state == "quarantined"


GUARDED = [
    ("removed", 10, {"removed": 11}, Known(contacts=100), "guard.removed"),
    ("removed", 10, {"removed": 10}, Known(contacts=100), None),
    ("removed", 0, {"removed": 1}, Known(contacts=100), "guard.removed"),
    ("dropped", 20, {}, Known(last_rows=13), "guard.dropped"),
    ("dropped", 20, {}, Known(last_rows=12), None),
    ("dropped", 20, {}, Known(last_rows=None), None),
    ("rejected", 50, {"rejected": 6, "unchanged": 4}, Known(), "guard.rejected"),
    ("rejected", 50, {"rejected": 5, "unchanged": 5}, Known(), None),
]


@pytest.mark.parametrize(("limit", "percent", "counted", "known", "code"), GUARDED)
def test_a_plan_above_a_limit_waits(
    limit: str, percent: float, counted: dict[str, int], known: Known, code: str | None
) -> None:
    counts = Counts(rows=10, **{"unchanged": 10, **counted})
    found = guard(counts, options(limits=Limits(**{limit: percent})), known)
    assert (found and (found.state, found.code)) == (code and ("quarantined", code))


def test_a_limit_may_be_meant_for_larger_lists_only() -> None:
    asked = options(limits=Limits(removed=20, of_contacts=10))
    counts = Counts(rows=10, unchanged=10, removed=5)
    assert guard(counts, asked, Known(contacts=9)) is None
    found = guard(counts, asked, Known(contacts=10))
    assert found is not None
    assert (found.code, found.detail) == (
        "guard.removed",
        "5 of 10 contacts would be removed: more than 20 %",
    )


@pytest.mark.parametrize(
    ("now", "before", "guarded", "waits"),
    [
        ("customer_id", "crm_code", True, True),
        ("customer_id", "crm_code", False, False),
        ("E-Mail ", "email", True, False),
        ("#", "§", True, True),
        ("email", None, True, False),
        (None, "email", True, False),
    ],
)
def test_a_file_whose_key_comes_from_another_column_waits(
    now: str | None, before: str | None, guarded: bool, waits: bool
) -> None:
    asked = options(key_column=now, limits=Limits(key_changed=guarded))
    found = guard(Counts(rows=10, created=10), asked, Known(last_key_column=before))
    assert (found is not None) == waits
    if found is not None:
        assert (found.state, found.code) == ("quarantined", "guard.key_changed")
        assert repr(now) in found.detail
        assert repr(before) in found.detail


def test_an_approved_plan_waits_again_when_rows_are_not_as_shown() -> None:
    assert unlike_shown(0) is None
    found = unlike_shown(3)
    assert found is not None
    assert (found.state, found.code, found.detail[-3:]) == ("quarantined", "plan.changed", ": 3")


def test_a_strange_file_waits_with_the_first_finding() -> None:
    found = guard(
        Counts(rows=1, unchanged=1),
        options(findings=(("encoding.mojibake", "40 cells"), ("file.row_count", "one"))),
        Known(),
    )
    assert found == Guarded("quarantined", "encoding.mojibake", "40 cells")


def test_what_was_approved_covers_nothing_that_nobody_saw() -> None:
    known, asked = Known(contacts=10), options(limits=Limits(removed=20, rejected=50))
    seen = Counts(rows=9, unchanged=9, removed=3)
    assert guard(seen, asked, known) is not None
    assert still_guarded(seen, seen, asked, known) is None
    assert still_guarded(seen, Counts(rows=9, unchanged=9), asked, known) is None
    more = still_guarded(seen, Counts(rows=9, unchanged=9, removed=4), asked, known)
    assert more is not None
    assert (more.state, more.code) == ("quarantined", "guard.more_removed")
    harmless = Counts(rows=9, unchanged=9)
    trips = still_guarded(harmless, Counts(rows=9, unchanged=3, rejected=6), asked, known)
    assert trips is not None
    assert trips.code == "guard.rejected"
    lost = still_guarded(seen, Counts(rows=9, unchanged=8), asked, known)
    assert lost is not None
    assert lost.state == "failed"
