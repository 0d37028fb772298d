"""Mail that nobody here wrote: real reports, bounces and malformed MIME; every one is read, none takes long."""

from __future__ import annotations

import contextlib
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from mailmaker.fbl.domain.category import category_of
from mailmaker.fbl.domain.mailbox import Box
from mailmaker.fbl.domain.verdict import judge
from mailmaker.fbl.parse.examine import examine
from mailmaker.fbl.parse.mime import Unreadable

ARCHIVE = Path(__file__).parents[3].parent / "shared" / "corpora" / "corpora.tar.xz"
MAILS = ("arf/", "bounces-", "mime/", "xarf/", "dkim/")


def files(prefixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isfile() and name.startswith(prefixes):
                content = archive.extractfile(member)
                assert content is not None
                yield name, content.read()


def truth(held: dict[str, bytes], folder: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in held[f"{folder}/truth.jsonl"].splitlines()]


def test_every_mail_is_read_within_a_second() -> None:
    for name, raw in files(MAILS):
        began = time.process_time()
        with contextlib.suppress(Unreadable):
            examine(raw)
        assert time.process_time() - began < 1, name


def test_feedback_reports_are_told_by_type_and_address() -> None:
    held = dict(files(("arf/",)))
    rows = [row for row in truth(held, "arf") if row["feedback_type"]]
    found = {str(row["file"]): examine(held[f"arf/{row['file']}"]) for row in rows}
    right = [row for row in rows if [found[str(row["file"])].feedback_type] == row["feedback_type"]]
    assert len(right) >= 0.97 * len(rows)
    plain = [row for row in rows if row["identity"] == "plain address in report"]
    assert sum(found[str(row["file"])].address in row["original_rcpt_to"] for row in plain) >= 0.8 * len(
        plain
    )  # type: ignore[operator]


def test_no_report_about_another_senders_mail_suppresses_anybody() -> None:
    for name, raw in files(("arf/", "bounces-sisimai/bounce")):
        assert judge(Box.FBL, examine(raw), attributed=False).reason is None, name


def test_bounces_are_told_from_the_rest_and_few_living_addresses_are_called_dead() -> None:
    held = dict(files(("bounces-sisimai/",)))
    rows = [row for row in truth(held, "bounces-sisimai") if row["truth"] == "table"]
    bounces = [row for row in rows if row["reason"] not in ("feedback", "vacation", "delivered", "expired")]
    kinds = {str(row["file"]): examine(held[f"bounces-sisimai/bounce/{row['file']}"]) for row in bounces}
    told = [
        name for name, found in kinds.items() if judge(Box.BOUNCE, found, attributed=True).kind == "bounce"
    ]
    assert len(told) >= 0.95 * len(kinds)
    # Sisimai's "filtered" says "user unknown" too: the server's own words for a dead address, which we believe.
    soft = [row for row in bounces if not row["hard"] and row["reason"] not in ("filtered", "suspend")]
    dead = [
        row
        for row in soft
        if any(
            category_of(one).permanent
            for one in kinds[str(row["file"])].recipients
            if one.address == row["recipient"]
        )
    ]
    assert len(dead) <= 0.03 * len(soft), [row["file"] for row in dead]
