"""integration: a rule as SQL and the same rule in plain Python mean the same contacts, whatever rule, contact and day."""

from __future__ import annotations

import contextlib
import json
import os
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mailmaker.common.contracts.contacts import CapPolicy, Controller
from mailmaker.common.storage.engine import Database, Transaction
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import AddressKeys, Contact
from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList, Field, FieldType, KeyKind
from mailmaker.contacts.domain.read_rule import read_rule
from mailmaker.contacts.domain.segment_fields import ENGAGEMENT, OPS, known_fields
from mailmaker.contacts.domain.segment_holds import Person, Touch, holds
from mailmaker.contacts.domain.segments import Day, Kind, Op, day_of, written
from mailmaker.contacts.storage import contacts, segments
from mailmaker.contacts.storage.engagement import Reached, record

EXAMPLES = int(os.environ.get("SEGMENT_EXAMPLES", "50"))
ACCOUNT, LIST = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 25, 5, tzinfo=UTC)
OF = ContactList(
    ACCOUNT,
    LIST,
    "Soci",
    KeyKind.FKEY,
    "IT",
    "Europe/Rome",
    Controller(name="Anna", email="anna@example.com"),
    CapPolicy(),
    NOW,
    NOW,
    1,
    fields=(
        Field("points", FieldType.NUMBER),
        Field("tier", FieldType.ENUM, ("gold", "silver")),
        Field("member", FieldType.BOOLEAN),
        Field("expires", FieldType.DATE),
        Field("note", FieldType.TEXT),
    ),
)
KNOWN = known_fields(OF)
ASKED = [(name, op) for name, known in sorted(KNOWN.items()) for op in sorted(OPS[known.kind])]
MAILINGS = [UUID(int=100 + n) for n in range(3)]
IMPORTS = [UUID(int=200 + n) for n in range(3)]

HOSTILE = [
    "'; DROP TABLE contacts; --", "' OR '1'='1", "1) UNION SELECT secret_hash FROM api_keys --", "$1", "$2::uuid",
    "{where}", "%s", "a' AND pg_sleep(5) AND 'a'='a", "\\'; --", "E'\\x27'", "*/ OR 1=1 /*", "***:roma", "(?i)roma",
    "[a-z]+", "^.*$", "a|b", "\\m", "%", "_", "\\", "100%", "a_b", "NULL", '"', "{", "}", "{a,b}", ",",
]  # fmt: skip
WORDS = [
    "Roma", "ROMA", "roma", "rom", "Forlì", "FORLI", "forlì", "Zoë", "zoe", "Łódź", "lodz", "ß", "ẞ", "Straße", "STRASSE",
    "Σίσυφος", "σίσυφος", "ΣΊΣΥΦΟΣ", "МОСКВА", "москва", "İstanbul", "ıstanbul", "istanbul", "ﬁ", "Dž", "a\u0301\u0302",
    "x\u0302",
    "D'Angelo", "李", "😀", "00184", "20100", "é", "E", "ae", "Æ", "K",
]  # fmt: skip
texts = st.sampled_from(WORDS + HOSTILE) | st.text(
    st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=6
).map(lambda text: unicodedata.normalize("NFC", text))
parts = texts.flatmap(lambda t: st.integers(0, len(t) - 1).map(lambda n: t[n:]))
# Few instants and days, so that they meet: ends of years and Februaries, and both nights on which clocks change.
NOWS = [
    NOW,
    datetime(2026, 12, 28, 12, tzinfo=UTC),
    datetime(2027, 2, 25, 12, tzinfo=UTC),
    datetime(2027, 2, 28, 12, tzinfo=UTC),
    datetime(2028, 2, 27, 12, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    datetime(2026, 10, 24, 22, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
]
ZONES = ["Europe/Rome", "UTC", "America/Sao_Paulo", "Pacific/Auckland", "Asia/Kolkata", "America/St_Johns"]
AWAY = [timedelta(hours=h) for h in (0, 1, -1, 12, 24, -24, 48, -48, 7 * 24, -7 * 24, -8 * 24, -30 * 24)]
BORN = [
    date(y, m, d)
    for y in (1980, 2000)
    for m, d in ((2, 29), (2, 29), (2, 28), (3, 1), (12, 31), (1, 1), (12, 5))
]
numbers = st.sampled_from([0, 1, -1, 0.1, 0.5, 5, 5.0, 100, 1e15, 12345678901234567890]) | st.floats(
    -1e6, 1e6
)


def moments(now: datetime) -> st.SearchStrategy[datetime]:
    return st.sampled_from([now + away for away in AWAY])


def days(now: datetime) -> st.SearchStrategy[date]:
    near = sorted({(now + away).date() for away in AWAY})
    return st.sampled_from(near) | st.sampled_from(BORN) | st.dates(date(1900, 1, 1), date(2030, 12, 31))


def own_values(now: datetime) -> dict[str, st.SearchStrategy[Any]]:
    """What the custom fields hold."""
    return {
        "points": numbers,
        "tier": st.sampled_from(["gold", "silver", "bronze"]),
        "member": st.booleans(),
        "expires": days(now).map(date.isoformat),
        "note": texts | st.just(""),
    }


anything = st.one_of(numbers, st.booleans(), texts, st.just("2026-11-25"))
"""What a custom field may hold that had another type before."""


@st.composite
def people(draw: st.DrawFn, now: datetime) -> Person:
    values: dict[str, Any] = {name: draw(st.none() | texts) for name in STANDARD_FIELDS}
    values["email"] = draw(
        st.none() | st.sampled_from(["Anna@x.it", "anna@X.it", "josé@x.it", "JOSÉ@x.it", "o'x@a_b.it"])
    )
    values["sex"] = draw(st.sampled_from([None, "M", "F", "X"]))
    values["birth_date"] = draw(st.none() | days(now))
    values["fkey"] = str(uuid4())
    custom = {
        name: draw(st.one_of(own, own, own, anything))
        for name, own in own_values(now).items()
        if draw(st.booleans())
    }
    mailings = draw(
        st.frozensets(st.tuples(st.sampled_from(ENGAGEMENT), st.sampled_from(MAILINGS)), max_size=3)
    )
    at = {kind: draw(moments(now)) for kind, _ in mailings}
    touches = draw(
        st.lists(
            st.builds(Touch, st.sampled_from(IMPORTS), st.just(NOW), st.booleans()),
            unique_by=lambda t: t.import_id,
        )
    )
    consents = [draw(st.sampled_from(list(Consent))) for _ in range(2)]
    contact = Contact(
        ACCOUNT, LIST, uuid4(), values["fkey"], values, custom, consents[0], consents[1], AddressKeys(),
        draw(moments(now)), draw(moments(now)), 1,
    )  # fmt: skip
    return Person(contact, at, mailings, tuple(touches))


def _value(kind: Kind, op: Op, name: str, now: datetime) -> st.SearchStrategy[Any]:
    if op in (Op.IS_EMPTY, Op.IS_NOT_EMPTY):
        return st.none()
    if op is Op.OF_MAILING:
        return st.sampled_from(MAILINGS).map(str)
    if op in (Op.TOUCHED_BY, Op.CREATED_BY):
        return st.sampled_from(IMPORTS).map(str)
    if str(op).endswith("_days"):
        return st.sampled_from([0, 1, 2, 7, 30, 365, 366])
    one: st.SearchStrategy[Any] = {
        Kind.NUMBER: numbers,
        Kind.BOOLEAN: st.booleans(),
        Kind.DATE: days(now).map(date.isoformat),
        Kind.MOMENT: days(now).map(date.isoformat),
        Kind.ENGAGEMENT: days(now).map(date.isoformat),
        Kind.EMAIL: st.sampled_from(["anna@x.it", "ANNA@X.IT", "josé@x.it", "jose", "@x.it", "_", "'"])
        | texts,
    }.get(kind, texts | parts)
    if KNOWN[name].values:
        one = st.sampled_from(KNOWN[name].values)
    if op in (Op.IN, Op.NOT_IN):
        return st.lists(one, min_size=1, max_size=4)
    return st.lists(one, min_size=2, max_size=2) if op is Op.BETWEEN else one


@st.composite
def leaves(draw: st.DrawFn, now: datetime) -> dict[str, Any]:
    name, op = draw(st.sampled_from(ASKED))
    value = draw(_value(KNOWN[name].kind, op, name, now))
    return {"field": name, "op": str(op), **({} if value is None else {"value": value})}


def trees(now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaves(now),
        lambda inner: st.one_of(
            st.builds(lambda found: {"all": found}, st.lists(inner, max_size=3)),
            st.builds(
                lambda how, found: {how: found},
                st.sampled_from(["any", "not"]),
                st.lists(inner, min_size=1, max_size=3),
            ),
        ),
        max_leaves=8,
    )


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Day, list[Person], list[dict[str, Any]]]:
    """A day, a list as it stands about then, and rules to try: some trees, many leaves by themselves."""
    now = draw(st.sampled_from(NOWS))
    crowd = draw(st.lists(people(now), min_size=4, max_size=12))
    rules = draw(st.lists(trees(now), min_size=1, max_size=4))
    rules += draw(st.lists(leaves(now), min_size=20, max_size=40))
    return day_of(now, draw(st.sampled_from(ZONES))), crowd, rules


class _Undone(Exception):
    """Nothing of an example stays."""


async def _arrange(tx: Transaction, crowd: Sequence[Person]) -> None:
    await contacts.insert(tx, [one.contact for one in crowd])
    for kind in ENGAGEMENT:
        reached = [
            Reached(one.contact.id, mailing, one.last[kind])
            for one in crowd
            for of, mailing in one.mailings
            if of == kind
        ]
        await record(tx, ACCOUNT, kind, reached)  # type: ignore[arg-type]
    for import_id in IMPORTS:
        await tx.driver.execute(
            "INSERT INTO plans (account_id, import_id, list_id, options, state, staged_at, applied_at)"
            " VALUES ($1, $2, $3, '{}', 'applied', $4, $4)",
            ACCOUNT, import_id, LIST, NOW,
        )  # fmt: skip
    await tx.driver.executemany(
        "INSERT INTO plan_rows (account_id, import_id, action, contact_id, before, applied)"
        " VALUES ($1, $2, $3, $4, $5, true)",
        [
            (
                ACCOUNT,
                t.import_id,
                "created" if t.created else "updated",
                one.contact.id,
                None if t.created else "{}",
            )
            for one in crowd
            for t in one.touches
        ],
    )


@pytest.fixture
async def db(database_of: Callable[[str], Awaitable[Database]]) -> Database:
    return await database_of("contacts")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
@given(scene=scenes())
async def test_sql_and_python_agree(
    db: Database, scene: tuple[Day, list[Person], list[dict[str, Any]]]
) -> None:
    day, crowd, rules = scene
    with contextlib.suppress(_Undone):
        async with db.account(ACCOUNT) as tx:
            await _arrange(tx, crowd)
            for source in rules:
                await _agree(tx, crowd, source, day)
            raise _Undone


async def _agree(tx: Transaction, crowd: Sequence[Person], source: dict[str, Any], day: Day) -> None:
    rule, faults = read_rule(json.loads(json.dumps(source)), KNOWN)
    if rule is None:
        assert {code for _, code, _ in faults} <= {"rule.too_many_lookups"}, faults
        return
    assert read_rule(written(rule), KNOWN) == (rule, ())
    many, sample = await segments.how_many(tx, ACCOUNT, LIST, rule, day, 1000)
    meant = {one.contact.id for one in crowd if holds(rule, one, day)}
    assert {c.id for c in sample} == meant, source
    assert many == len(meant)
    paged = await segments.page(tx, ACCOUNT, LIST, rule, day, "", 1000)
    assert [c.id for c in paged] == [c.id for c in sorted(sample, key=lambda c: c.key_text)]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_hostile_text_is_only_text(db: Database, hostile: str) -> None:
    """Values, field names and ops as sqlmap would write them: values are looked for, names and ops are refused."""
    person = Person(
        Contact(
            ACCOUNT, LIST, uuid4(), "1", {**dict.fromkeys(STANDARD_FIELDS), "fkey": "1", "city": hostile},
            {"note": hostile}, Consent.SUBSCRIBED, Consent.SUBSCRIBED, AddressKeys(), NOW, NOW, 1,
        )
    )  # fmt: skip
    day = day_of(NOW, "Europe/Rome")
    async with db.account(ACCOUNT) as tx:
        await contacts.insert(tx, [person.contact])
        for field in ("city", "custom.note"):
            for op in ("eq", "same_as", "starts_with", "contains", "ends_with"):
                rule, faults = read_rule({"field": field, "op": op, "value": hostile}, KNOWN)
                assert rule is not None, faults
                assert (await segments.how_many(tx, ACCOUNT, LIST, rule, day, 5))[0] == 1
                assert holds(rule, person, day)
    for wrong in (
        {"field": hostile, "op": "eq", "value": "x"},
        {"field": f"custom.{hostile}", "op": "eq", "value": "x"},
        {"field": "city", "op": hostile, "value": "x"},
        {hostile: [{"field": "city", "op": "eq", "value": "x"}]},
    ):
        rule, faults = read_rule(wrong, KNOWN)
        assert rule is None
        assert faults


def test_a_birthday_is_met_at_the_ends_of_years_and_on_leap_days() -> None:
    born = date(2000, 2, 29)
    rule, _ = read_rule({"field": "birth_date", "op": "anniversary_in_next_days", "value": 3}, KNOWN)
    assert rule is not None
    for today, met in (
        (date(2027, 2, 25), True),
        (date(2027, 2, 24), False),
        (date(2027, 2, 28), True),
        (date(2027, 3, 1), False),
        (date(2028, 2, 26), True),
        (date(2028, 2, 25), False),
        (date(2028, 2, 29), True),
    ):
        consents = (Consent.SUBSCRIBED, Consent.SUBSCRIBED)
        contact = Contact(
            ACCOUNT, LIST, uuid4(), "1", {"birth_date": born}, {}, *consents, AddressKeys(), NOW, NOW, 1
        )
        noon = datetime.combine(today, datetime.min.time(), UTC) + timedelta(hours=12)
        assert holds(rule, Person(contact), day_of(noon, "Europe/Rome")) is met, today
