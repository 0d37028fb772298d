"""dispatch.relay: what a transaction's end means for its message (BNC-2, BNC-3, SHP-12)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime

from mailmaker.common.mail.reply import Reply
from mailmaker.dispatch.domain.last_look import Refusal
from mailmaker.dispatch.domain.retry import RetryPlan, next_try, requeue_at
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.storage.outcomes import Ended


@dataclass(frozen=True, slots=True)
class Answered:
    """The server decided about the message."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The server did not decide. `dot` tells whether the end of the message may have reached it."""

    dot: bool
    why: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """The last look said no: nothing of the message's body was written."""

    refusal: Refusal


End = Answered | Unanswered | Withheld


def ended(mail: Mail, end: End, now: datetime, stamp: int, plan: RetryPlan) -> Ended:
    """The outcome of an attempt."""
    if isinstance(end, Answered):
        return _answered(mail, end.reply, now, stamp, plan)
    if isinstance(end, Unanswered) and end.dot:
        return _end(mail, "uncertain", end.why, now, stamp, counted=True)
    if isinstance(end, Withheld) and end.refusal.state != "queued":
        return _end(mail, end.refusal.state, end.refusal.reason, now, stamp, counted=False)
    # The dot was provably not written: back in line, and the recipient's attempts do not count it.
    due = requeue_at(plan, now, random.random()) if isinstance(end, Unanswered) else now
    return _end(mail, "queued", None, now, stamp, counted=False, due=due)


def _answered(mail: Mail, reply: Reply, now: datetime, stamp: int, plan: RetryPlan) -> Ended:
    if reply.code == 421:
        due = requeue_at(plan, now, random.random())
        return _end(mail, "queued", None, now, stamp, counted=False, due=due, reply=reply)
    if reply.temporary:
        first = mail.first_try or now
        due_at = next_try(plan, mail.attempts + 1, now, first, mail.valid_until, random.random())
        if due_at is None:
            return _end(mail, "expired", "retries", now, stamp, counted=True, reply=reply)
        return _end(mail, "deferred", None, now, stamp, counted=True, due=due_at, reply=reply)
    state = "bounced" if reply.permanent else "delivered"
    return _end(mail, state, None, now, stamp, counted=True, reply=reply)


def _end(
    mail: Mail,
    state: str,
    reason: str | None,
    now: datetime,
    stamp: int,
    *,
    counted: bool,
    due: datetime | None = None,
    reply: Reply | None = None,
) -> Ended:
    text = None
    if reply is not None:
        text = f"{reply.enhanced} {reply.text}" if reply.enhanced else reply.text
    return Ended(
        account_id=mail.account_id,
        id=mail.id,
        attempt_id=mail.attempt_id,
        state=state,
        reason=reason,
        due_at=due,
        counted=counted,
        reply_code=None if reply is None else reply.code,
        reply_text=None if text is None else text.replace("\x00", ""),
        feed_stamp=stamp,
        ended_at=now,
        source=mail.source,
    )
