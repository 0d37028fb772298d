"""The judge itself: each kind of broken promise is seen, and nothing else is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from mailmaker.common.testing.checker import (
    Told,
    duplicates,
    judge,
    lost_nos,
    mailing_number,
    percentile,
    unbalanced,
    violations,
)
from mailmaker.common.testing.ledger import Seen

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAILINGS = {7: "seven", 8: "eight"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def nanoseconds(seconds: float) -> int:
    return int(START.timestamp()) * 1_000_000_000 + int(seconds * 1_000_000) * 1000


def token(mailing: int) -> str:
    raw = b"\x01" + (3).to_bytes(4, "big") + mailing.to_bytes(4, "big") + bytes(26)
    return base64.b32encode(raw).decode().lower()


def seen(address: str, begun: float, *, mailing: int = 7, accepted: bool = True) -> Seen:
    utc = nanoseconds(begun)
    ended = utc + 1_000_000 if accepted else None
    text = token(mailing)
    return Seen(1, 1, utc, utc, ended, ended, "b+x@d", (address,), f"<{text}@d>", text, "", 1, None)


def no(address: str, enforced: float | None, *in_flight: str, answered: bool = True) -> Told:
    return Told(
        address,
        "link",
        at(0),
        at(0.1) if answered else None,
        "id",
        at(0.1),
        None if enforced is None else at(enforced),
        frozenset(in_flight),
    )


def test_a_send_begun_after_enforced_is_a_violation_in_any_spelling() -> None:
    broken, named = violations([seen("Ada@example.com", 2.0)], [no("ada@example.com", 1.0)], MAILINGS)
    assert [(one.address, one.mailing, one.late_by) for one in broken] == [("Ada@example.com", "seven", 1.0)]
    assert named == 0


def test_a_begun_send_counts_although_its_connection_broke() -> None:
    assert violations([seen("a@x.it", 2.0, accepted=False)], [no("a@x.it", 1.0)], MAILINGS)[0]


def test_sends_before_enforced_and_of_others_are_lawful() -> None:
    ledger = [seen("a@x.it", 0.9), seen("a@x.it", 1.0, mailing=8), seen("b@x.it", 5.0)]
    assert violations(ledger, [no("a@x.it", 1.0), no("b@x.it", None)], MAILINGS) == ([], 0)


def test_one_naming_in_flight_pardons_one_send_of_that_mailing() -> None:
    ledger = [seen("a@x.it", 2.0), seen("a@x.it", 2.1), seen("a@x.it", 2.2, mailing=8)]
    broken, named = violations(ledger, [no("a@x.it", 1.0, "seven")], MAILINGS)
    assert named == 1
    assert [one.mailing for one in broken] == ["seven", "eight"]


def test_the_first_enforcement_of_an_address_counts() -> None:
    assert violations([seen("a@x.it", 2.0)], [no("a@x.it", 3.0), no("a@x.it", 1.0)], MAILINGS)[0]


def test_duplicates_are_accepted_twice_in_one_mailing() -> None:
    ledger = [seen("a@x.it", 1), seen("A@x.it", 2), seen("a@x.it", 3, mailing=8)]
    ledger += [seen("b@x.it", 1, accepted=False), seen("b@x.it", 2)]
    assert duplicates(ledger, MAILINGS) == [("seven", "a@x.it")]


def test_lost_and_unsaid_mails() -> None:
    verdict = judge(
        [seen("a@x.it", 1), seen("c@x.it", 1), seen("d@x.it", 1)],
        [],
        MAILINGS,
        delivered=[("seven", "a@x.it"), ("seven", "b@x.it")],
        may_have_arrived=[("seven", "d@x.it")],
    )
    assert verdict.lost_mails == (("seven", "b@x.it"),)
    assert verdict.unsaid_mails == (("seven", "c@x.it"),)
    assert not verdict.kept
    assert "lost mails 1" in str(verdict)


def test_only_an_acknowledged_no_can_be_lost() -> None:
    acknowledged = no("a@x.it", None)
    assert lost_nos([acknowledged, no("b@x.it", None, answered=False), no("c@x.it", 1.0)]) == [acknowledged]


def test_a_kept_promise() -> None:
    verdict = judge([seen("a@x.it", 0.5)], [no("a@x.it", 1.0)], MAILINGS, delivered=[("seven", "a@x.it")])
    assert verdict.kept
    assert verdict.latency(0.99) == 0.9


def test_sums_numbers_and_percentiles() -> None:
    assert unbalanced({"planned": 10, "delivered": 7, "suppressed": 3}) == 0
    assert unbalanced({"planned": 10, "delivered": 7, "suppressed": 2}) == 1
    assert mailing_number(token(8).upper()) == 8
    assert mailing_number("not a token!") == -1
    assert [percentile([1.0, 2.0, 3.0, 4.0], q) for q in (0.5, 0.99, 1)] == [2.0, 4.0, 4.0]
    assert percentile([], 0.99) == 0.0
