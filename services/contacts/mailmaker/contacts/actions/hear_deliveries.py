"""contacts.actions.hear_deliveries: remembers who was reached by which mailing, for segments to ask about."""

from __future__ import annotations

from mailmaker.common.contracts.deliveries import EngagementRecorded, OutcomesRecorded
from mailmaker.common.storage.engine import Heard
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.storage import engagement
from mailmaker.contacts.storage.engagement import Reached


async def hear_outcomes(house: Contacts, event: OutcomesRecorded, heard: Heard) -> None:
    """Delivered messages reached their contacts; how others ended is dispatch's. Heard twice, it changes nothing."""
    reached = [Reached(o.contact_id, o.mailing_id, o.at) for o in event.outcomes if o.state == "delivered"]
    if reached:
        async with house.db.heard(heard, event.account_id) as tx:
            await engagement.record(tx, event.account_id, "delivered", reached)


async def hear_engagement(house: Contacts, event: EngagementRecorded, heard: Heard) -> None:
    """People opened a mailing, or followed a link of one."""
    reached = [Reached(one.contact_id, one.mailing_id, one.at) for one in event.items]
    async with house.db.heard(heard, event.account_id) as tx:
        await engagement.record(tx, event.account_id, event.kind, reached)
