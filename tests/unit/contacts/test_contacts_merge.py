"""unit: two records of one person become one without a consent ever rising; fields change without losing an id."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.contracts.contacts import CapPolicy, Controller
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.domain.consent import Consent, raises
from mailmaker.contacts.domain.contact import AddressKeys, Contact
from mailmaker.contacts.domain.fields import FieldWish, arranged, by_names, facts_by_names
from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList, Field, FieldType, KeyKind
from mailmaker.contacts.domain.merge import keep_faults, merged

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LIST = ContactList(
    new_id(), new_id(), "Soci", KeyKind.FKEY, "IT", "Europe/Rome", Controller(name="A", email="a@b.it"), CapPolicy(),
    NOW, NOW, 1, False, (Field("score", FieldType.NUMBER, (), "points"),), (Field("old", FieldType.TEXT),),
)  # fmt: skip
texts = st.none() | st.sampled_from(["a", "b"])
contacts = st.builds(
    lambda values, custom, email, sms: Contact(
        LIST.account_id, LIST.id, new_id(), "k", dict(zip(STANDARD_FIELDS, values, strict=True)), custom, email, sms,
        AddressKeys(), NOW, NOW, 1,
    ),
    st.lists(texts, min_size=len(STANDARD_FIELDS), max_size=len(STANDARD_FIELDS)),
    st.dictionaries(st.sampled_from(["points", "old", "1"]), st.integers(0, 2)),
    st.sampled_from(Consent),
    st.sampled_from(Consent),
)  # fmt: skip
keeps = st.dictionaries(
    st.sampled_from([*STANDARD_FIELDS, "custom.score"]), st.sampled_from(["this", "other"])
)


@given(contacts, contacts, keeps)
def test_a_merge_raises_no_consent_and_invents_no_value(
    this: Contact, other: Contact, keep: dict[str, str]
) -> None:
    made = merged(this, other, keep, LIST)  # type: ignore[arg-type]
    for whose in (this, other):
        assert not raises(whose.email_consent, made.email_consent)
        assert not raises(whose.sms_consent, made.sms_consent)
    for name in STANDARD_FIELDS:
        mine, theirs = this.values[name], other.values[name]
        wanted = {"this": mine, "other": theirs}.get(keep.get(name, ""), mine if mine is not None else theirs)
        assert made.values[name] == wanted
    assert set(made.custom) <= {*this.custom, *other.custom}
    assert (made.id, made.created_at) == (this.id, this.created_at)


@given(contacts)
def test_a_merge_with_nothing_changes_nothing(this: Contact) -> None:
    empty = replace(
        this, values=dict.fromkeys(STANDARD_FIELDS), custom={},
        email_consent=Consent.SUBSCRIBED, sms_consent=Consent.SUBSCRIBED,
    )  # fmt: skip
    assert merged(this, empty, {}, LIST) == this


def test_only_fields_that_people_see_are_chosen() -> None:
    keep = dict.fromkeys(("email", "custom.score", "custom.points", "custom.old", "sms_consent"), "other")
    assert [pointer for pointer, _, _ in keep_faults(keep, LIST)] == [  # type: ignore[arg-type]
        "/keep/custom.points", "/keep/custom.old", "/keep/sms_consent",
    ]  # fmt: skip


def test_facts_have_the_names_of_today_and_nothing_of_retired_fields() -> None:
    assert by_names({"points": 1, "old": "x"}, LIST) == {"score": 1}
    assert facts_by_names({"name": "A", "custom.points": 1, "custom.old": "x"}, LIST) == {
        "name": "A",
        "custom.score": 1,
    }
    assert facts_by_names({"custom": {"points": 1, "gone": 2}}, LIST) == {"custom.score": 1}


names = st.sampled_from(["a", "b", "c", "score", "old"])


@given(st.lists(st.lists(names, unique=True, max_size=4), max_size=6))
def test_an_id_belongs_to_one_field_for_ever(rounds: list[list[str]]) -> None:
    it, seen = LIST, {"points": "score", "old": "old"}
    for wished in rounds:
        found = arranged(it, [FieldWish(name, FieldType.TEXT) for name in wished])
        every = [*found.fields, *found.retired]
        assert len({f.key for f in every}) == len(every) == len({f.name for f in every})
        assert set(seen) <= {f.key for f in every}
        assert [f.name for f in found.fields] == wished
        it = replace(it, fields=found.fields, retired=found.retired)
        seen = {f.key: f.name for f in every}
