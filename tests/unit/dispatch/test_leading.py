"""Which paths lead what is due: only those of the account, by its rules; nothing where nobody leads it (SHP-1)."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.egress import ANY_LANE, Egress, Pool, Route, Source
from mailmaker.dispatch.domain.leading import lead, may_leave
from mailmaker.dispatch.domain.running import RunningMailing
from mailmaker.dispatch.relay.rests import LONGEST, SHORTEST, Rests

ACCOUNTS, LISTS, TAGS = [UUID(int=1), UUID(int=2)], [UUID(int=11), UUID(int=12)], [None, "a", "b"]
LANES = ["google", "yahoo", "#01"]


@st.composite
def ways(draw: st.DrawFn, account: UUID) -> Egress:
    base = account.int * 1000
    ids = [UUID(int=base + n) for n in range(draw(st.integers(1, 3)))]
    default = draw(st.sampled_from([None, *ids]))
    pools = {one: Pool(account, one, f"p{one}", one == default) for one in ids}
    sources = [
        Source(
            account_id=account,
            id=UUID(int=base + 100 + n),
            pool_id=draw(st.sampled_from(ids)),
            name=f"s{n}",
            driver=draw(st.sampled_from(["direct", "smarthost"])),
            address=None,
            ehlo="e.test",
            server=None,
            username=None,
            secret=None,
            tls="off",
            state=draw(st.sampled_from(["active", "paused"])),
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    routes = [
        Route(
            id=UUID(int=base + 200 + n),
            position=draw(st.integers(0, 3)),
            name=f"r{n}",
            pool_id=draw(st.sampled_from(ids)),
            list_id=draw(st.sampled_from([None, *LISTS])),
            tag=draw(st.sampled_from(TAGS)),
            provider=draw(st.sampled_from([None, "google"])),
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    return Egress(account, pools, sources, routes)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[UUID, Egress], list[RunningMailing], list[tuple[UUID, str]]]:
    found = {account: draw(ways(account)) for account in ACCOUNTS if draw(st.booleans())}
    mailings = [
        RunningMailing(
            account_id=draw(st.sampled_from(ACCOUNTS)),
            id=UUID(int=500 + n),
            number=n,
            channel="email",
            mail_class="marketing",
            list_ids=tuple(LISTS),
            valid_until=None,
            due=True,
            over=False,
            sender_id=UUID(int=7),
            sender_domain="s.test",
            tag=draw(st.sampled_from(TAGS)),
            pooled=True,
        )
        for n in range(draw(st.integers(1, 3)))
    ]
    due = [(mailing.id, lane) for mailing in mailings for lane in LANES if draw(st.booleans())]
    return found, mailings, due


@given(worlds())
def test_a_path_leads_only_what_may_leave_by_it(
    world: tuple[dict[UUID, Egress], list[RunningMailing], list[tuple[UUID, str]]],
) -> None:
    found, mailings, due = world
    by_id = {mailing.id: mailing for mailing in mailings}
    led: set[tuple[UUID, UUID, str, UUID]] = set()
    for (account, source, lane), shares in lead(found, mailings, due).items():
        assert source in {one.id for one in found[account].sources if one.state == "active"}
        assert (lane == ANY_LANE) is not found[account].by_lane
        for share in shares:
            mailing = by_id[share.mailing_id]
            assert mailing.account_id == account, "another account's address"
            assert share.lane == (None if lane == ANY_LANE else lane)
            for list_id in share.routes:
                assert may_leave(found[account], source, lane, mailing, list_id)
                led.add((share.mailing_id, list_id, lane, source))
    for mailing in mailings:
        out = found.get(mailing.account_id)
        lanes = [] if out is None else [at for m, at in due if m == mailing.id] if out.by_lane else [ANY_LANE]
        for lane in lanes:
            for list_id in LISTS:
                for one in out.sources if out is not None else ():
                    may = out is not None and may_leave(out, one.id, lane, mailing, list_id)
                    assert may is ((mailing.id, list_id, lane, one.id) in led)


def test_what_was_claimed_when_nobody_asked_whose_site_it_is_does_not_leave_when_a_rule_asks() -> None:
    account, pool = ACCOUNTS[0], UUID(int=31)
    source = Source(
        account, UUID(int=41), pool, "s", "smarthost", None, "e.test", "h:25", None, None, "off", "active"
    )
    pools = {pool: Pool(account, pool, "p", True)}
    plain = Egress(account, pools, [source], [])
    asks = Egress(account, pools, [source], [Route(UUID(int=51), 1, "r", pool, provider="google")])
    mailing = RunningMailing(
        account,
        UUID(int=61),
        1,
        "email",
        "marketing",
        (LISTS[0],),
        None,
        True,
        False,
        UUID(int=7),
        "s.test",
        None,
        True,
    )
    assert may_leave(plain, source.id, ANY_LANE, mailing, LISTS[0])
    assert not may_leave(asks, source.id, ANY_LANE, mailing, LISTS[0])
    assert may_leave(asks, source.id, "google", mailing, LISTS[0])


def test_asking_in_vain_is_done_more_and_more_seldom_and_forgotten_at_the_first_claim() -> None:
    rests, one, now, pauses = Rests(), UUID(int=1), 100.0, []
    for _ in range(9):
        rests.claimed(one, now, 0, even=False)
        before = now
        while not rests.over(one, now):
            now += 0.05
        pauses.append(round(now - before, 1))
    assert pauses == sorted(pauses)
    assert SHORTEST <= pauses[0] <= SHORTEST + 0.1
    assert LONGEST <= pauses[-1] <= LONGEST + 0.1
    rests.claimed(one, now, 5, even=False)
    assert rests.over(one, now)
    rests.claimed(one, now, 0, even=False)
    assert rests.over(one, now + SHORTEST)
    for _ in range(9):
        rests.claimed(one, now, 0, even=True)
    assert rests.over(one, now + SHORTEST), "turns of a rate come one by one"
