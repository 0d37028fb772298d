"""ingest.drop.keys: what the doors show to their clients: the SSH host key, the TLS certificate.

Where none is given one is made, once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_VALID = timedelta(days=3650)
_ALMOST_OVER = timedelta(days=30)


def host_keys(given: str, folder: Path) -> list[str]:
    """Paths of the SSH host keys: those of the setting, by commas, or our own."""
    if given:
        return [path.strip() for path in given.split(",") if path.strip()]
    path = folder / "ssh_host_ed25519"
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519", comment="mailmaker")
        _keep(path, made.export_private_key())
    return [str(path)]


def certificate(given: str, given_key: str, folder: Path, host: str) -> tuple[str, str]:
    """Paths of the TLS certificate (chain) and its key: those of the settings, or a self-signed pair of ours."""
    if given:
        return given, given_key or given
    path = folder / "ftps_self_signed.pem"
    if not path.exists() or _is_almost_over(path):
        path.unlink(missing_ok=True)
        _keep(path, _self_signed(host))
    return str(path), str(path)


def _self_signed(host: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64] or "mailmaker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host or "localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


def _is_almost_over(path: Path) -> bool:
    made = x509.load_pem_x509_certificate(path.read_bytes())
    return made.not_valid_after_utc - datetime.now(UTC) < _ALMOST_OVER


def _keep(path: Path, content: bytes) -> None:
    """Whole, for its owner only, and only once: of two processes that make one, the first one's stands."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(part, path)
    part.unlink()
