"""contacts.domain.likeness: which letters count as the same when text is looked for without regard to case and accents.

A letter of the Latin alphabet is like its capital and like each of its accented forms: `forli` finds `FORLÌ` and
`Forli`. Other alphabets know case only. Text is compared as it is stored, in NFC.
"""

from __future__ import annotations

import unicodedata

_LATIN = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
"""Letters with accents: Latin-1, Latin Extended-A and -B, Latin Extended Additional."""
_STROKES = {
    "Ø": "o",
    "ø": "o",
    "Ł": "l",
    "ł": "l",
    "Đ": "d",
    "đ": "d",
    "Ħ": "h",
    "ħ": "h",
    "Ŧ": "t",
    "ŧ": "t",
}
"""Letters whose stroke Unicode does not write as an accent."""


def _unaccented() -> dict[str, str]:
    found = dict(_STROKES)
    for code in _LATIN:
        first = unicodedata.normalize("NFD", chr(code))[0]
        if first != chr(code) and first.isascii() and first.isalpha():
            found[chr(code)] = first.lower()
    return found


_PLAIN = _unaccented()


def _alike() -> dict[str, str]:
    found: dict[str, str] = {}
    for letter, plain in sorted(_PLAIN.items()):
        found[plain] = found.get(plain, "") + letter
    return found


_ALIKE = _alike()


def plain(text: str) -> str:
    """The text as it is compared: small letters without accents, as many characters as before."""
    return "".join(_plain(letter) for letter in text)


def _plain(letter: str) -> str:
    if letter in _PLAIN:
        return _PLAIN[letter]
    small = letter.lower()
    # Only pairs that are each other's: ẞ and ß, or the two small sigmas, stay what they are.
    return small if len(small) == 1 and (small == letter or small.upper() == letter) else letter


def alike(letter: str) -> str:
    """Every character that `plain` makes the same as this one of its own results."""
    capital = letter.upper()
    twin = capital if len(capital) == 1 and capital != letter and _plain(capital) == letter else ""
    return letter + twin + _ALIKE.get(letter, "")
