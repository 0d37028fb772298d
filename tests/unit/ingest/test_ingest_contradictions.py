"""unit: options that do not go together are named, each by itself; what guards a file for which nobody says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from mailmaker.ingest.domain.options import Guards, Options, completed, consented_after, contradictions

LIST = "0198c5a0-0000-7000-8000-000000000001"
BASIS = {"text": "They consented again in our shop."}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"mode": "incremental"}, []),
        ({"mode": "opt_out", "scope": "account", "channel": "sms"}, []),
        ({"mode": "full", "scope": "account", "channel": "sms"}, ["scope", "channel"]),
        ({"mode": "opt_out", "protect_cancellations": False}, ["protect_cancellations"]),
        ({"mode": "opt_out", "split_name": {"column": "x"}}, ["split_name"]),
        ({"mode": "update", "protect_cancellations": False}, ["lawful_basis"]),
        ({"mode": "update", "protect_cancellations": False, "lawful_basis": BASIS}, []),
        ({"mode": "update", "lawful_basis": BASIS}, ["lawful_basis"]),
    ],
)
def test_each_is_named(said: dict[str, Any], names: list[str]) -> None:
    of = Options.from_json({"list": LIST, **said})
    assert [name for name, _, _ in contradictions(of)] == names
    assert Options.from_json(of.as_json()) == of


@pytest.mark.parametrize(
    ("mode", "said", "guards"),
    [
        ("incremental", None, None),
        ("full", None, Guards(20, min_contacts=10)),
        ("full", {}, Guards(20, min_contacts=10)),
        ("full", {"max_rejected_percent": 5}, Guards(20, max_rejected_percent=5, min_contacts=10)),
        ("full", {"min_contacts": 500}, Guards(20, min_contacts=500)),
        ("full", {"max_removed_percent": 3}, Guards(3)),
        ("full", {"max_removed_percent": None}, Guards()),
        ("update", {"key_changed": False}, Guards(key_changed=False)),
    ],
)
def test_a_full_file_is_guarded_unless_somebody_says_null(
    mode: str, said: dict[str, Any] | None, guards: Guards | None
) -> None:
    of = Options.from_json({"list": LIST, "mode": mode, "guards": said})
    assert of.guards == guards
    # Also as it was kept, and where a profile says it.
    assert Options.from_json(of.as_json()) == of
    assert completed({"list": LIST}, {"mode": mode, "guards": said}).guards == guards
    assert completed({"list": LIST, "mode": mode}, {"mode": "incremental", "guards": said}).guards == guards


@pytest.mark.parametrize(
    ("consented_at", "after"),
    [(None, False), ("2026-10-01T09:00:00Z", False), ("2026-10-01T11:00:01+02:00", True)],
)
def test_a_consent_is_older_than_the_file_that_tells_of_it(consented_at: str | None, after: bool) -> None:
    basis = {**BASIS, "consented_at": consented_at}
    of = Options.from_json({"list": LIST, "mode": "update", "lawful_basis": basis})
    assert consented_after(of, datetime(2026, 10, 1, 9, tzinfo=UTC)) is after
