"""common.demo.people: Italian contacts who do not exist: the same seed gives the same file, byte for byte."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

HEADER = (
    "fkey", "email", "name", "surname", "sex", "birth_date", "province", "region", "city", "postal_code", "country",
    "language",
)  # fmt: skip
_WOMEN = (
    "Giulia", "Sofia", "Aurora", "Alice", "Ginevra", "Emma", "Giorgia", "Greta", "Beatrice", "Anna",
    "Chiara", "Sara", "Martina", "Elena", "Francesca", "Laura", "Valentina", "Silvia", "Paola", "Federica",
)  # fmt: skip
_MEN = (
    "Leonardo", "Francesco", "Lorenzo", "Alessandro", "Andrea", "Mattia", "Gabriele", "Tommaso",
    "Riccardo", "Edoardo", "Matteo", "Marco", "Luca", "Davide", "Giuseppe", "Antonio", "Niccolò", "Paolo",
    "Stefano", "Simone",
)  # fmt: skip
_SURNAMES = (
    "Rossi", "Russo", "Ferrari", "Esposito", "Bianchi", "Romano", "Colombo", "Ricci", "Marino", "Greco",
    "Bruno", "Gallo", "Conti", "De_Luca", "Mancini", "Costa", "Giordano", "Rizzo", "Lombardi", "Moretti",
    "Barbieri", "Fontana", "Santoro", "Mariani", "Rinaldi", "Caruso", "Ferrara", "Galli", "Martini",
    "Leone", "D'Angelo", "D'Amico", "Nicolò",
)  # fmt: skip
_PLACES = (
    ("MI", "Lombardia", "Milano", "20121"), ("RM", "Lazio", "Roma", "00184"), ("NA", "Campania", "Napoli", "80133"),
    ("TO", "Piemonte", "Torino", "10121"), ("PA", "Sicilia", "Palermo", "90133"), ("GE", "Liguria", "Genova", "16121"),
    ("BO", "Emilia-Romagna", "Bologna", "40121"), ("FI", "Toscana", "Firenze", "50122"),
    ("BA", "Puglia", "Bari", "70121"), ("CT", "Sicilia", "Catania", "95124"), ("VE", "Veneto", "Venezia", "30121"),
    ("VR", "Veneto", "Verona", "37121"), ("FC", "Emilia-Romagna", "Forlì", "47121"),
    ("CA", "Sardegna", "Cagliari", "09124"),
    ("PG", "Umbria", "Perugia", "06121"), ("AN", "Marche", "Ancona", "60121"),
    ("TS", "Friuli-Venezia Giulia", "Trieste", "34121"),
    ("AQ", "Abruzzo", "L'Aquila", "67100"), ("RC", "Calabria", "Reggio Calabria", "89121"),
    ("TN", "Trentino-Alto Adige", "Trento", "38122"),
)  # fmt: skip
# Reserved for tests (RFC 2606): whatever goes wrong, no such mailbox exists.
_DOMAINS = ("posta.test", "libro.test", "virgola.test", "tiscalina.test", "aliceadsl.test", "example.com")
_PLAIN = str.maketrans("òìù", "oiu", "' _")


def people(count: int, seed: int = 20261124) -> Iterator[tuple[str, ...]]:
    """Rows under HEADER. Addresses and fkeys are unique; names carry accents and apostrophes as real ones do."""
    dice = Random(seed)
    oldest = date(1940, 1, 1)
    for number in range(1, count + 1):
        woman = dice.random() < 0.52
        name = dice.choice(_WOMEN if woman else _MEN)
        surname = dice.choice(_SURNAMES).replace("_", " ")
        province, region, city, postal_code = dice.choice(_PLACES)
        born = oldest + timedelta(days=dice.randrange(24_000))
        local = f"{name}.{surname}.{number}".lower().translate(_PLAIN)
        yield (
            f"C{number:08d}", f"{local}@{dice.choice(_DOMAINS)}", name, surname, "F" if woman else "M", born.isoformat(),
            province, region, city, postal_code, "IT", "it",
        )  # fmt: skip


def write_file(path: Path, count: int, seed: int = 20261124) -> None:
    """The people as a CSV file, UTF-8, comma, CRLF."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(people(count, seed))
