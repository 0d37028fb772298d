"""fbl.settings: MAILMAKER_FBL_*."""

from __future__ import annotations

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """The SMTP door and its limits."""

    smtp_host: str = Field("127.0.0.1", description="Address the SMTP door listens on.")
    smtp_port: int = Field(0, ge=0, le=65535, description="Port of the SMTP door; 0 takes a free one.")
    domains: str = Field(
        "", description="Domains mail is accepted for besides MAILMAKER_MAIL_DOMAIN, by commas."
    )
    max_mail: int = Field(25 * 1024 * 1024, ge=65536, description="Largest mail accepted, bytes.")
    max_sessions: int = Field(100, ge=1, description="SMTP sessions at once; more are told to come again.")
    smtp_timeout: float = Field(
        300.0, ge=1, description="Seconds a session may take over one command or mail."
    )

    def domain_names(self, mail_domain: str) -> frozenset[str]:
        """Every domain we answer for, in lower case."""
        names = (mail_domain, *self.domains.split(","))
        return frozenset(name.strip().lower().rstrip(".") for name in names if name.strip())
