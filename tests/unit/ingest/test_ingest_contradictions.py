"""unit: options that do not go together are named, each by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from mailmaker.ingest.domain.options import Options, consented_after, contradictions

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
    ("consented_at", "after"),
    [(None, False), ("2026-10-01T09:00:00Z", False), ("2026-10-01T11:00:01+02:00", True)],
)
def test_a_consent_is_older_than_the_file_that_tells_of_it(consented_at: str | None, after: bool) -> None:
    basis = {**BASIS, "consented_at": consented_at}
    of = Options.from_json({"list": LIST, "mode": "update", "lawful_basis": basis})
    assert consented_after(of, datetime(2026, 10, 1, 9, tzinfo=UTC)) is after
