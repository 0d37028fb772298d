"""dispatch: the records of a sending domain, and what is made of those that are found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.storage.ids import NOBODY
from mailmaker.dispatch.domain.dns import judge, quoted_chunks, records_of, shown_keys, takes_over, verified
from mailmaker.dispatch.domain.sending import Domain, DomainKey

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = Domain(NOBODY, NOBODY, "shop.example", False, "mm1", "QUJD", None, NOW)
DOMAIN = replace(OLD, others=(DomainKey("mm1-ed25519", "ed25519", "RUQ=", "waiting", NOW),))
MAIL_DOMAIN = "mail.example"


def test_a_domain_is_verified_by_exactly_our_key() -> None:
    records = records_of(DOMAIN, MAIL_DOMAIN)
    dkim, second, dmarc = records
    assert verified(judge(records, {dkim.name: ["v=DKIM1; k=rsa; p=QU JD"]})), (
        "white space in p= does not count"
    )
    assert not verified(judge(records, {dkim.name: ["v=DKIM1; k=rsa; p=QUJE"]}))
    assert not verified(judge(records, {dkim.name: [dkim.value, dkim.value]})), "two keys under one selector"
    assert not verified(judge(records, {dmarc.name: [dmarc.value], second.name: [second.value]}))
    assert not verified(())


def test_both_keys_are_shown_and_rsa_alone_is_needed() -> None:
    dkim, second, dmarc = records_of(DOMAIN, MAIL_DOMAIN)
    assert (dkim.name, dkim.value) == ("mm1._domainkey.shop.example", "v=DKIM1; k=rsa; p=QUJD")
    assert (second.name, second.value) == (
        "mm1-ed25519._domainkey.shop.example",
        "v=DKIM1; k=ed25519; p=RUQ=",
    )
    assert [record.needed for record in (dkim, second, dmarc)] == [True, False, False]
    assert [record.name for record in records_of(OLD, MAIL_DOMAIN)] == [dkim.name, dmarc.name]
    assert (DOMAIN.has_second, OLD.has_second) == (True, False)


def test_an_ed25519_record_is_right_when_it_is_exactly_ours_and_keeps_no_mail_back() -> None:
    records = records_of(DOMAIN, MAIL_DOMAIN)
    dkim, second, _ = records
    for published, ok, detail in (
        ([second.value], True, ""),
        ([], False, "not published"),
        (["v=DKIM1; k=ed25519; p=RUU="], False, "published, but it is not our key"),
        (["v=DKIM1; p=RUQ="], False, "published, but it is not our key"),
        ([second.value, second.value], False, "published, but it is not our key"),
        (["v=DMARC1; p=none"], False, "published, but it is not our key"),
    ):
        findings = judge(records, {dkim.name: [dkim.value], second.name: published})
        assert (findings[1].ok, findings[1].detail) == (ok, detail), published
        assert verified(findings)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=900))
def test_txt_values_are_cut_where_dns_wants_them(value: str) -> None:
    quoted = quoted_chunks(value)
    parts = [part.replace('\\"', '"').replace("\\\\", "\\") for part in quoted[1:-1].split('" "')]
    assert all(len(part) <= 255 for part in parts) or '" "' in value


def test_the_next_keys_take_over_by_the_record_of_rsa() -> None:
    more = (
        DomainKey("mm2", "rsa", "Tk8=", "next", NOW),
        DomainKey("mm2-ed25519", "ed25519", "Tg==", "next", NOW),
    )
    domain = replace(DOMAIN, others=(*DOMAIN.others, *more))
    records = records_of(domain, MAIL_DOMAIN)
    assert [record.name.partition(".")[0] for record in records if record.needed] == ["mm1"]
    assert (DOMAIN.has_next, domain.has_next) == (False, True)
    for selectors, over in (((), False), (("mm1", "mm2-ed25519"), False), (("mm2",), True)):
        published = {r.name: [r.value] for r in records if r.name.partition(".")[0] in selectors}
        shown = shown_keys(domain, judge(records, published))
        assert shown == set(selectors)
        assert takes_over(domain, shown) is over


def test_a_retired_key_says_how_long_its_record_is_of_use() -> None:
    retired = replace(DOMAIN.others[0], state="retired")
    (_, record, _) = records_of(replace(DOMAIN, others=(retired,)), MAIL_DOMAIN)
    assert (record.needed, record.value) == (False, "v=DKIM1; k=ed25519; p=RUQ=")
    assert "2026-12-01" in record.why
