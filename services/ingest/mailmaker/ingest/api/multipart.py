"""ingest.api.multipart: a multipart/form-data body (RFC 7578) as it streams: parts in order, nothing kept whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mailmaker.ingest.errors import BadUpload
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A form field begins; `filename` is what the client calls the file, for show only."""

    name: str
    filename: str | None
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the field that began last."""

    data: bytes


class PartEnds:
    """The field is complete."""


Said = PartBegins | PartData | PartEnds


class _Collector:
    """Turns the parser's callbacks into a list that the loop empties after each chunk."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.ended = False
        self._name = b""
        self._value = b""
        self._disposition = b""
        self._type = b""

    def on_part_begin(self) -> None:
        self._name = self._value = self._disposition = self._type = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        elif self._name.lower() == b"content-type":
            self._type = self._value
        self._name = self._value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name, filename = options.get(b"name", b""), options.get(b"filename")
        shown = None if filename is None else filename.decode("utf-8", "replace")
        kind = self._type.decode("latin-1")
        self.said.append(PartBegins(name.decode("utf-8", "replace"), shown, kind))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.said.append(PartData(data[start:end]))

    def on_part_end(self) -> None:
        self.said.append(PartEnds())

    def on_end(self) -> None:
        self.ended = True


async def parts(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[Said]:
    """What the body says, piece by piece. Raises BadUpload for a body that is not multipart, or is cut."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BadUpload(
            "send multipart/form-data with the fields `file` and `options`, or JSON lines as application/x-ndjson"
        )
    collector = _Collector()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": collector.on_part_begin,
            "on_header_field": collector.on_header_field,
            "on_header_value": collector.on_header_value,
            "on_header_end": collector.on_header_end,
            "on_headers_finished": collector.on_headers_finished,
            "on_part_data": collector.on_part_data,
            "on_part_end": collector.on_part_end,
            "on_end": collector.on_end,
        },
    )
    async for chunk in body:
        try:
            parser.write(chunk)
        except MultipartParseError as wrong:
            raise BadUpload("the multipart body cannot be read") from wrong
        said, collector.said = collector.said, []
        for one in said:
            yield one
    if not collector.ended:
        raise BadUpload("the multipart body ends in the middle")
