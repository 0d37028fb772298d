"""dispatch.domain: the DNS records a sending domain publishes, and whether what was found is what we need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mailmaker.dispatch.domain.sending import Domain, DomainKey

TXT_CHUNK = 255
"""One character-string of a TXT record (RFC 1035 section 3.3.14; RFC 6376 section 3.6.2.2)."""
RETIRED_FOR = timedelta(days=7)
"""How long a key is verified with that signs no more: the time a mail may lie in queues, and to spare."""
_WHY_RSA = "receivers verify the signature of each mail with this key (RFC 6376)"
_WHY_ED25519 = "once it is found each mail is signed by this key too, for receivers that know it (RFC 8463)"
_WHY_NEXT = (
    "signs next: publish it, then :verify; until the RSA record is found the keys before go on signing"
)
_WHY_RETIRED = "signs no more; mail under way is verified with it: leave it until %s, then remove it"


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish. `needed` ones must be found before mail leaves from the domain; of `exact` ones nothing else
    may be found."""

    type: str
    name: str
    value: str
    needed: bool
    exact: bool
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What the DNS says about one record we asked for."""

    name: str
    needed: bool
    ok: bool
    found: tuple[str, ...]
    detail: str


def records_of(domain: Domain, mail_domain: str) -> tuple[Record, ...]:
    """What the client publishes: its DKIM keys, of which RSA's is needed, and a DMARC policy (providers ask for it)."""
    return (
        *(_key_record(domain.name, key) for key in domain.keys),
        Record(
            "TXT",
            f"_dmarc.{domain.name}",
            f"v=DMARC1; p=none; rua=mailto:dmarc@{mail_domain}",
            False,
            False,
            "large providers refuse bulk mail of domains without a DMARC record (RFC 9989)",
        ),
    )


def key_name(domain: str, selector: str) -> str:
    """Where a key is published (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def _key_record(domain: str, key: DomainKey) -> Record:
    value = f"v=DKIM1; k={key.algorithm}; p={key.public_key}"
    needed = key.algorithm == "rsa" and key.state in ("waiting", "signing")
    return Record("TXT", key_name(domain, key.selector), value, needed, True, _why(key))


def _why(key: DomainKey) -> str:
    match key.state:
        case "next":
            return _WHY_NEXT
        case "retired":
            return _WHY_RETIRED % (key.since + RETIRED_FOR).date()
        case _:
            return _WHY_RSA if key.algorithm == "rsa" else _WHY_ED25519


def quoted_chunks(value: str) -> str:
    """A TXT value as it stands in a zone file: quoted character-strings of at most 255 octets."""
    parts = [value[at : at + TXT_CHUNK] for at in range(0, len(value), TXT_CHUNK)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def judge(records: Sequence[Record], answers: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """Compares what is published with what is needed. A DKIM key must be exactly ours."""
    findings = []
    for record in records:
        found = tuple(answers.get(record.name, ()))
        if record.exact:
            ok = [_tags(text) for text in found] == [_tags(record.value)]
            detail = "" if ok else ("not published" if not found else "published, but it is not our key")
        else:
            ok = any(text.replace(" ", "").lower().startswith("v=dmarc1") for text in found)
            detail = "" if ok else "no DMARC record was found"
        findings.append(Finding(record.name, record.needed, ok, found, detail))
    return tuple(findings)


def verified(findings: Sequence[Finding]) -> bool:
    """Whether mail may leave from the domain."""
    return bool(findings) and all(finding.ok for finding in findings if finding.needed)


def shown_keys(domain: Domain, findings: Sequence[Finding]) -> frozenset[str]:
    """The selectors of those of a domain's keys whose records are right."""
    right = {finding.name for finding in findings if finding.ok}
    return frozenset(key.selector for key in domain.keys if key_name(domain.name, key.selector) in right)


def takes_over(domain: Domain, shown: Collection[str]) -> bool:
    """Whether the next keys sign from now on: RSA's record decides, for RSA signs every mail."""
    return any(
        key.state == "next" and key.algorithm == "rsa" and key.selector in shown for key in domain.others
    )


def _tags(text: str) -> dict[str, str]:
    """A tag=value list (RFC 6376 section 3.2); white space inside a value does not count."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}
