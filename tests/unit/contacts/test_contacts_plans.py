"""unit: what a row of a file is, and that the counts sum to the rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.plans import (
    Action,
    Before,
    Counts,
    Options,
    classify,
    consent_after,
    counted,
    guard,
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
)
def test_every_row_is_exactly_one_thing(
    before: Before | None, row: dict[str, str | None], met: bool, empty: str
) -> None:
    asked = options(empty_cells=empty, fields=("name", "city"))
    action = classify(before, row, asked, meets_a_no=met)
    if before is None:
        assert action is (Action.PROTECTED if met else Action.CREATED)
    elif met or Consent.UNSUBSCRIBED in (before.email_consent, before.sms_consent):
        assert action is Action.PROTECTED
    else:
        changed = overlaid(before.values, row, asked) != dict(before.values)
        assert action is (Action.UPDATED if changed else None)


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
    assert guard(counts, asked, in_list=5) is None


def test_rows_lost_on_the_way_are_no_plan() -> None:
    found = guard(Counts(rows=10, created=8), options(), in_list=0)
    assert found is not None
    assert (found.state, found.code) == ("failed", "plan.broken")


def test_a_full_file_without_a_good_row_does_not_empty_a_list() -> None:
    found = guard(Counts(rows=3, rejected=3, removed=5), options(mode="full", rows=3), in_list=5)
    assert found is not None
    assert found.state == "quarantined"
