"""unit: a file of which only the new lines are read is the file that reading it whole would have been."""

from __future__ import annotations

import struct
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st
from ingest_reading import Staged
from mailmaker.ingest.domain.outlines import HEAD

HEADER = "email,name,birth_date"
_ENTRY = struct.Struct(">hiii16s")

# Lines that are good, that are refused, that repeat a key, that are no record by themselves, and blank ones.
some = st.sampled_from(["P1@x.test", '"p2@x.test"', "", "bad"])
emails = st.one_of(*[st.builds("p{}@x.test".format, st.integers(0, 200))] * 4, some)
plain = st.sampled_from(["Ada", "Bea", "", "Zoë", '"A, B"', '"say ""hi"""'])
names = st.one_of(*[plain] * 12, st.sampled_from(['a"b', '"over', 'end"']))
births = st.sampled_from(["", "1980-01-02", "1980-13-01", "1,2"])
row = st.builds("{},{},{}".format, emails, names, births)
line = st.one_of(*[row] * 12, st.sampled_from(["", 'p3@x.test,"two', "p4@x.test,Ada"]))
files = st.lists(line, min_size=1, max_size=12, unique=True)


def lines_of(folder: Path) -> list[tuple[int, str]]:
    """What a by-line answer told: number and digest of each line."""
    data = (folder / "lines").read_bytes()[len(HEAD) : -2]
    return [(number, digest.hex()) for _, _, number, _, digest in _ENTRY.iter_unpack(data)]


def staged(folder: Path, name: str, lines: Sequence[str], **job: object) -> tuple[Staged, Path]:
    path = folder / name
    path.mkdir()
    return Staged(path, "\n".join([HEADER, *lines]).encode() + b"\n", names_rejected=True, **job), path


@settings(max_examples=400)
@given(before=files, after=st.permutations(range(12)), fresh=files)
def test_only_new_lines_need_be_read(before: list[str], after: list[int], fresh: list[str]) -> None:
    lines = [*dict.fromkeys([before[i] for i in after if i < len(before)] + fresh)]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        held, _ = staged(folder, "held", before)
        if held.answer.code is not None:
            return
        known = {digest: row for *_, digest in held.rows for row in [digest]}
        whole, _ = staged(folder, "whole", lines)
        told, path = staged(folder, "told", lines, known_seed=held.answer.seed)
        if not told.answer.by_line:
            event("read whole")
            assert told.answer == whole.answer or told.answer.code == whole.answer.code
            assert (told.rows, told.rejects) == (whole.rows, whole.rejects)
            return
        odd = [number for number, digest in lines_of(path) if digest not in known]
        matched = [(number, digest) for number, digest in lines_of(path) if digest in known]
        wanted = folder / "wanted"
        wanted.write_bytes(array("i", odd).tobytes())
        picked, _ = staged(folder, "picked", lines, known_seed=held.answer.seed, wanted=str(wanted))
        if picked.answer.joined or (not odd and picked.answer.code == "file.no_rows"):
            event("joined" if odd else "nothing new")
            assert odd == [] or any('"' in one for one in lines)
            if odd:
                return
        assert whole.answer.code is None, whole.answer
        keys = {row[1] for row in picked.rows}
        of_matched = {row[-1]: row[1] for row in held.rows}
        if keys & {of_matched[digest] for _, digest in matched}:
            event("a new line has the key of one that is held: contacts wants the file whole")
            assert whole.answer.duplicate > picked.answer.duplicate
            return
        event("by line")
        of_picked = [(int(row[0]), row[-1]) for row in picked.rows]
        assert sorted(of_picked + matched) == [(int(row[0]), row[-1]) for row in whole.rows]
        assert picked.rejects == whole.rejects
        counts = [(a.rejected, a.duplicate, a.named) for a in (picked.answer, whole.answer)]
        assert counts[0] == counts[1]
        assert told.answer.rows == whole.answer.rows == len(matched) + picked.answer.rows
        assert told.left == ["lines", "rejects", "upload"]


def test_a_file_read_otherwise_is_read_whole(tmp_path: Path) -> None:
    first, _ = staged(tmp_path, "first", ["a@x.test,Ada,"])
    again, _ = staged(tmp_path, "again", ["a@x.test,Ada,", "b@x.test,Bea,"], known_seed=first.answer.seed)
    assert (again.answer.by_line, again.answer.rows) == (True, 2)
    for name, job in {
        "seed": {"known_seed": first.answer.seed + 1},
        "trailer": {"known_seed": first.answer.seed, "trailer": "TOTAL:{rows}"},
        "announced": {"known_seed": first.answer.seed, "expected_rows": 2},
        "empty": {"known_seed": first.answer.seed, "empty_cells": "erase"},
        "default": {"known_seed": first.answer.seed, "defaults": {"name": "X"}},
        "year": {"known_seed": first.answer.seed, "today": "2027-01-01"},
    }.items():
        found, _ = staged(tmp_path, name, ["a@x.test,Ada,"], **job)
        assert (found.answer.by_line, found.answer.rows) == (False, 1), name
    twice, _ = staged(tmp_path, "twice", ["a@x.test,Ada,"] * 2, known_seed=first.answer.seed)
    assert (twice.answer.by_line, twice.answer.duplicate) == (False, 1)
