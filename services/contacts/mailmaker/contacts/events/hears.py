"""contacts.events.hears: what this house hears, and the action each event calls. The table is the documentation."""

from __future__ import annotations

from mailmaker.common.bus.consumer import Hears
from mailmaker.common.contracts.deliveries import EngagementRecorded, OutcomesRecorded
from mailmaker.common.contracts.imports import ImportCancelled, ImportStaged
from mailmaker.common.contracts.suppressions import AddressReleased, AddressSuppressed
from mailmaker.common.storage.engine import Heard
from mailmaker.contacts.actions.hear_deliveries import hear_engagement, hear_outcomes
from mailmaker.contacts.actions.hear_imports import hear_cancelled, hear_staged
from mailmaker.contacts.actions.house import Contacts

CONSUMER = "contacts"


def hears(house: Contacts) -> Hears:
    """Event -> handler. A "no" is applied from the feed: its event only wakes who follows the feed."""

    async def on_staged(event: ImportStaged, heard: Heard) -> None:
        await hear_staged(house, event, heard)

    async def on_cancelled(event: ImportCancelled, heard: Heard) -> None:
        await hear_cancelled(house, event, heard)

    async def on_outcomes(event: OutcomesRecorded, heard: Heard) -> None:
        await hear_outcomes(house, event, heard)

    async def on_engagement(event: EngagementRecorded, heard: Heard) -> None:
        await hear_engagement(house, event, heard)

    async def on_no(_: AddressSuppressed | AddressReleased, __: Heard) -> None:
        house.feed_waits.set()

    return {
        ImportStaged: on_staged,
        ImportCancelled: on_cancelled,
        OutcomesRecorded: on_outcomes,
        EngagementRecorded: on_engagement,
        AddressSuppressed: on_no,
        AddressReleased: on_no,
    }
