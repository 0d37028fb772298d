"""contacts.domain.segment_fields: the fields a rule may name, of what kind each is, and what may be asked of a kind.

A custom field is named `custom.NAME`. A date's or a moment's ops count in days of the list's time zone: `in_last_days` 7
is from seven days ago until today, `in_next_days` 7 from today until seven days ahead, both ends included;
`older_than_days` 7 is every day before seven days ago. An anniversary of 29 February falls on the 28th in a common year.
`between` includes both ends. Text is compared letter by letter, an email without regard to case; `same_as`,
`starts_with`, `contains` and `ends_with` pass over case and accents (domain.likeness).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList, FieldType
from mailmaker.contacts.domain.segments import Kind, Op

CUSTOM = "custom."


@dataclass(frozen=True, slots=True)
class Known:
    """A field that a rule may name. `values`: the only ones it can have, where they are few."""

    kind: Kind
    values: tuple[str, ...] = ()
    stored: str = ""
    """What a custom field's values are kept under."""


_EMPTY = frozenset({Op.IS_EMPTY, Op.IS_NOT_EMPTY})
_SETS = frozenset({Op.EQ, Op.NE, Op.IN, Op.NOT_IN})
_ORDER = frozenset({Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN})
_LIKE = frozenset({Op.SAME_AS, Op.STARTS_WITH, Op.CONTAINS, Op.ENDS_WITH})
_MOMENT = frozenset({Op.EQ, Op.NE, Op.IN_LAST_DAYS, Op.OLDER_THAN_DAYS}) | _ORDER | _EMPTY

OPS: Mapping[Kind, frozenset[Op]] = {
    Kind.TEXT: _SETS | _ORDER | _LIKE | _EMPTY,
    Kind.EMAIL: _SETS | _LIKE | _EMPTY,
    Kind.CHOICE: _SETS | _EMPTY,
    Kind.NUMBER: _SETS | _ORDER | _EMPTY,
    Kind.DATE: _SETS
    | _ORDER
    | _EMPTY
    | {Op.IN_LAST_DAYS, Op.IN_NEXT_DAYS, Op.OLDER_THAN_DAYS, Op.ANNIVERSARY_IN_NEXT_DAYS},
    Kind.BOOLEAN: frozenset({Op.EQ, Op.NE}) | _EMPTY,
    Kind.MOMENT: _MOMENT,
    Kind.ENGAGEMENT: _MOMENT | {Op.OF_MAILING},
    Kind.IMPORT: frozenset({Op.TOUCHED_BY, Op.CREATED_BY, Op.IN_LAST_DAYS}),
}
SPELLINGS = {"=": Op.EQ, "!=": Op.NE, "<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE}
"""How else an op may be written; a rule is answered in the names above."""

ENGAGEMENT = ("delivered", "opened", "clicked")
"""When a contact last got a mailing, opened one, followed a link of one."""
_CONSENTS = tuple(str(one) for one in Consent)
_STANDARD = {
    **{name: Known(Kind.TEXT) for name in STANDARD_FIELDS},
    "email": Known(Kind.EMAIL),
    "sex": Known(Kind.CHOICE, ("M", "F", "X")),
    "birth_date": Known(Kind.DATE),
    "email_consent": Known(Kind.CHOICE, _CONSENTS),
    "sms_consent": Known(Kind.CHOICE, _CONSENTS),
    "created_at": Known(Kind.MOMENT),
    "changed_at": Known(Kind.MOMENT),
    **{name: Known(Kind.ENGAGEMENT) for name in ENGAGEMENT},
    "import": Known(Kind.IMPORT),
}
_CUSTOM = {
    FieldType.TEXT: Kind.TEXT,
    FieldType.NUMBER: Kind.NUMBER,
    FieldType.DATE: Kind.DATE,
    FieldType.BOOLEAN: Kind.BOOLEAN,
    FieldType.ENUM: Kind.CHOICE,
}


def known_fields(of: ContactList) -> dict[str, Known]:
    """Every field that a rule of this list may name."""
    own = {f"{CUSTOM}{one.name}": Known(_CUSTOM[one.type], one.values, one.key) for one in of.fields}
    return {**_STANDARD, **own}
