"""dispatch.relay: the shaping rules from their files: the ones shipped, and an operator's laid over them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from mailmaker.dispatch.domain.shaping import BadShaping, Shaping

MOST_BYTES = 1_000_000


@cache
def shipped() -> Shaping:
    """The rules that ship with the product. Read once."""
    file = resources.files("mailmaker.dispatch.domain") / "shaping.toml"
    return Shaping.parse(file.read_text(encoding="utf-8"))


def load(path: Path | None) -> Shaping:
    """The rules to send by: an operator's file over the shipped one; None: the shipped ones. Raises BadShaping."""
    if path is None:
        return shipped()
    try:
        with path.open("rb") as file:
            read = file.read(MOST_BYTES + 1)
        if len(read) > MOST_BYTES:
            raise BadShaping(f"{path} has more than {MOST_BYTES} bytes; is it the right file?")
        return Shaping.parse(read.decode("utf-8"), over=shipped())
    except OSError as wrong:
        raise BadShaping(f"{path} cannot be read: {wrong.strerror}") from wrong
    except UnicodeDecodeError as wrong:
        raise BadShaping(f"{path} is not UTF-8: byte {wrong.start}") from wrong
