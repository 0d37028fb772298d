"""ingest.readers.mobiles: mobile numbers told by text where the result is surely the same, else by phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from mailmaker.ingest.domain import cells
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata


def _national(country: str) -> tuple[str, str, str] | None:
    """(+code, trunk prefix, pattern of mobile numbers) where the country alone has its calling code."""
    about = PhoneMetadata.metadata_for_region(country, None)
    if about is None or about.country_code is None or about.mobile is None:
        return None
    regions = COUNTRY_CODE_TO_REGION_CODE.get(about.country_code, ())
    # +39 is the Vatican's too, for land lines only.
    if about.mobile.national_number_pattern is None or (len(regions) > 1 and country != "IT"):
        return None
    trunk = about.national_prefix if about.national_prefix == about.national_prefix_for_parsing else None
    return f"+{about.country_code}", trunk or "", str(about.mobile.national_number_pattern)


def e164(country: str) -> str:
    """A pattern of numbers that are written as they are kept. One that matches nothing where there is none."""
    national = _national(country)
    return r"(?!)" if national is None else rf"\{national[0]}(?:{national[2]})"


def mobile(country: str) -> Callable[[str], str]:
    """Separators and a missing prefix are mended by text where the result is surely the same; else by phonenumbers."""
    national = _national(country)
    if national is None:
        return partial(cells.mobile, country=country)
    code, trunk, pattern = national
    known = re.compile(pattern, re.ASCII).fullmatch

    def one(cell: str) -> str:
        digits = cell.strip().replace(" ", "").replace("-", "").replace(".", "")
        if digits.startswith("00"):
            digits = "+" + digits[2:]
        rest = digits[len(code) :] if digits.startswith(code) else digits.removeprefix(trunk)
        return code + rest if known(rest) and digits.isascii() else cells.mobile(cell, country)

    return one
