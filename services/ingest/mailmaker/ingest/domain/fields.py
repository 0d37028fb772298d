"""ingest.domain.fields: the fields a column may fill, and the header texts that name them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "email",
    "mobile",
    "fkey",
    "text",
    "sex",
    "birth_date",
    "country",
    "language",
    "number",
    "date",
    "boolean",
    "enum",
]

STANDARD: dict[str, Kind] = {
    "email": "email",
    "mobile": "mobile",
    "fkey": "fkey",
    "name": "text",
    "surname": "text",
    "sex": "sex",
    "birth_date": "birth_date",
    "province": "text",
    "region": "text",
    "city": "text",
    "postal_code": "text",
    "country": "country",
    "language": "language",
}
"""In the order of the staged file's columns."""

STAGED_COLUMNS = ("line", "key_text", *STANDARD, "custom", "digest")
_UNSHOWN = re.compile("[\x00\ud800-\udfff]")
REJECT_COLUMNS = ("_line", "_field", "_code", "_message")

_NAMING: dict[str, str | None] = {"email": "email", "mobile": "sms", "fkey": None}
# Only names that can mean nothing else: a landline under "telefono" or a status under "stato" must not reject its row.
_ALIASES = {
    "email": "e_mail mail email_address indirizzo_email posta_elettronica indirizzo_e_mail",
    "mobile": "cellulare cell mobile_phone mobile_number telefono_cellulare numero_cellulare cell_phone",
    "fkey": "external_id id_esterno codice_cliente customer_id external_key chiave",
    "name": "nome first_name firstname given_name",
    "surname": "cognome last_name lastname family_name",
    "sex": "sesso gender genere",
    "birth_date": "data_nascita data_di_nascita birthdate date_of_birth dob nascita birthday",
    "province": "provincia prov",
    "region": "regione",
    "city": "citta comune town localita",
    "postal_code": "cap zip zip_code postcode codice_postale",
    "country": "nazione paese country_code",
    "language": "lingua lang locale",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the list that a column may fill. `values` are an enum's; `key` is what contacts keeps it under."""

    name: str
    kind: Kind
    custom: bool = False
    values: tuple[str, ...] = ()
    key: str = ""

    @property
    def stored(self) -> str:
        """How staged rows name it."""
        return self.key or self.name


def naming(channel: str | None) -> tuple[str, ...]:
    """What names a person in an opt-out file that is about one channel, or about all."""
    return tuple(name for name, of in _NAMING.items() if channel in (None, of or channel))


def plain(header: str) -> str:
    """A header cell as it is compared: no accents, no case, words joined by one underscore."""
    text = unicodedata.normalize("NFKD", header.strip()).casefold()
    text = "".join(c for c in text if not unicodedata.combining(c))
    lead = "_" if text.startswith("_") else ""
    return lead + re.sub(r"[^a-z0-9]+", "_", text.replace("'", "")).strip("_")


def shown(text: str) -> str:
    """A name from outside as it can be kept and shown: without NUL and lone surrogates, which no text in JSON survives."""
    return _UNSHOWN.sub("", text)


KNOWN_HEADERS: dict[str, str] = {name: name for name in STANDARD} | {
    alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()
}


def list_fields(custom: tuple[Field, ...]) -> dict[str, Field]:
    """Every field of a list by its name: the standard ones, then its own."""
    fields = {name: Field(name, kind) for name, kind in STANDARD.items()}
    return fields | {field.name: field for field in custom}
