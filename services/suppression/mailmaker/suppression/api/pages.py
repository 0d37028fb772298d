"""suppression.api.pages: the public pages, Italian and English, as one self-contained file each."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from mailmaker.suppression.api.words import WORDS
from mailmaker.suppression.domain.entry import Entry
from mailmaker.suppression.domain.language import Language


class Pages:
    """Compiled once. Every page carries its style in itself and asks nothing of any other address."""

    def __init__(self) -> None:
        folder = resources.files("mailmaker.suppression.api") / "html"
        self._style = (folder / "page.css").read_text(encoding="utf-8")
        maker = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self._page: Template = maker.from_string((folder / "page.html").read_text(encoding="utf-8"))
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self.headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; "
                "frame-ancestors 'none'"
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex, nofollow",
        }

    def ask(self, language: Language, list_name: str | None) -> str:
        """The page of the link: a question and a button."""
        return self._render(language, "ask", button=True, list_name=list_name)

    def done(self, language: Language, entry: Entry) -> str:
        """After the button: what was stopped and what had left, as far as dispatch has answered."""
        words = WORDS[language]
        lines = [words["recorded_at"].format(at=_time(entry.recorded_at))]
        if entry.enforced_at is None:
            lines.append(words["applying"])
        else:
            lines.append(words["enforced_at"].format(at=_time(entry.enforced_at)))
            lines.append(_counted(language, "stopped", len(entry.stopped)))
            if entry.in_flight:
                lines.append(_counted(language, "in_flight", len(entry.in_flight)))
        return self._render(language, "done", lines=lines)

    def received(self, language: Language) -> str:
        """After the button, while PostgreSQL is away: on our disk, to be applied."""
        return self._render(language, "received")

    def unknown(self, language: Language) -> str:
        """Whatever is not a link of ours."""
        return self._render(language, "unknown")

    def later(self, language: Language) -> str:
        """Neither PostgreSQL nor the disk took it: nothing was promised."""
        return self._render(language, "later")

    def _render(
        self,
        language: Language,
        page: str,
        *,
        button: bool = False,
        list_name: str | None = None,
        lines: list[str] | None = None,
    ) -> str:
        words = WORDS[language]
        text = words[f"{page}_text"] if list_name is None else words["ask_list"].format(name=list_name)
        return self._page.render(
            language=language,
            title=words[f"{page}_title"],
            text=text,
            lines=lines or [],
            button=words["button"] if button else None,
            style=self._style,
        )


def _counted(language: Language, name: str, count: int) -> str:
    words = WORDS[language]
    return words[f"{name}_one"] if count == 1 else words[f"{name}_many"].format(count=count)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
