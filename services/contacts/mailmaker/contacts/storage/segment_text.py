"""contacts.storage.segment_text: text found without regard to case and accents (domain.likeness), said in SQL.

Nearly all values are ASCII, and LIKE over small letters is fast. The others are met with a regular expression that has a
class of characters for each letter: several times faster than taking the accents off every value, and, as both parts
compare bytes in the C collation, the same on every server whatever its locale.
"""

from __future__ import annotations

from collections.abc import Callable

from mailmaker.contacts.domain.likeness import alike, plain
from mailmaker.contacts.domain.segments import Op

_ENDS = {
    Op.SAME_AS: (False, False),
    Op.STARTS_WITH: (False, True),
    Op.ENDS_WITH: (True, False),
    Op.CONTAINS: (True, True),
}
"""Whether anything may stand before and after the wanted text."""


def like_sql(field: str, op: Op, wanted: str, bind: Callable[[object], str]) -> str:
    """A condition on a text field. Both forms of the wanted text are bound."""
    before, after = _ENDS[op]
    small = plain(wanted)
    pattern = f"{'%' if before else ''}{_escaped(small)}{'%' if after else ''}"
    expression = f"{'' if before else '^'}{''.join(map(_class, small))}{'' if after else '$'}"
    return (
        f"CASE WHEN octet_length({field}) = length({field})"
        f' THEN lower(({field}) COLLATE "C") LIKE {bind(pattern)}::text'
        f' ELSE ({field}) COLLATE "C" ~ {bind(expression)}::text END'
    )


def _escaped(text: str) -> str:
    """Nothing in the text is taken for a wildcard."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _class(letter: str) -> str:
    """One character of the wanted text in PostgreSQL's regular expressions: a class of its letters, or itself."""
    letters = alike(letter)
    if len(letters) > 1:
        return f"[{letters}]"
    return f"\\{letter}" if letter.isascii() and not letter.isalnum() else letter
