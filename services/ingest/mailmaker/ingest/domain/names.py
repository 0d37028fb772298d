"""ingest.domain.names: a column that holds name and surname, cut in two where somebody asked for it."""

from __future__ import annotations

_PARTICLES = frozenset((
    "d", "da", "dal", "dalla", "dall", "de", "degli", "dei", "del", "della", "delle", "dell", "dello", "den", "der", "di",
    "el", "la", "le", "li", "lo", "san", "santa", "van", "von",
))  # fmt: skip


def split(text: str, order: str) -> tuple[str, str]:
    """(name, surname). A comma stands after the surname, whatever the order.

    `name_surname`: the first word is the name. `surname_name`: the surname is the particles that lead ("De", "Della")
    and one word. A single word is the surname.
    """
    if "," in text:
        surname, _, name = text.partition(",")
        return name.strip(), surname.strip()
    words = text.split()
    if len(words) < 2:
        return "", " ".join(words)
    if order == "name_surname":
        return words[0], " ".join(words[1:])
    end = 0
    while end < len(words) - 2 and words[end].casefold().rstrip("'’") in _PARTICLES:
        end += 1
    return " ".join(words[end + 1 :]), " ".join(words[: end + 1])
