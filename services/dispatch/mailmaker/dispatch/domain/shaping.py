"""dispatch.domain: traffic shaping as data: which provider a domain is at, its limits, what its replies set off.

The rules are in `shaping.toml` beside this module, whose head tells how it is written (SHP-3, SHP-4, SHP-6, SHP-11).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mailmaker.common.mail.reply import Reply
from mailmaker.dispatch.domain.pace import Rate
from mailmaker.dispatch.domain.reactions import Reaction, Rule, Tally, first
from mailmaker.dispatch.domain.shaping_rules import (
    HOUR,
    LIMIT_KEYS,
    BadShaping,
    Limits,
    Table,
    checked_name,
    line_of,
    read_rules,
    shown,
)

TIMEOUT_KEYS = ("connect_timeout", "idle_timeout", "data_timeout", "dot_timeout")
PROVIDER_KEYS = LIMIT_KEYS | {"mx", "domains"}
LONGEST_SITE = 200
BUCKETS = 64
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")
_PLAIN = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Provider:
    """Sites run by one hand. `mx`: names its MX hosts are or are below. `given`: what its tables said, unread."""

    name: str
    mx: tuple[str, ...]
    domains: tuple[str, ...]
    limits: Limits
    rules: tuple[Rule, ...]
    given: Mapping[str, object] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Shaping:
    """The limits and rules of every provider. Providers are tried in order, and each can be reached."""

    default: Limits
    providers: Mapping[str, Provider]
    rules: tuple[Rule, ...]
    given: Mapping[str, object] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, over: Shaping | None = None) -> Shaping:
        """A file, laid over another one where `over` is given. Raises BadShaping, and nothing else."""
        try:
            found = tomllib.loads(text)
        except (ValueError, RecursionError) as wrong:
            raise BadShaping(f"is not TOML: {wrong}") from wrong
        Table("", found, text).only(frozenset({"default", "provider", "rule"}))
        said = _table(found, "default", "default", text)
        said.only(LIMIT_KEYS)
        given = {**(over.given if over else {}), **said.values}
        limits = _limits(Table("default", given, text))
        providers = _providers(_table(found, "provider", "provider", text), given, over)
        rules = read_rules(found.get("rule", []), "rule", text)
        return cls(limits, providers, _before(rules, over.rules if over else ()), given)

    def provider_of(self, domain: str, mx_hosts: Sequence[str]) -> str | None:
        """Where a domain's mail goes: the first provider that has *all* its MX hosts (SHP-3: a mix is nobody's).

        Only when no provider has them, the one that names the domain. Case and trailing dots do not matter.
        """
        if hosts := normal(mx_hosts):
            for provider in self.providers.values():
                if all(under(host, provider.mx) for host in hosts):
                    return provider.name
        names = normal([domain])
        return next((one.name for one in self.providers.values() if set(names) & set(one.domains)), None)

    def limits_of(self, provider: str | None) -> Limits:
        """The limits of a provider; those of `[default]` for None, and for a name the file does not know."""
        known = self.providers.get(provider) if provider is not None else None
        return self.default if known is None else known.limits

    def reactions(self, provider: str | None, reply: Reply, *, own: bool = False) -> tuple[Reaction, ...]:
        """What a reply sets off: the actions of the first rule that speaks of it, the provider's rules before the rest.

        They belong to one rule: strike its tally once. `own`: the reply is one that we made up; it sets off nothing
        (SHP-6).
        """
        if own or not (reply.temporary or reply.permanent):
            return ()
        known = self.providers.get(provider) if provider is not None else None
        if known is not None and (rule := first(known.rules, reply)) is not None:
            return rule.reactions(provider, f"{provider}/{rule.name}")
        rule = first(self.rules, reply)
        return () if rule is None else rule.reactions(provider, rule.name)


def normal(hosts: Iterable[str]) -> list[str]:
    """Host names as they are compared: lower case, no trailing dot, each once, sorted."""
    return sorted({name for host in hosts if (name := host.strip().rstrip(".").lower())})


def under(host: str, suffixes: Iterable[str]) -> bool:
    """Whether a host is one of the names or below one, label by label."""
    return any(host == suffix or host.endswith("." + suffix) for suffix in suffixes)


def site_of(mx_hosts: Sequence[str]) -> str:
    """The name of a set of MX hosts, at most 200 characters: `(alt1|alt2).gmail-smtp-in.l.google.com`.

    The same set has the same name in whatever order, case or dots; other sets have other names. What the hosts share
    at their end is written once; a set that is long, or not of plain host names, is named by its hash.
    """
    hosts = normal(mx_hosts)
    if not all(map(_PLAIN.fullmatch, hosts)):
        return "#" + _digest("\n".join(hosts))[:40]
    shared = 0
    for labels in zip(*(reversed(host.split(".")) for host in hosts), strict=False):
        if len(set(labels)) > 1:
            break
        shared += 1
    parts = [host.split(".") for host in hosts]
    if len(hosts) == 1:
        site = hosts[0]
    else:
        own = (".".join(labels[: len(labels) - shared]) for labels in parts)
        site = ".".join([f"({'|'.join(own)})", *(parts[0][len(parts[0]) - shared :] if parts else [])])
    return site if len(site) <= LONGEST_SITE else "#" + _digest("\n".join(hosts))[:40]


def lane_of(provider: str | None, site: str, buckets: int = BUCKETS) -> str:
    """The lane of an egress path: the provider's name, or `#07`, the bucket of the site. The same in every process."""
    return f"#{int(_digest(site)[:15], 16) % max(1, buckets):02d}" if provider is None else provider


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _table(found: Mapping[str, object], key: str, name: str, text: str) -> Table:
    values = found.get(key, {})
    if not isinstance(values, dict):
        raise BadShaping("must be a table", name, line_of(text, name, 0, ""))
    return Table(name, values, text)


def _before(own: tuple[Rule, ...], shipped: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """A file's own rules, then those it is laid over, but for the ones it names anew."""
    names = {rule.name for rule in own}
    return (*own, *(rule for rule in shipped if rule.name not in names))


def _providers(said: Table, default: Mapping[str, object], over: Shaping | None) -> dict[str, Provider]:
    """Every provider: the new ones of this file, then those it is laid over. Raises BadShaping."""
    known = over.providers if over else {}
    names = [*(name for name in said.values if name not in known), *known]
    providers: dict[str, Provider] = {}
    for name in names:
        table = _table(said.values, name, f"provider.{name}", said.text)
        provider = _provider(name, table, default, known.get(name))
        if provider.mx or provider.domains:
            _reachable(provider, table, providers)
            providers[name] = provider
        elif name not in known or provider.rules != known[name].rules:
            others = ", ".join(other for other in names if other != name)
            raise table.wrong(
                f"has neither mx nor domains, so no mail is ever its own; known are: {others:.500}"
            )
    return providers


def _provider(name: str, table: Table, default: Mapping[str, object], old: Provider | None) -> Provider:
    try:
        checked_name(name)
    except ValueError as wrong:
        raise table.wrong(str(wrong)) from wrong
    own = {key: value for key, value in table.values.items() if key != "rule"}
    given = Table(table.name, {**(old.given if old else {}), **own}, table.text)
    given.only(PROVIDER_KEYS)
    rules = read_rules(table.values.get("rule", []), f"{table.name}.rule", table.text)
    for key in ("mx", "domains"):
        for host in given.strings(key):
            if not _HOST.fullmatch(host):
                bare = host.strip(". ").lower()
                raise given.wrong(
                    f"{shown(host)}: write a lower-case name, no dot around it: {bare:.80}", key
                )
    limits = {key: value for key, value in given.values.items() if key in LIMIT_KEYS}
    read = _limits(Table(table.name, {**default, **limits}, table.text))
    mx, domains = given.strings("mx"), given.strings("domains")
    return Provider(name, mx, domains, read, _before(rules, old.rules if old else ()), given.values)


def _limits(table: Table) -> Limits:
    """The limits of a table that says all of them. Raises BadShaping."""
    tls, per_site = table.need("tls"), table.values.get("per_site", False)
    if tls not in ("opportunistic", "required", "off"):
        raise table.wrong(f"{shown(tls)}: write opportunistic, required or off", "tls")
    if not isinstance(per_site, bool):
        raise table.wrong(f"{shown(per_site)}: write true or false", "per_site")
    return Limits(
        connections=table.whole("connections", 10_000),
        connection_rate=table.maybe("connection_rate", Rate.parse),
        per_connection=table.whole("per_connection", 100_000),
        rate=table.maybe("rate", Rate.parse),
        per_hour=table.count("per_hour", 10**9),
        per_day=table.count("per_day", 10**9),
        tls=tls,
        per_site=per_site,
        **{key: table.seconds(key, HOUR) for key in TIMEOUT_KEYS},
    )


def _reachable(provider: Provider, table: Table, before: Mapping[str, Provider]) -> None:
    """Refuses what an earlier provider always takes first."""
    for earlier in before.values():
        for suffix in provider.mx:
            if under(suffix, earlier.mx):
                raise table.wrong(f"{suffix} always goes to {earlier.name}; take it out of one of them", "mx")
        for domain in set(provider.domains) & set(earlier.domains):
            raise table.wrong(f"{domain} is named by {earlier.name}; take it out of one of them", "domains")


__all__ = ["BadShaping", "Limits", "Rate", "Reaction", "Rule", "Shaping", "Tally", "lane_of", "site_of"]
