"""unit: what a path, a name and a lying file mean; how long a guesser waits; what begins like an encrypted file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.ingest.domain.drops import Drop, Lying, Mark, Rule, look_through, rule_for
from mailmaker.ingest.domain.logins import LONGEST, Failures
from mailmaker.ingest.domain.paths import LONGEST_NAME, ROOT, BadPath, Folder, Place, place_of, plain_name
from mailmaker.ingest.readers.pgp import is_encrypted
from mailmaker.ingest.storage.passwords import hashed, is_right

NOW = 1_000_000.0
LIST = UUID(int=7)
OTHER = UUID(int=8)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", ROOT),
        ("", ROOT),
        (".", ROOT),
        ("../../..", ROOT),
        ("/in", Place(Folder.IN)),
        ("/in/", Place(Folder.IN)),
        ("/in/../done//.", Place(Folder.DONE)),
        ("/in/a.csv", Place(Folder.IN, "a.csv")),
        (b"/in/caff\xc3\xa8.csv", Place(Folder.IN, "caffè.csv")),
        ("/in/cafe\u0300.csv", Place(Folder.IN, "cafè.csv")),
        ("/../in/a.csv", Place(Folder.IN, "a.csv")),
    ],
)
def test_a_path_is_one_of_ours(path: str | bytes, place: Place) -> None:
    assert place_of(path) == place


def test_a_path_is_seen_from_where_one_is() -> None:
    assert place_of("a.csv", Place(Folder.IN)) == Place(Folder.IN, "a.csv")
    assert place_of("..", Place(Folder.IN)) == ROOT
    assert place_of("../done/x", Place(Folder.IN)) == Place(Folder.DONE, "x")


@given(st.text() | st.binary())
def test_whatever_comes_is_a_place_of_ours_or_refused(path: str | bytes) -> None:
    try:
        place = place_of(path)
    except BadPath:
        return
    if place.name is not None:
        assert place.folder in Folder
        assert "/" not in place.name
        assert "\0" not in place.name
        assert place.name not in (".", "..")
        assert len(place.name.encode()) <= LONGEST_NAME
        assert plain_name(place.name) == place.name
        assert place_of(str(place)) == place


def lying(name: str = "a.csv", mark: Mark = Mark.CLOSED, age: float = 100.0) -> Lying:
    return Lying(name, 10, 1, 1, NOW - age, mark)


@pytest.mark.parametrize(
    ("files", "ready", "cut", "stale"),
    [
        ([lying()], ["a.csv"], [], []),
        ([lying(age=9.0)], [], [], []),
        ([lying(mark=Mark.OPEN)], [], [], []),
        ([lying(mark=Mark.OPEN, age=9000.0)], [], ["a.csv"], []),
        ([lying(mark=Mark.COMPLETE, age=0.0)], ["a.csv"], [], []),
        ([lying("a.csv.part")], [], [], []),
        ([lying("a.csv.part", Mark.COMPLETE)], [], [], []),
        ([lying("A.CSV.FILEPART")], [], [], []),
        ([lying(".a.csv")], [], [], []),
        ([lying("a.csv.part", age=9000.0)], [], ["a.csv.part"], []),
        ([lying(age=5.0), lying("a.csv.done", age=4.0)], ["a.csv"], [], []),
        ([lying(mark=Mark.OPEN, age=5.0), lying("a.csv.done", age=4.0)], ["a.csv"], [], []),
        ([lying(age=5.0), lying("a.csv.done", age=6.0)], [], [], []),
        ([lying("a.csv.done", age=100.0)], [], [], []),
        ([lying("a.csv.done", age=9000.0)], [], [], ["a.csv.done"]),
        ([lying("b.csv", age=20.0), lying("a.csv", age=10.0)], ["b.csv", "a.csv"], [], []),
    ],
)
def test_when_a_file_is_complete(
    files: list[Lying], ready: list[str], cut: list[str], stale: list[str]
) -> None:
    found = look_through(files, NOW, stable=10.0, patience=3600.0)
    assert [one.name for one in found.ready] == ready
    assert [one.name for one in found.cut] == cut
    assert list(found.stale_marks) == stale


def test_the_first_rule_that_matches_counts() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    asked = {"list": str(LIST), "mode": "full"}
    first, second = Rule("full*.csv", asked), Rule("*.csv", {"list": str(LIST), "profile": str(OTHER)})
    drop = Drop(LIST, LIST, "u", "n", ("sftp",), (first, second), at, at)
    assert rule_for(drop, "FULL-2026.CSV") is first
    assert rule_for(drop, "other.csv.pgp") is second
    assert rule_for(drop, "other.txt") is None
    assert Rule.from_json(first.as_json()) == first
    assert (first.list_id, first.profile, second.profile) == (LIST, None, OTHER)
    assert [rule.by_name for rule in (first, second, Rule("*", {**asked, "profile": None}))] == [
        True,
        False,
        False,
    ]


def test_who_guesses_waits_longer_and_longer() -> None:
    found = Failures()
    waits = []
    for _ in range(30):
        found = found.failed(NOW)
        waits.append(found.heard_again(5) - NOW)
    assert waits[:4] == [-NOW] * 4
    assert waits[4:8] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST
    assert found.failed(NOW + 3601).count == 1


def test_a_password_rests_hashed_and_salted() -> None:
    stored = hashed("open sesame")
    assert stored != hashed("open sesame")
    assert "sesame" not in stored
    assert is_right("open sesame", stored)
    assert not is_right("open sesam", stored)


@pytest.mark.parametrize(
    ("name", "head", "encrypted"),
    [
        ("a.csv", b"email,name\r\n", False),
        ("a.csv.pgp", b"email,name\r\n", True),
        ("a.csv.GPG", b"", True),
        ("a.csv", b"-----BEGIN PGP MESSAGE-----\n\nxyz", True),
        ("a.csv", b"\r\n-----BEGIN PGP MESSAGE-----\n\nxyz", True),
        ("a.csv", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", False),
        ("a.csv", bytes.fromhex("c16c0615044df8c2"), True),
        ("a.csv", bytes.fromhex("c15e030102030405"), True),
        ("a.csv", bytes.fromhex("85010c0301020304"), True),
        ("a.csv", "Área;nome;email".encode("cp1252"), False),
        ("a.csv", "…;nome;email;a;b".encode("cp1252"), False),
        ("a.csv", "età;nome".encode(), False),
        ("a.csv", b"\xc1", False),
    ],
)
def test_what_begins_like_an_encrypted_file(tmp_path: Path, name: str, head: bytes, encrypted: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(head)
    assert is_encrypted(path, name) is encrypted
