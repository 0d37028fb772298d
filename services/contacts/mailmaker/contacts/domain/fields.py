"""contacts.domain.fields: a list's custom fields: named for people, kept by an id that a rename does not touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mailmaker.contacts.domain.lists import FIELD_NAME, RESERVED, ContactList, Field, FieldType

MOST_RETIRED = 400
CUSTOM = "custom."
FaultAt = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class FieldWish:
    """A field as the client asks for it. `id` names one that exists, whatever it is called now."""

    name: str
    type: FieldType
    values: tuple[str, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold of the contacts before the fields may change: none has a value of the field `key` (`but` is None),
    or none has another one than these."""

    key: str
    but: tuple[str, ...] | None
    fault: FaultAt


@dataclass(frozen=True, slots=True)
class Arranged:
    """A list's fields after a change, and what the contacts must be asked first."""

    fields: tuple[Field, ...]
    retired: tuple[Field, ...]
    checks: tuple[Check, ...] = ()
    faults: tuple[FaultAt, ...] = ()


def arranged(of: ContactList, wishes: Sequence[FieldWish]) -> Arranged:
    """The list with exactly these fields in use. What is not named is retired; a retired one that is named comes back."""
    known = [*of.fields, *of.retired]
    claimed = {wish.id for wish in wishes}
    by_id = {f.key: f for f in known}
    # A field that another wish names by its id is that one's, whatever it was called.
    by_name = {f.name: f for f in known if f.key not in claimed}
    taken, faults, checks = set(by_id), [*_faults(wishes)], []
    found: list[Field] = []
    for at, wish in enumerate(wishes):
        was = by_id.get(wish.id) if wish.id is not None else by_name.get(wish.name)
        if wish.id is not None and was is None:
            faults.append((f"/{at}/id", "field.unknown", "the list has no field with this id; leave it out"))
        key = was.key if was is not None else _free(wish.name, taken)
        taken.add(key)
        if key in {f.key for f in found}:
            faults.append((f"/{at}", "field.twice", "the field is named twice"))
        found.append(Field(wish.name, wish.type, wish.values, key))
        if was is not None:
            checks += _checks(at, was, wish)
    in_use = {f.key for f in found}
    retired = tuple(f for f in known if f.key not in in_use)
    names = {f.name for f in retired}
    faults += [
        (
            f"/{at}/name",
            "field.name_retired",
            "a retired field has this name: bring that one back, or rename it",
        )
        for at, f in enumerate(found)
        if f.name in names
    ]
    if len(retired) > MOST_RETIRED:
        faults.append(("", "field.too_many", f"a list keeps at most {MOST_RETIRED} retired fields"))
    return Arranged(tuple(found), retired, tuple(checks), tuple(faults))


def changed(
    of: ContactList, key: str, name: str | None, values: tuple[str, ...] | None, retired: bool | None
) -> Arranged:
    """The list after one field was renamed, retired, brought back, or its enum's values changed."""
    known = [*of.fields, *of.retired]
    was = next(f for f in known if f.key == key)
    now = replace(
        was, name=was.name if name is None else name, values=was.values if values is None else values
    )
    wish = FieldWish(now.name, now.type, now.values, key)
    faults = [(pointer.removeprefix("/0"), code, why) for pointer, code, why in _faults([wish])]
    if any(f.name == now.name for f in known if f.key != key):
        faults.append(("/name", "field.twice", "another field of the list has this name"))
    checks = [
        Check(c.key, c.but, (c.fault[0].removeprefix("/0"), *c.fault[1:])) for c in _checks(0, was, wish)
    ]
    rests = was in of.retired if retired is None else retired
    fields = [now if f.key == key else f for f in of.fields if f.key != key or not rests]
    gone = [now if f.key == key else f for f in of.retired if f.key != key or rests]
    if rests and was in of.fields:
        gone.append(now)
    if not rests and was in of.retired:
        fields.append(now)
    return Arranged(tuple(fields), tuple(gone), tuple(checks), tuple(faults))


def by_names(custom: Mapping[str, object], of: ContactList) -> dict[str, object]:
    """What a contact holds, as people name it. Values of retired fields are not shown."""
    return {f.name: custom[f.key] for f in of.fields if f.key in custom}


def facts_by_names(facts: Mapping[str, object], of: ContactList) -> dict[str, object]:
    """Facts of a history or a plan with the present names of their custom fields. Those of retired ones are not shown."""
    names = {f.key: f.name for f in of.fields}
    found: dict[str, object] = {}
    for name, value in facts.items():
        if name == "custom" and isinstance(value, Mapping):
            found.update({f"{CUSTOM}{names[key]}": one for key, one in value.items() if key in names})
        elif not name.startswith(CUSTOM):
            found[name] = value
        elif (key := name.removeprefix(CUSTOM)) in names:
            found[f"{CUSTOM}{names[key]}"] = value
    return found


def _free(name: str, taken: set[str]) -> str:
    """A new field's id: its name, unless values of another field are kept under it. A digit begins no name."""
    if name not in taken:
        return name
    return next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)


def _checks(at: int, was: Field, wish: FieldWish) -> list[Check]:
    if wish.type is not was.type:
        why = f"contacts hold values of this field as {was.type}: retire it, and add another one"
        return [Check(was.key, None, (f"/{at}/type", "field.type_in_use", why))]
    if set(was.values) - set(wish.values):
        why = "contacts hold a value that is no longer listed; change them first, or keep it"
        return [Check(was.key, wish.values, (f"/{at}/values", "field.value_in_use", why))]
    return []


def _faults(wishes: Sequence[FieldWish]) -> list[FaultAt]:
    """What is wrong with fields by themselves, as (JSON pointer, code, detail)."""
    faults: list[FaultAt] = []
    seen: set[str] = set()
    for at, one in enumerate(wishes):
        if not FIELD_NAME.match(one.name):
            faults.append((f"/{at}/name", "field.name", "lower-case letters, digits and _, a letter first"))
        elif one.name in RESERVED:
            faults.append((f"/{at}/name", "field.reserved", "the name of a standard field"))
        elif one.name in seen:
            faults.append((f"/{at}/name", "field.twice", "the name is used twice"))
        seen.add(one.name)
        if (one.type is FieldType.ENUM) != bool(one.values):
            faults.append(
                (f"/{at}/values", "field.values", "an enum needs values, and only an enum has them")
            )
        elif len(set(one.values)) != len(one.values):
            faults.append((f"/{at}/values", "field.values_twice", "a value is listed twice"))
    return faults
