"""ingest.api.state: what main built and the doors use."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.internal import InternalClient
from mailmaker.ingest.actions.pgp import PgpKeys
from mailmaker.ingest.actions.read_lines import LineReader
from mailmaker.ingest.actions.receive import Receiver
from mailmaker.ingest.storage.files import Files


@dataclass(frozen=True, slots=True)
class House:
    """The house's things."""

    db: Database
    files: Files
    receiver: Receiver
    line_reader: LineReader
    contacts: InternalClient
    clock: Clock
    max_upload: int
    pgp_keys: PgpKeys
    ftp_plain: bool = False


def house_of(request: Request) -> House:
    """The house that serves this request."""
    found: House = request.app.state.house
    return found
