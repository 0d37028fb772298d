"""unit: one file becomes staged rows and rejects, and every row is in exactly one of them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_reading import Staged
from mailmaker.ingest.domain.fields import STAGED_COLUMNS, Field
from mailmaker.ingest.domain.outlines import END, HEAD, Entry, entries
from mailmaker.ingest.readers.digest import HEX
from mailmaker.ingest.readers.repeats import without_repeats

CUSTOM = STAGED_COLUMNS.index("custom")


def named(row: list[str]) -> dict[str, str]:
    found = {name: cell for name, cell in zip(STAGED_COLUMNS, row, strict=True) if cell}
    assert len(found.pop("digest")) == HEX
    return found


def test_good_rows_are_staged_bad_ones_are_rejected_with_line_field_code(tmp_path: Path) -> None:
    data = (
        b"Email;Cognome;Data di nascita;Sesso;Boh\n"
        b"Anna@Example.it;D'Angelo;29/02/1980;F;x\n"
        b"b@example.it;Rossi;1981-02-29;M;x\n"
        b"not an address;Verdi;1980-01-01;M;x\n"
        b";Bianchi;;;x\n"
        b"ANNA@example.it;Again;;;x\n"
        b'c@example.it;"Neri; ""il"" moro";;;x\n'
    )
    found = Staged(tmp_path, data)
    answer = found.answer
    assert (answer.rows, answer.staged, answer.rejected, answer.duplicate) == (6, 2, 3, 1)
    assert [named(row) for row in found.rows] == [
        {"line": "2", "key_text": "anna@example.it", "email": "Anna@example.it", "surname": "D'Angelo", "sex": "F",
         "birth_date": "1980-02-29"},
        {"line": "7", "key_text": "c@example.it", "email": "c@example.it", "surname": 'Neri; "il" moro'},
    ]  # fmt: skip
    assert [(r["_line"], r["_field"], r["_code"]) for r in found.rejects] == [
        ("3", "birth_date", "date.impossible"),
        ("4", "email", "address.invalid"),
        ("5", "email", "key.missing"),
        ("6", "email", "row.duplicate"),
    ]
    assert found.rejects[3]["Cognome"] == "Again"
    assert found.rejects[3]["_message"] == "line 2 has the same email, and the first row counts"
    assert found.rejects[0]["Data di nascita"] == "1981-02-29"
    assert (answer.fields, answer.ignored) == (("email", "surname", "birth_date", "sex"), ("Boh",))
    assert found.left == ["outline", "rejects", "staged", "upload"]


def test_a_corrected_rejects_file_is_an_import_again(tmp_path: Path) -> None:
    Staged(tmp_path, b"email,birth_date\na@b.it,1981-02-29\n")
    again = (tmp_path / "rejects").read_bytes().replace(b"1981-02-29", b"1981-02-28")
    found = Staged(tmp_path, again)
    assert (found.answer.staged, found.answer.rejected, found.answer.ignored) == (1, 0, ())


def test_later_rows_of_a_key_are_named_with_the_line_of_the_first(tmp_path: Path) -> None:
    data = 'email;note\na@b.it;"x\ny"\nA@B.it;"ì;z";\n\nc@d.it;\nbad;\nC@d.it;1\na@b.it;2\n'.encode("utf-16")
    found = Staged(tmp_path, data)
    assert (found.answer.staged, found.answer.rejected, found.answer.duplicate) == (2, 1, 3)
    told = [(r["_line"], r["_code"], r["email"], r["note"], r["_message"]) for r in found.rejects[1:]]
    assert told == [
        (line, "row.duplicate", email, note, f"line {first} has the same email, and the first row counts")
        for line, email, note, first in (
            ("4", "A@B.it", "ì;z", 2),
            ("8", "C@d.it", "1", 6),
            ("9", "a@b.it", "2", 2),
        )
    ]
    twice = Staged(tmp_path, b"email,mobile\na@b.it,\nA@B.it,\n", naming=("email", "mobile")).rejects
    assert [(r["_line"], r["_field"], r["_message"]) for r in twice] == [("3", "", "line 2 names the same")]


def test_a_rejects_file_that_comes_again_overwrites_no_row_that_counted(tmp_path: Path) -> None:
    Staged(tmp_path, b"email,name,birth_date\na@b.it,A,\na@b.it,B,\nc@d.it,C,1981-02-29\na@b.it,D,\n")
    again = (tmp_path / "rejects").read_bytes().replace(b"1981-02-29", b"1981-02-28")
    assert again.count(b"row.duplicate") == 2
    found = Staged(tmp_path, again, names_rejected=True)
    answer = found.answer
    assert (answer.rows, answer.staged, answer.rejected, answer.duplicate) == (3, 1, 0, 2)
    assert [named(row)["email"] for row in found.rows] == ["c@d.it"]
    assert [(r["_line"], r["name"], r["_code"]) for r in found.rejects] == [
        ("3", "B", "row.duplicate"),
        ("4", "D", "row.duplicate"),
    ]
    assert answer.named == 2, "a full file still names the contact"
    edited = again.replace(b"a@b.it,D,,5,email,row.duplicate", b"d@b.it,D,,5,email,")
    assert edited != again
    assert [named(row)["email"] for row in Staged(tmp_path, edited).rows] == ["c@d.it", "d@b.it"]
    # Whom an opt-out file names is out, whatever else its row says.
    assert len(Staged(tmp_path, again, naming=("email",)).rows) == 2


def test_rows_of_another_width_are_rejected_whole(tmp_path: Path) -> None:
    data = b"email,name\na@b.it,A\nb@b.it\nc@b.it,C,extra,\nd@b.it,D,,\n"
    found = Staged(tmp_path, data)
    assert [named(r)["email"] for r in found.rows] == ["a@b.it", "d@b.it"]
    assert [(r["_line"], r["_code"], r["name"]) for r in found.rejects] == [
        ("3", "row.width", ""),
        ("4", "row.width", "C | extra | "),
    ]


def test_custom_fields_become_one_json_object(tmp_path: Path) -> None:
    custom = (Field("points", "number", True), Field("note", "text", True), Field("vip", "boolean", True))
    data = 'email,points,note,vip\na@b.it,"1,5","says ""hi""",sì\nb@b.it,,,\nc@b.it,x,,\n'.encode()
    found = Staged(tmp_path, data, custom=custom)
    assert json.loads(found.rows[0][CUSTOM]) == {"points": 1.5, "note": 'says "hi"', "vip": True}
    assert found.rows[1][CUSTOM] == ""
    assert [r["_field"] for r in found.rejects] == ["points"]


def test_keys_of_the_clients_own_compare_as_they_are(tmp_path: Path) -> None:
    data = b'fkey;email\n"A,1";x@b.it\n"a,1";x@b.it\n"A,1";y@b.it\n'
    found = Staged(tmp_path, data, key="fkey")
    assert [named(r)["key_text"] for r in found.rows] == ["A,1", "a,1"]
    assert found.answer.duplicate == 1


@pytest.mark.parametrize(
    ("data", "job", "code"),
    [
        (b"email\n", {}, "file.no_rows"),
        (b"", {}, "file.empty"),
        (b"name\nx\n", {}, "columns.no_key"),
        (b'email,name\na@b.it,"x\n', {}, "quote.unclosed"),
    ],
)
def test_a_file_that_cannot_be_read_leaves_nothing(
    tmp_path: Path, data: bytes, job: dict[str, object], code: str
) -> None:
    found = Staged(tmp_path, data, **job)
    assert (found.answer.code, found.answer.done, found.left) == (code, False, ["upload"])


def test_a_nul_byte_is_the_fault_of_its_cell(tmp_path: Path) -> None:
    found = Staged(tmp_path, b"email,name\na@b.it,x\0y\nb@b.it,z\n")
    assert [(r["_line"], r["_field"], r["_code"]) for r in found.rejects] == [
        ("2", "name", "control_character")
    ]
    assert found.answer.staged == 1


CELL = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from(list('",;\n\r')), max_size=10)
ROW = st.tuples(
    st.sampled_from(["a@b.it", "A@b.it", "c@d.it", "e@f.it", "bad", ""]),
    CELL,
    st.sampled_from(["", "1980-01-01", "31/02/1980"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=30))
def test_each_row_counts_once_and_nothing_is_lost(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    import csv

    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL)
    writer.writerows([("email", "name", "birth_date"), *rows])
    found = Staged(tmp_path, text.getvalue().encode(), delimiter=";")
    answer = found.answer
    assert answer.done
    assert answer.rows == len(rows) == answer.staged + answer.rejected + answer.duplicate
    assert (len(found.rows), len(found.rejects)) == (
        answer.staged,
        answer.rejected + answer.duplicate,
    )
    codes = [row["_code"] for row in found.rejects]
    assert codes.count("row.duplicate") == answer.duplicate
    assert found.left == ["outline", "rejects", "staged", "upload"]
    assert len({row[1] for row in found.rows}) == len(found.rows)
    # The first good row of each key is the one that is staged.
    lines = [int(row[0]) for row in found.rows]
    assert lines == sorted(lines)
    # The outline tells of each staged row, and where it begins.
    staged = (tmp_path / "staged").read_bytes()
    for row, (line, key, digest, at) in zip(found.rows, found.outline, strict=True):
        assert [line, key, digest] == [row[0], row[1], row[-1]]
        assert staged[int(at) :].startswith(f"{line},".encode())
        assert at == "0" or staged[int(at) - 1 :].startswith(b"\n")


def test_a_full_file_names_the_contacts_of_its_bad_rows(tmp_path: Path) -> None:
    data = b"email,birth_date\na@b.it,31/02/1980\nbad,\nC@b.it\nA@b.it,\na@B.it,\n"
    found = Staged(tmp_path, data, names_rejected=True)
    answer = found.answer
    assert (answer.staged, answer.rejected, answer.duplicate, answer.named) == (1, 3, 1, 2)
    assert [row[:2] for row in sorted(found.outline)] == [["-2", "a@b.it"], ["-4", "c@b.it"], ["5", "a@b.it"]]
    assert [(row[0], row[2]) for row in found.rows] == [("5", "A@b.it")]
    assert Staged(tmp_path, data).answer.named == 0


def test_equal_hashes_of_different_keys_are_no_repeats() -> None:
    rows = [row.encode() for row in ('2,"a,b",x\n', "3,c,è\n", '4,"a,b",z\n', "5,d,x\n")]
    digests = [bytes([n]) * 16 for n in range(4)]
    first, c, named, later, d = (
        Entry(2, 0, digests[0], b"a,b"),
        Entry(3, 10, digests[1], b"c"),
        Entry(-9, None, None, b"c"),
        Entry(4, 17, digests[2], b"a,b"),
        Entry(5, 27, digests[3], b"d"),
    )
    every = [first, c, named, later, d]
    # As if c had the hash of the one before.
    repeated = {hash(b"a,b"): -1, hash(b"c"): len(HEAD)}
    many, kept, kept_entries, told = _without_repeats(rows, every, repeated)
    assert (many, kept.decode(), told) == (1, '2,"a,b",x\n3,c,è\n5,d,x\n', b"4,2\n")
    assert list(entries([kept_entries])) == [first, c, named, d.moved(17)]
    # And it is a repeat of itself.
    repeated = {hash(b"a,b"): -1, hash(b"c"): len(HEAD), hash(b"d"): -1}
    many, _, _, told = _without_repeats(rows * 2, every * 2, repeated)
    assert (many, told) == (5, b"4,2\n2,2\n3,3\n4,2\n5,5\n")


def _without_repeats(
    rows: list[bytes], every: list[Entry], repeated: dict[int, int]
) -> tuple[int, bytes, bytes, bytes]:
    outline = b"".join([HEAD, *(entry.encode() for entry in every), END])
    kept, kept_entries, told = io.BytesIO(), io.BytesIO(), io.BytesIO()
    many = without_repeats(
        rows, io.BytesIO(outline), io.BytesIO(outline), (kept, kept_entries, told), repeated
    )
    return many, kept.getvalue(), kept_entries.getvalue(), told.getvalue()


def test_a_digest_tells_rows_of_other_content_or_other_meaning_apart(tmp_path: Path) -> None:
    def digest(data: bytes, **job: object) -> str:
        return Staged(tmp_path, data, **job).rows[0][-1]

    first = digest(b"email,name,city\na@b.it,Anna,\n")
    # The same row on another line, in another encoding, with other line ends; and beside a row that crosses two lines.
    assert digest(b"email,name,city\r\n\r\na@b.it,Anna,\r\n") == first
    assert digest("email,name,city\na@b.it,Anna,\n".encode("utf-16")) == first
    crossing = b'email,name,city\na@b.it,Anna,\nb@b.it,"A\nB",\n'
    assert digest(crossing) == digest(b'EMAIL;name;city\na@b.it;Anna;\nb@b.it;"A\nB";\n') != first
    others = [
        digest(b"email;name;city\na@b.it;Anna;\n"),
        digest(b"email,name,city\na@b.it,Anna,\n", country="DE"),
        digest(b"email,name,city\na@b.it,Anna,\n", defaults={"city": "Bari"}),
        digest(b"email,name,city\na@b.it,Anna,Bari\n"),
        digest(b"email,name\na@b.it,Anna\n"),
        digest(b"email,name,city\na@b.it,Anna,\n", empty_cells="erase"),
        digest(b"email,name,city,vip\na@b.it,Anna,,\n", custom=(Field("vip", "boolean", True),)),
        digest(b"email,name,city,vip\na@b.it,Anna,,\n", custom=(Field("vip", "text", True),)),
    ]
    assert len({first, *others}) == 9


def test_another_number_of_rows_than_announced_is_a_finding(tmp_path: Path) -> None:
    found = Staged(tmp_path, b"email\na@b.it\n", expected_rows=2).answer
    assert [(one.code, one.count) for one in found.findings] == [("file.row_count", 1)]
    assert found.done
    assert Staged(tmp_path, b"email\na@b.it\n", expected_rows=1).answer.findings == ()
