"""ingest.api.drop_rules: what a drop's body says of files, as rules; the options are those of POST /v1/imports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import asyncssh
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.ingest.actions.drop_shapes import DropChange, DropWish, RuleWish, fields_of
from mailmaker.ingest.api.options import read_options
from mailmaker.ingest.domain.drops import Drop, Rule
from mailmaker.ingest.errors import BadDrop

_OWN = ("list", "mode", "profile")
_SMALLEST_RSA = 2048


def rules_of(wish: DropWish) -> tuple[Rule, ...]:
    """The rules in the order in which they are tried, the drop's own last. Raises BadOptions."""
    own = RuleWish(
        pattern=wish.pattern, list=wish.list, mode=wish.mode, options=wish.options, profile=wish.profile
    )
    rules = [_rule(rule, wish, f"/rules/{number}") for number, rule in enumerate(wish.rules)]
    return (*rules, _rule(own, wish, ""))


def merged(drop: Drop, change: DropChange) -> DropWish:
    """What a changed drop says: what is named, over what it said before."""
    shown = fields_of(drop)
    said: dict[str, Any] = {name: shown[name] for name in DropWish.model_fields if name in shown}
    said["rules"] = [rule.model_dump() for rule in shown["rules"]]
    named = change.model_dump(exclude_unset=True, exclude={"password", "active"})
    return DropWish.model_validate(said | named)


def public_keys(texts: Sequence[str]) -> tuple[str, ...]:
    """OpenSSH public keys, one line each. Raises BadDrop, naming the one at fault."""
    return tuple(_public_key(text, number) for number, text in enumerate(texts))


def _public_key(text: str, number: int) -> str:
    try:
        key = asyncssh.import_public_key(text.strip())
        line = key.export_public_key().decode().strip()
    except (asyncssh.KeyImportError, UnicodeError, ValueError) as wrong:
        raise _bad_key(number, "an OpenSSH public key, as `ssh-ed25519 AAAA...`") from wrong
    algorithm = key.get_algorithm()
    if algorithm == "ssh-dss":
        raise _bad_key(number, "DSA keys are too weak; use Ed25519")
    pyca = key.pyca_key
    if isinstance(pyca, RSAPublicKey) and pyca.key_size < _SMALLEST_RSA:
        raise _bad_key(number, f"an RSA key has {_SMALLEST_RSA} bits or more")
    return line


def _bad_key(number: int, detail: str) -> BadDrop:
    fault = Fault(f"/public_keys/{number}", "public_key.invalid", detail)
    return BadDrop("a public key cannot be used", faults=[fault])


def _rule(rule: RuleWish, wish: DropWish, at: str) -> Rule:
    given, said_at = (wish.options, "") if rule.options is None else (rule.options, at)
    _check_keys(given, said_at)
    profile = rule.profile or wish.profile
    mode = rule.mode or wish.mode or ("incremental" if profile == "none" else None)
    beside = {"list": rule.list or wish.list, "mode": mode, "profile": profile}
    named = {name: str(value) for name, value in beside.items() if value is not None}
    made = Rule(rule.pattern, _asked({**given, **named}, at))
    if made.override is not None:
        raise _override(f"{said_at}/options/{made.override}")
    return made


def _check_keys(given: Mapping[str, Any], at: str) -> None:
    for name in _OWN:
        if name in given:
            fault = Fault(f"{at}/options/{name}", "options.twice", f"say `{name}` beside the options")
            raise BadDrop("the options named in `errors` are wrong", faults=[fault])
    if given.get("lawful_basis") is not None:
        raise _override(f"{at}/options/lawful_basis")


def _override(at: str) -> BadDrop:
    detail = "send a file that takes opt-outs back by POST /v1/imports, with the lawful basis of that file"
    fault = Fault(at, "option.not_of_drop", detail)
    return BadDrop("no drop takes opt-outs back: it would lift those said later too", faults=[fault])


def _asked(named: Mapping[str, Any], at: str) -> dict[str, Any]:
    try:
        return read_options(json.dumps(named).encode())
    except Invalid as wrong:
        faults = [Fault(_pointer(fault.pointer, at), fault.code, fault.detail) for fault in wrong.faults]
        raise type(wrong)(wrong.detail, faults=faults) from wrong


def _pointer(pointer: str, at: str) -> str:
    """`list`, `mode` and `profile` stand beside the options here."""
    own = any(pointer == f"/options/{name}" for name in _OWN)
    return at + (pointer.removeprefix("/options") if own else pointer)
