"""dispatch.actions: asks contacts about the segment of a mailing: whether it can be used, and which version its rule has."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.contracts.internal import SegmentRow
from mailmaker.common.web.internal import InternalClient
from mailmaker.dispatch.domain.preflight import Blocker, Target, segment_blocker


async def ask_segment(
    contacts: InternalClient, account_id: UUID, segment_id: UUID | None, list_ids: Sequence[UUID]
) -> tuple[int | None, Blocker | None]:
    """The version of the segment's rule, or what keeps it from being used. Raises Unreachable: a segment is not guessed."""
    if segment_id is None:
        return None, None
    row = await contacts.get(f"/internal/segments/{segment_id}", SegmentRow)
    if row is None or row.account_id != account_id:
        return None, segment_blocker(None, list_ids)
    found = Target(row.list_id, retired=row.retired, broken=row.broken)
    return row.version, segment_blocker(found, list_ids)
