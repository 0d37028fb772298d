"""ingest.settings: what this house is told by its environment, prefix MAILMAKER_INGEST_."""

from __future__ import annotations

from pathlib import Path

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """ingest's own settings."""

    files: Path = Field(
        description="Directory of uploads, staged files and rejects; shared by every process of this house."
    )
    max_upload: int = Field(2 << 30, ge=1, description="The largest file taken, in bytes.")
    max_unpacked: int = Field(2 << 30, ge=1, description="The most that may come out of one file, in bytes.")
    parsers: int = Field(2, ge=1, le=64, description="Files read at the same time by one process.")
    seal_secret: SecretStr = Field(
        SecretStr(""),
        description="Seals the private keys of encrypted files. Empty: such files are refused. Losing it means new keys.",
    )
    drop_host: str = Field("127.0.0.1", description="Address the SFTP and FTPS doors listen on.")
    sftp_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the SFTP door. Unset: closed; 0 takes a free one."
    )
    sftp_host_keys: str = Field(
        "",
        description="Files of SSH host keys, by commas. Empty: one is made once and kept beside the uploads.",
    )
    ftps_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the FTPS door. Unset: closed; 0 takes a free one."
    )
    ftps_certificate: str = Field(
        "",
        description="File of the TLS certificate chain. Empty: a self-signed one is made, which clients must be told of.",
    )
    ftps_key: str = Field("", description="File of the certificate's key. Empty: it is in the same file.")
    ftps_passive_ports: str = Field(
        "", pattern=r"^(\d+-\d+)?$", description="Ports of data connections, first-last. Empty: any."
    )
    ftps_public_address: str = Field(
        "",
        description="The IPv4 address that clients are told for data connections, where it is another than ours.",
    )
    ftp_plain: bool = Field(
        False,
        description="Whether drops with the protocol `ftp` may log in without TLS, readable on the way.",
    )
    drop_sessions: int = Field(100, ge=1, description="Sessions at once, of each door.")
    drop_idle: float = Field(300.0, gt=0, description="Seconds after which a silent session is ended.")
    drop_stable: float = Field(
        10.0, gt=0, description="Seconds without change after which a closed file is complete."
    )
    drop_cut: float = Field(
        86400.0, gt=0, description="Seconds after which a file that was never finished is given up."
    )
    files_kept_days: float = Field(
        1.0,
        gt=0,
        le=3650,
        description="Days that an upload and its staged rows are kept once nothing needs them.",
    )
    rejects_kept_days: float = Field(
        30.0, gt=0, le=3650, description="Days that the refused rows of an import can be fetched."
    )
    drop_kept_days: float = Field(30.0, gt=0, description="Days that done, rejected and reports are kept.")
    drop_quota_bytes: int = Field(
        20 << 30, ge=1, description="Bytes an inbox may hold, unless the drop says otherwise."
    )
    drop_quota_files: int = Field(
        1000, ge=1, description="Files an inbox may hold, unless the drop says otherwise."
    )

    @property
    def passive_ports(self) -> range | None:
        """The ports of data connections; None: any."""
        first, _, last = self.ftps_passive_ports.partition("-")
        return range(int(first), int(last) + 1) if first else None
