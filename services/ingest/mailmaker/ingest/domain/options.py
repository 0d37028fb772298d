"""ingest.domain.options: what a client asks of an import, complete with defaults, and what a saved profile adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from mailmaker.ingest.domain.fields import naming

Word = Literal["keep", "erase"]
Mode = Literal["incremental", "add", "update", "full", "opt_out"]
Scope = Literal["list", "account"]
Channel = Literal["email", "sms"]
REMOVED_UNSAID = 20.0
FEWEST_UNSAID = 10


class Unsaid(ValueError):
    """An option that neither the client nor the profile names. `name` is which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"name the option `{name}`, or a profile that has it")
        self.name = name


@dataclass(frozen=True, slots=True)
class Guards:
    """Above these percentages an import waits for somebody's word. None: never for that reason."""

    max_removed_percent: float | None = None
    max_dropped_percent: float | None = None
    max_rejected_percent: float | None = None
    min_contacts: int = 0
    """`max_removed_percent` is asked of lists with at least so many contacts."""
    key_changed: bool = True
    """Whether a file waits whose key comes from another column than the last one's."""

    @classmethod
    def of(cls, said: Mapping[str, Any] | None, mode: str) -> Guards | None:
        """What a client says, and what a full file's guards are where it says nothing: a cut one must not empty a list.
        A percentage of a handful of contacts means nothing, so such a list is not asked unless a client does."""
        if mode == "full" and "max_removed_percent" not in (said or {}):
            said = {"max_removed_percent": REMOVED_UNSAID, "min_contacts": FEWEST_UNSAID} | dict(said or {})
        return None if said is None else cls(**said)


@dataclass(frozen=True, slots=True)
class SplitName:
    """One column that holds name and surname, and in which order."""

    column: str
    order: Literal["name_surname", "surname_name"] = "name_surname"


@dataclass(frozen=True, slots=True)
class LawfulBasis:
    """Why people who once opted out may be written to again, in the client's own words. `consented_at`: when they
    consented anew, as RFC 3339 text; no "no" that was said after it is lifted. Releases before did not ask for it."""

    text: str
    consented_at: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, complete with defaults."""

    list_id: UUID
    mode: Mode
    profile_id: UUID | None = None
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    empty_cells: Word | Mapping[str, Word] = "keep"
    protect_cancellations: bool = True
    consent: Literal["subscribed", "pending"] = "subscribed"
    apply: Literal["auto", "on_approval"] = "auto"
    expected_rows: int | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | int | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    date_formats: tuple[str, ...] = ()
    decimal: Literal[".", ","] | None = None
    split_name: SplitName | None = None
    trailer: str | None = None
    guards: Guards | None = None
    scope: Scope = "list"
    """Where the "no"s of an opt-out file stand: in its list, or in every list of the account."""
    channel: Channel | None = None
    """The one channel that the "no"s of an opt-out file are about; None: what each row's columns say."""
    lawful_basis: LawfulBasis | None = None

    @property
    def naming(self) -> tuple[str, ...]:
        """The fields by which an opt-out file says whom it is about; none for other files."""
        return naming(self.channel) if self.mode == "opt_out" else ()

    @property
    def empty_word(self) -> Word:
        """What an empty cell does to the fields that the option does not name."""
        return self.empty_cells if isinstance(self.empty_cells, str) else "keep"

    def empty_by_field(self, stored: Callable[[str], str] = str) -> dict[str, Word]:
        """What an empty cell does, field by field. `stored`: what a field is called in the answer."""
        if isinstance(self.empty_cells, str):
            return {}
        return {stored(name): word for name, word in self.empty_cells.items()}

    def empty_text(self, stored: Callable[[str], str] = str) -> str:
        """The whole policy in one text: rows of files that differ in it mean different things."""
        fields = self.empty_by_field(stored)
        return " ".join([self.empty_word, *(f"{name}={fields[name]}" for name in sorted(fields))])

    def as_json(self) -> dict[str, Any]:
        """The options as the API shows them."""
        made = {name: getattr(self, name) for name in self.__slots__}
        made["list"], made["profile"] = str(made.pop("list_id")), made.pop("profile_id")
        made["profile"] = None if made["profile"] is None else str(made["profile"])
        made["mapping"], made["defaults"] = dict(self.mapping), dict(self.defaults)
        made["empty_cells"] = self.empty_by_field() or self.empty_word
        made["date_formats"] = list(self.date_formats)
        made["split_name"] = None if self.split_name is None else asdict(self.split_name)
        made["guards"] = None if self.guards is None else asdict(self.guards)
        made["lawful_basis"] = None if self.lawful_basis is None else asdict(self.lawful_basis)
        return made

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Options:
        """Options that `as_json` wrote, also those of an earlier release; what is missing has its default."""
        rest = {name: value for name, value in found.items() if name in cls.__slots__}
        if rest.get("split_name") is not None:
            rest["split_name"] = SplitName(**rest["split_name"])
        rest["guards"] = Guards.of(rest.get("guards"), found["mode"])
        if rest.get("lawful_basis") is not None:
            rest["lawful_basis"] = LawfulBasis(**rest["lawful_basis"])
        rest["date_formats"] = tuple(rest.get("date_formats") or ())
        profile = found.get("profile")
        return cls(
            list_id=UUID(str(found["list"])),
            profile_id=None if profile is None else UUID(str(profile)),
            **{**rest, "mapping": rest.get("mapping") or {}, "defaults": rest.get("defaults") or {}},
        )


def completed(asked: Mapping[str, Any], profile: Mapping[str, Any] | None = None) -> Options:
    """What the client says, else what the profile says, else the default. Raises Unsaid for what has none."""
    said = {**(profile or {}), **asked}
    for name in ("list", "mode"):
        if said.get(name) is None:
            raise Unsaid(name)
    return Options.from_json(said)


def contradictions(of: Options) -> list[tuple[str, str, str]]:
    """Options that do not go together, or need another one: each as (name, code, what to do)."""
    opts_out = of.mode == "opt_out"
    found = []
    if not opts_out:
        for name, said in (("scope", of.scope != "list"), ("channel", of.channel is not None)):
            if said:
                found.append((name, "option.of_opt_out", f"`{name}` is an option of the mode opt_out"))
    else:
        for name, said in (
            ("defaults", bool(of.defaults)),
            ("split_name", of.split_name is not None),
            ("protect_cancellations", not of.protect_cancellations),
        ):
            if said:
                detail = "an opt-out file writes no field of a contact and takes no cancellation back"
                found.append((name, "option.not_of_opt_out", detail))
    if not of.protect_cancellations and of.lawful_basis is None and not opts_out:
        detail = (
            "say in `text` why people who opted out may be written to again, in `consented_at` since when"
        )
        found.append(("lawful_basis", "missing", detail))
    if of.protect_cancellations and of.lawful_basis is not None:
        detail = "a lawful basis is stated with `protect_cancellations: false`"
        found.append(("lawful_basis", "option.unused", detail))
    return found


def consented_after(of: Options, received_at: datetime) -> bool:
    """Whether the consent that the client states would be newer than the file that tells of it."""
    at = None if of.lawful_basis is None else of.lawful_basis.consented_at
    return at is not None and datetime.fromisoformat(at) > received_at
