"""ingest.readers.table: the plain form of what is no CSV: UTF-8, commas, one line a row whatever its cells hold."""

from __future__ import annotations

INNER_LINE_END = "\v"
"""Stands for a line end within a cell: white space that ends no line."""
ENCODING = "utf-8"
DELIMITER = ","


def one_line(text: str) -> str:
    """A cell's text without line ends."""
    if "\n" in text or "\r" in text:
        return (
            text.replace("\r\n", INNER_LINE_END).replace("\n", INNER_LINE_END).replace("\r", INNER_LINE_END)
        )
    return text
