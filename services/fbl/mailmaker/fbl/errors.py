"""fbl.errors: what can go wrong here, as a tree.

Problem (HTTP)                  code                temporary
└── NotFound
    └── ReportNotFound          report_not_found    no      404
Invalid
└── WrongHash                   sha256_invalid      no      422
ParsingFailed (parse.cell)      parser_crashed, parser_timeout, too_deep, too_many_parts, ...: the mail is parked
"""

from __future__ import annotations

from mailmaker.common.web.problem import Invalid, NotFound


class ReportNotFound(NotFound):
    """No such report for this caller."""

    code = "report_not_found"


class WrongHash(Invalid):
    """The hash asked for is not the SHA-256 of anything."""

    code = "sha256_invalid"
