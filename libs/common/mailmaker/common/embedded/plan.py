"""common.embedded.plan: the whole machine on one page: which process listens where, and what each is told.

Everything that `up` knows of a house beyond its entry point stands in `_own`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mailmaker.common.embedded.options import UpOptions
from mailmaker.common.embedded.ports import is_free
from mailmaker.common.embedded.state import State, random_key

HOST = "127.0.0.1"
DATABASE = "mailmaker"
DEMO_ZONE = "demo.mailmaker.test"
MAIL_DOMAIN = "mail.mailmaker.test"
FRONT_PORT = 8080


@dataclass(frozen=True)
class Place:
    """One process of a house: its name in the logs, and where it answers."""

    name: str
    house: str
    number: int
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True)
class Plan:
    """What stands where. Made once a start, from the state directory and the options."""

    state: State
    places: Sequence[Place]
    front_port: int
    inbound_port: int
    sandbox_port: int | None
    smarthost: str
    sftp_port: int
    ftps_port: int

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.front_port}"

    def in_one_process(self) -> Plan:
        """The same with each house once."""
        return replace(self, places=[place for place in self.places if place.number == 1])

    def environment(self, places: Sequence[Place], admin_url: str, kafka: str) -> dict[str, str]:
        """All that a process of these places is told; the caller's own MAILMAKER_* settings stand beside it."""
        told = self._shared(kafka)
        for place in places:
            prefix = f"MAILMAKER_{place.house.upper()}_"
            told |= self._own(place.house) | self._part(place)
            told |= {f"{prefix}HOST": HOST, f"{prefix}PORT": str(place.port)}
            told[f"{prefix}MEMBER"] = f"{place.house}-{place.number}"
            told[f"{prefix}DATABASE_URL"] = as_role(admin_url, place.house, self.role_password(place.house))
        return dict(os.environ) | told

    def role_password(self, house: str) -> str:
        return self.state.secret(f"role_{house}", random_key)

    @property
    def operator_key(self) -> str:
        return self.state.secret("operator_key", lambda: f"mm_op_{secrets.token_urlsafe(32)}")

    @property
    def service_token(self) -> str:
        return self.state.secret("service_token", random_key)

    def _shared(self, kafka: str) -> dict[str, str]:
        secret = self.state.secret
        told = {
            "MAILMAKER_KAFKA": kafka,
            "MAILMAKER_SERVICE_TOKEN": self.service_token,
            "MAILMAKER_TOKEN_KEYS": secret("token_keys", lambda: f"1:{random_key()}"),
            "MAILMAKER_PEPPER": secret("pepper", random_key),
            "MAILMAKER_OPERATOR_KEY_HASH": hashlib.sha256(self.operator_key.encode()).hexdigest(),
            "MAILMAKER_BASE_URL": self.base_url,
            "MAILMAKER_MAIL_DOMAIN": MAIL_DOMAIN,
            "MAILMAKER_RATE_LOOPBACK_FREE": "true",
        }
        for place in self.places:
            if place.number == 1:
                told[f"MAILMAKER_{place.house.upper()}_URL"] = place.url
        return told

    def _own(self, house: str) -> dict[str, str]:
        state = self.state
        match house:
            case "ingest":
                return {
                    "MAILMAKER_INGEST_FILES": str(state.folder("ingest")),
                    "MAILMAKER_INGEST_SEAL_SECRET": state.secret("seal_secret", random_key),
                    "MAILMAKER_INGEST_DROP_HOST": HOST,
                    "MAILMAKER_INGEST_SFTP_PORT": str(self.sftp_port),
                    "MAILMAKER_INGEST_FTPS_PORT": str(self.ftps_port),
                }
            case "dispatch":
                return {
                    "MAILMAKER_DISPATCH_SMARTHOST": self.smarthost,
                    "MAILMAKER_DISPATCH_SIGNING_SECRET": state.secret("signing_secret", random_key),
                    "MAILMAKER_DISPATCH_DEMO_ZONE": DEMO_ZONE,
                }
            case "suppression":
                return {"MAILMAKER_SUPPRESSION_JOURNAL": str(state.folder("suppression", "journal"))}
            case "fbl":
                return {
                    "MAILMAKER_FBL_SMTP_HOST": HOST,
                    "MAILMAKER_FBL_SMTP_PORT": str(self.inbound_port),
                    "MAILMAKER_FBL_DOMAINS": DEMO_ZONE,
                }
        return {}

    def _part(self, place: Place) -> dict[str, str]:
        """Where dispatch has several processes, one puts every "no" into force and the others send."""
        if place.house != "dispatch" or sum(one.house == "dispatch" for one in self.places) == 1:
            return {}
        if place.number == 1:
            return {"MAILMAKER_DISPATCH_RELAY": "false"}
        return {"MAILMAKER_DISPATCH_FEED_PATIENCE": "0.5", "MAILMAKER_DISPATCH_NICE": "5"}


def draw(state: State, options: UpOptions, houses: Sequence[str]) -> Plan:
    """Chooses the ports, the same as last time where they are free."""
    places = [
        Place(
            house if number == 1 else f"{house}-{number}", house, number, state.ports.get(f"{house}-{number}")
        )
        for house in houses
        for number in range(1, options.processes(house) + 1)
    ]
    sandbox = None if options.smarthost else state.ports.get("sandbox")
    return Plan(
        state=state,
        places=places,
        front_port=_front_port(state, options.port),
        inbound_port=state.ports.get("inbound"),
        sandbox_port=sandbox,
        smarthost=options.smarthost or f"{HOST}:{sandbox}",
        sftp_port=state.ports.get("sftp"),
        ftps_port=state.ports.get("ftps"),
    )


def _front_port(state: State, wanted: int | None) -> int:
    """The links in mails that were sent lead here: it stays where it was, and taken or not it is tried first."""
    if wanted is None:
        wanted = state.ports.kept("front")
    if wanted is None:
        wanted = FRONT_PORT if is_free(FRONT_PORT) else state.ports.get("front")
    state.ports.keep("front", wanted)
    return wanted


def as_role(admin_url: str, house: str, password: str) -> str:
    """The database's URL as the house's own role."""
    parts = urlsplit(admin_url)
    where = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"mailmaker_{house}:{password}@{where}").geturl()


def in_database(admin_url: str, database: str) -> str:
    return urlsplit(admin_url)._replace(path=f"/{database}").geturl()
