"""common.embedded.kafka_jars: the jars of Apache Kafka, verified, in the user's cache directory.

In order: there already and verified; Maven if this machine has it; else jgo, a library that needs neither
Java nor Maven. Whoever brought them, only the names and SHA-256 sums of the list beside this file are
accepted.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailmaker.common.embedded.errors import Missing

VERSION = "4.3.1"
_KAFKA = ("org.apache.kafka", "kafka_2.13", VERSION)
# The broker brings slf4j's interface and no backend.
_LOGGER = ("org.slf4j", "slf4j-simple", "1.7.36")
_SUMS = Path(__file__).with_name(f"kafka-{VERSION}.sha256")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def user_cache() -> Path:
    """Where downloads are kept for all state directories of this user."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "mailmaker"


def kafka_jars() -> Path:
    """The directory that holds exactly the verified jars; fetched once."""
    target = user_cache() / f"kafka-{VERSION}"
    wanted = _wanted()
    if _verified(target, wanted):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.with_name(f"{target.name}.lock")):
        if not _verified(target, wanted):
            _fetch(target, wanted)
    return target


def _wanted() -> dict[str, str]:
    pairs = (line.split() for line in _SUMS.read_text().splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def _verified(directory: Path, wanted: dict[str, str]) -> bool:
    if not directory.is_dir() or {path.name for path in directory.glob("*.jar")} != set(wanted):
        return False
    return all(_sum(directory / name) == digest for name, digest in wanted.items())


def _sum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _fetch(target: Path, wanted: dict[str, str]) -> None:
    troubles = []
    for way in (_by_maven, _by_jgo):
        part = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
        try:
            way(part)
            for path in part.iterdir():
                if path.name not in wanted:  # what a newer resolver adds is not on our class path
                    path.unlink()
            if _verified(part, wanted):
                shutil.rmtree(target, ignore_errors=True)
                part.chmod(0o755)
                part.rename(target)
                return
            troubles.append(f"{way.__name__[4:]}: the jars are not the ones of {_SUMS.name}")
        except Exception as error:  # whatever a resolver raises: there may be another way
            troubles.append(f"{way.__name__[4:]}: {error}")
        finally:
            shutil.rmtree(part, ignore_errors=True)
    raise Missing("The jars of Apache Kafka could not be fetched: " + "; ".join(troubles))


def _by_maven(into: Path) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise Missing("not on this machine")
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in (_KAFKA, _LOGGER)
    )
    with tempfile.TemporaryDirectory() as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>mailmaker</groupId><artifactId>kafka</artifactId>"
            f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
        )
        done = subprocess.run(
            [
                program,
                "-B",
                "-q",
                "-C",
                "-f",
                pom,
                _COPY,
                "-DincludeScope=runtime",
                f"-DoutputDirectory={into}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    if done.returncode != 0:
        raise Missing((done.stdout + done.stderr).strip()[-1000:])


def _by_jgo(into: Path) -> None:
    import jgo  # heavy, and only here

    endpoint = "+".join(":".join(artifact) for artifact in (_KAFKA, _LOGGER))
    for artifact in jgo.resolve(endpoint):
        jar = Path(artifact.resolve())
        shutil.copy2(jar, into / jar.name)
