"""contacts.domain.opt_outs: what a row of an opt-out file says: whose "no" it is, and about which channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailmaker.common.mail.address import Channel
from mailmaker.contacts.domain.contact import AddressKeys
from mailmaker.contacts.domain.plans import Counts, Options


@dataclass(frozen=True, slots=True)
class Said:
    """One "no" of one line. A key of the client's that stands beside an address names the same person."""

    line: int
    channel: Channel
    address_key: bytes | None
    fkey: str | None
    fkey_hash: bytes | None


def said(line: int, keys: AddressKeys, fkey: str | None, options: Options) -> list[Said]:
    """An address says no to email, a number to SMS; an fkey that stands alone to the option's channel, or to both."""
    addresses: Mapping[Channel, bytes | None] = {"email": keys.email, "sms": keys.mobile}
    found = [Said(line, channel, key, fkey, keys.fkey) for channel, key in addresses.items() if key]
    if found or fkey is None:
        return found
    channels: tuple[Channel, ...] = ("email", "sms") if options.channel is None else (options.channel,)
    return [Said(line, channel, None, fkey, keys.fkey) for channel in channels]


def counted(options: Options, *, newly: int, before: int) -> Counts:
    """updated: a "no" of the row is new, whether or not the list has the person; unchanged: all of it stood before."""
    return Counts(
        rows=options.rows,
        updated=newly,
        unchanged=before,
        rejected=options.rejected,
        duplicate=options.duplicate,
    )
