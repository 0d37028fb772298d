"""dispatch.render: one text in Liquid, compiled once: plain ones to pieces that are joined, others to a bounded template."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import liquid
from liquid.exceptions import LiquidError
from markupsafe import escape

Kind = Literal["html", "text", "header"]

MAX_SOURCE = 2_000_000
"""Characters of one template's source."""
_SLOT = re.compile(
    r"""\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*
        (?:\|\s*default:\s*("[^"{}\\]*"|'[^'{}\\]*')\s*)?
        (\|\s*escape\s*)?\}\}""",
    re.VERBOSE,
)
_SPECIAL = re.compile("[&<>\"']")
_WORDS = frozenset(
    {"true", "false", "nil", "null", "empty", "blank", "and", "or", "not", "contains", "if", "else", "in"}
)


class TemplateFault(ValueError):
    """A template that cannot be compiled, or that cannot be rendered for one recipient. Never repeats a value."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line


class _Bounded(liquid.Environment):
    """Liquid with limits: a template may neither run nor write for ever."""

    context_depth_limit = 20
    loop_iteration_limit = 20_000
    local_namespace_limit = 200_000
    output_stream_limit = 4_000_000


def _environment(*, autoescape: bool) -> liquid.Environment:
    made = _Bounded(autoescape=autoescape, tolerance=liquid.Mode.STRICT)
    for tag in ("include", "render", "extends", "block"):
        made.tags.pop(tag, None)
    return made


_HTML = _environment(autoescape=True)
_TEXT = _environment(autoescape=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one value of the recipient. `engine` is the slot alone, for values that are no text."""

    field: str
    default: str | None
    escaped: bool
    html: bool
    engine: Any

    def shown(self, values: Mapping[str, Any]) -> str:
        """The value as Liquid writes it, escaped once in HTML."""
        value = values.get(self.field)
        if value is None or value == "":
            if self.default is None:
                return ""
            return html.escape(self.default) if self.escaped and not self.html else self.default
        if type(value) is not str:
            return str(self.engine.render(**{self.field: value}))
        if self.html:
            return str(escape(value)) if _SPECIAL.search(value) else value
        return html.escape(value) if self.escaped else value


class Text:
    """A compiled text. `pieces` is None when it needs the template engine."""

    def __init__(self, source: str, kind: Kind) -> None:
        if len(source) > MAX_SOURCE:
            raise TemplateFault(f"longer than {MAX_SOURCE} characters")
        self.kind = kind
        self._template = _parsed(source, kind)
        self.fields = _fields(self._template, source)
        self.pieces = _pieces(source, html_part=kind == "html")

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for one recipient. Raises TemplateFault."""
        if self.pieces is not None:
            return "".join(piece if type(piece) is str else piece.shown(values) for piece in self.pieces)  # type: ignore[union-attr]
        try:
            return str(self._template.render(**values))
        except (LiquidError, RecursionError, ArithmeticError, ValueError, TypeError) as wrong:
            raise TemplateFault(f"cannot be rendered: {type(wrong).__name__}") from wrong


def _parsed(source: str, kind: Kind) -> Any:
    try:
        return (_HTML if kind == "html" else _TEXT).from_string(source)
    except LiquidError as wrong:
        token = getattr(wrong, "token", None)
        start = getattr(token, "start_index", None)
        line = None if start is None or start < 0 else source.count("\n", 0, start) + 1
        raise TemplateFault(str(wrong).partition("\n")[0], line) from wrong
    except RecursionError as wrong:
        raise TemplateFault("nested too deeply") from wrong


def _fields(template: Any, source: str) -> frozenset[str]:
    """What the text asks of its recipient: names it does not make itself."""
    analysis = template.analyze(include_partials=False)
    # Liquid itself would only find out when it writes to the first recipient.
    for name, places in analysis.filters.items():
        if name not in template.env.filters:
            raise TemplateFault(f"there is no filter {name}", source.count("\n", 0, places[0].index) + 1)
    return frozenset(str(name) for name in analysis.globals)


def _pieces(source: str, *, html_part: bool) -> tuple[str | Slot, ...] | None:
    """The text as pieces, if it holds nothing but `{{ field }}`, `default:` with a plain text, and `escape`."""
    pieces: list[str | Slot] = []
    at = 0
    for found in _SLOT.finditer(source):
        if found.group(1) in _WORDS:
            return None
        if found.start() > at:
            pieces.append(source[at : found.start()])
        default = found.group(2)
        engine = _parsed(found.group(), "html" if html_part else "text")
        plain = None if default is None else default[1:-1]
        pieces.append(Slot(found.group(1), plain, bool(found.group(3)), html_part, engine))
        at = found.end()
    if at < len(source):
        pieces.append(source[at:])
    if any(type(piece) is str and ("{{" in piece or "{%" in piece) for piece in pieces):
        return None
    return tuple(pieces)
