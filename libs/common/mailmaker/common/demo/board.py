"""common.demo.board: the scoreboard: every figure of a play, and whether the promise was kept."""

from __future__ import annotations

from typing import Any

from mailmaker.common.demo.play import Play
from mailmaker.common.testing.checker import unbalanced
from rich.table import Table


def figures(play: Play) -> dict[str, Any]:
    """The scoreboard as data."""
    assert play.verdict is not None
    verdict, counts = play.verdict, play.counts
    return {
        "contacts": play.contacts,
        "import_seconds": round(play.import_seconds, 2),
        "planned": counts["planned"],
        "sent": counts["delivered"],
        "stopped": counts["suppressed"],
        "uncertain": counts["uncertain"],
        "messages_per_second": round(counts["delivered"] / max(play.mailing_seconds, 0.001), 1),
        "noes": len(play.told),
        "kills": play.kills,
        "recorded_to_enforced_p50": round(verdict.latency(0.5), 4),
        "recorded_to_enforced_p99": round(verdict.latency(0.99), 4),
        "recorded_to_enforced_max": round(verdict.latency(1), 4),
        "late_and_named_in_flight": verdict.left_in_flight,
        "late_and_not_named": len(verdict.violations),
        "noes_lost": len(verdict.lost_nos),
        "mails_lost": len(verdict.lost_mails),
        "mails_unsaid": len(verdict.unsaid_mails),
        "duplicates": len(verdict.duplicates),
        "states_off_planned": unbalanced(counts),
        "kept": verdict.kept and unbalanced(counts) == 0,
    }


_LINES = (
    ("contacts imported", "contacts", "{:,}"), ("import, seconds", "import_seconds", "{}"),
    ("recipients planned", "planned", "{:,}"), ("sent", "sent", "{:,}"), ("stopped by a “no”", "stopped", "{:,}"),
    ("uncertain after the kill", "uncertain", "{}"), ("messages per second", "messages_per_second", "{:,}"),
    ("“no”s said at four doors", "noes", "{:,}"), ("kill -9 of dispatch", "kills", "{}"),
    ("recorded → enforced p50, s", "recorded_to_enforced_p50", "{}"),
    ("recorded → enforced p99, s", "recorded_to_enforced_p99", "{}"),
    ("recorded → enforced max, s", "recorded_to_enforced_max", "{}"),
    ("mails after enforced, named in flight", "late_and_named_in_flight", "{}"),
    ("mails after enforced, not named (must be 0)", "late_and_not_named", "{}"),
    ("“no”s lost (must be 0)", "noes_lost", "{}"), ("mails lost (must be 0)", "mails_lost", "{}"),
    ("mails not accounted for (must be 0)", "mails_unsaid", "{}"), ("duplicates (must be 0)", "duplicates", "{}"),
    ("states less planned (must be 0)", "states_off_planned", "{}"),
)  # fmt: skip


def table(play: Play) -> Table:
    """The scoreboard for people."""
    found = figures(play)
    made = Table(title="The promise, kept" if found["kept"] else "The promise, BROKEN", show_header=False)
    for label, name, form in _LINES:
        bad = label.endswith("(must be 0)") and found[name] != 0
        made.add_row(label, form.format(found[name]), style="bold red" if bad else "")
    return made
