"""common.web.scopes: what an API key may be allowed to do; every route declares one of these."""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "account:read": "see the account",
    "account:write": "close the account, and take all its data out",
    "keys:read": "see API keys",
    "keys:write": "issue and revoke API keys",
    "lists:read": "see lists, fields and cap policies",
    "lists:write": "open, change and close lists",
    "contacts:read": "see contacts and their history",
    "contacts:write": "add, change, remove and erase contacts",
    "imports:read": "see imports, plans and rejects",
    "imports:write": "upload, approve and cancel imports",
    "domains:read": "see domains and senders",
    "domains:write": "add domains and senders",
    "templates:read": "see and preview templates",
    "templates:write": "add and change templates",
    "mailings:read": "see mailings, messages and decisions",
    "mailings:write": "make, start, pause and cancel mailings",
    "suppressions:read": "see suppressions and the feed",
    "suppressions:write": "record and release suppressions",
    "reports:read": "see bounce and complaint reports",
}
