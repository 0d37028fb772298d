"""fbl.domain.category: what kind of failure a bounce tells, from its status code and its words (BNC-4).

Only an address known not to exist is permanent for the person; policy, spam and full mailboxes never are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailmaker.fbl.domain.findings import Recipient


@dataclass(frozen=True, slots=True)
class Category:
    """`permanent`: the address itself will never take mail, so it is suppressed at the first report."""

    name: str
    permanent: bool = False


USER_UNKNOWN = Category("user_unknown", permanent=True)
DOMAIN_UNKNOWN = Category("domain_unknown", permanent=True)
INVALID_ADDRESS = Category("invalid_address", permanent=True)
MAILBOX_DISABLED = Category("mailbox_disabled", permanent=True)
MAILBOX_FULL = Category("mailbox_full")
POLICY = Category("policy")
SPAM = Category("spam")
CONTENT = Category("content")
RATE = Category("rate")
NETWORK = Category("network")
EXPIRED = Category("expired")
RELAY_DENIED = Category("relay_denied")
UNKNOWN = Category("unknown")

# Words that explain a refusal better than its code: some servers answer 5.1.1 to what they took for spam. First match wins.
_WORDS: tuple[tuple[re.Pattern[str], Category], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), category)
    for pattern, category in (
        (r"black-?list|block(?:ed| ?list)|\bspam|junk|reputation|\bdnsbl\b|\brbl\b|spamhaus|barracuda", SPAM),
        (
            r"polic(?:y|ies)|\bdmarc\b|\bdkim\b|\bspf\b|unauthenticated|reverse dns|\bptr\b|not authorized",
            POLICY,
        ),
        (
            r"relay(?:ing)? (?:access )?(?:denied|not|prohibited)|unable to relay|not (?:permitted|allowed) to relay",
            RELAY_DENIED,
        ),
        (
            r"quota|mailbox (?:is )?full|over ?quota|insufficient (?:system )?storage|storage limit",
            MAILBOX_FULL,
        ),
        (r"too (?:large|big)|size limit|exceeds? .{0,30}size|virus|attachment", CONTENT),
        (r"rate limit|too many (?:connections|messages|recipients)|throttl|grey-?list|try again later", RATE),
    )
)
_UNKNOWN_USER = re.compile(
    r"user unknown|unknown user|no such (?:user|mailbox|recipient|person|address)|does not exist"
    r"|(?:mailbox|user|recipient|account|address) (?:is )?(?:not found|unknown|unavailable or unknown|does ?n[o']t exist)"
    r"|invalid (?:recipient|mailbox|user)"
    r"|not a valid mailbox|no mailbox (?:here )?by that name|unrouteable address|recipient (?:address )?rejected: user",
    re.IGNORECASE,
)
_UNKNOWN_DOMAIN = re.compile(
    r"(?:host|domain)(?: name)? (?:\S+ )?(?:not found|unknown|does not exist)|name or service not known|nxdomain|null ?mx",
    re.IGNORECASE,
)
_DISABLED = re.compile(
    r"(?:account|mailbox|user)\b.{0,40}\b(?:disabled|deactivated|suspended|inactive)", re.IGNORECASE
)

_CODES: dict[str, Category] = {
    "1.0": USER_UNKNOWN,
    "1.1": USER_UNKNOWN,
    "1.2": DOMAIN_UNKNOWN,
    "1.3": INVALID_ADDRESS,
    "1.4": UNKNOWN,
    "1.6": USER_UNKNOWN,
    "1.10": DOMAIN_UNKNOWN,
    "2.1": MAILBOX_DISABLED,
    "2.2": MAILBOX_FULL,
    "2.3": CONTENT,
    "3.1": MAILBOX_FULL,
    "3.4": CONTENT,
    "4.1": NETWORK,
    "4.4": NETWORK,
    "4.6": NETWORK,
    "4.7": EXPIRED,
}
_SUBJECTS: dict[str, Category] = {"3": CONTENT, "4": NETWORK, "5": POLICY, "6": CONTENT, "7": POLICY}


def category_of(recipient: Recipient) -> Category:
    """The category of one failed recipient. Only a 5.x.x (or a 55x reply) can be permanent."""
    status = recipient.status or ""
    said = recipient.diagnostic
    for words, category in _WORDS:
        if words.search(said):
            return category
    klass, _, detail = status.partition(".")
    by_code = _CODES.get(detail) or _SUBJECTS.get(detail.partition(".")[0], UNKNOWN)
    if detail in ("", "0.0", "1.0") or by_code is UNKNOWN:
        by_code = _by_words(said)
    if by_code.permanent and klass != "5" and not (not klass and re.search(r"\b55\d\b", said)):
        return Category(by_code.name)
    return by_code


def _by_words(said: str) -> Category:
    if _DISABLED.search(said):
        return MAILBOX_DISABLED
    if _UNKNOWN_USER.search(said):
        return USER_UNKNOWN
    if _UNKNOWN_DOMAIN.search(said):
        return DOMAIN_UNKNOWN
    return UNKNOWN
