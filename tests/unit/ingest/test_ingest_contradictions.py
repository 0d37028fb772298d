"""unit: options that do not go together are named, each by itself."""

from __future__ import annotations

from typing import Any

import pytest
from mailmaker.ingest.domain.options import Options, contradictions

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
