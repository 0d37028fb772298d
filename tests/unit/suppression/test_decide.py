"""unit: a "no" is new, or said before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.mail.subjects import address_subject, contact_subject
from mailmaker.suppression.domain.decide import New, Repeat, decide
from mailmaker.suppression.domain.no import No, Place

ACCOUNT, LIST, CONTACT = uuid4(), uuid4(), uuid4()
ADDRESS = address_subject(b"\1" * 33)
AT = datetime(2026, 11, 24, tzinfo=UTC)


def no(named: bytes = ADDRESS, **more: object) -> No:
    plain = No(uuid4(), ACCOUNT, "email", "list", LIST, named, "api", "unsubscribe", AT)
    return replace(plain, **more)  # type: ignore[arg-type]


def standing(*nos: No) -> dict[Place, UUID]:
    return {n.place(s).identity(): n.id for n in nos for s in n.subjects}


def test_the_first_is_new_and_the_second_repeats_it() -> None:
    first, second = no(), no()
    assert decide([first, second], {}, {}) == [New(first), Repeat(second, first.id)]


def test_another_list_scope_channel_or_kind_is_another_no() -> None:
    first = no()
    others = [
        no(list_id=uuid4()),
        no(scope="account"),
        no(channel="sms"),
        no(reason="complaint"),
        no(reason="hard_bounce"),
    ]
    assert all(isinstance(d, New) for d in decide([first, *others], {}, {}))


def test_reasons_of_one_kind_repeat_one_another() -> None:
    first, second = no(reason="hard_bounce", scope="account"), no(reason="invalid", scope="account")
    assert decide([second], standing(first), {}) == [Repeat(second, first.id)]


def test_a_handed_over_id_says_nothing_twice_even_after_a_release() -> None:
    once = no()
    assert decide([once], {}, {once.id: once.id}) == [Repeat(once, once.id, again=True)]


def test_the_person_at_the_link_brings_the_address_the_first_did_not_know() -> None:
    contact = contact_subject(CONTACT)
    first = no(contact, contact_id=CONTACT, incomplete=True, list_id=None)
    second = no(contact, contact_id=CONTACT, others=(ADDRESS,))
    assert decide([second], standing(first), {}) == [Repeat(second, first.id, missing=(ADDRESS,))]


def test_an_incomplete_repetition_of_a_whole_no_adds_nothing() -> None:
    contact = contact_subject(CONTACT)
    whole = no(contact, contact_id=CONTACT, others=(ADDRESS,))
    bare = no(contact, contact_id=CONTACT, incomplete=True, list_id=None)
    assert decide([bare], standing(whole), {}) == [Repeat(bare, whole.id)]


def test_an_address_after_its_owners_link_is_a_repetition() -> None:
    link = no(contact_subject(CONTACT), contact_id=CONTACT, others=(ADDRESS,))
    api = no()
    assert decide([api], standing(link), {}) == [Repeat(api, link.id)]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(["list", "account"])), max_size=12
    )
)
def test_a_batch_decides_as_one_after_another(wishes: list[tuple[int, int, str]]) -> None:
    lists = [UUID(int=n) for n in range(3)]
    nos = [
        no(address_subject(bytes((person,)) * 33), list_id=lists[where], scope=scope)
        for person, where, scope in wishes
    ]
    together = decide(nos, {}, {})
    state: dict[Place, UUID] = {}
    alone = []
    for one in nos:
        alone += decide([one], state, {})
        for place, entry in standing(one).items():
            state.setdefault(place, entry)
    assert together == alone
