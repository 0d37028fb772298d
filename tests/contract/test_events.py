"""contract: what was ever said on the road is understood for ever, and what is said is written down."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from mailmaker.common import contracts
from mailmaker.common.contracts.event import decode, event_types
from mailmaker.common.contracts.topic import TOPICS

SAMPLES = Path(__file__).parent / "samples"
EACH = sorted(SAMPLES.glob("*/*.json"))


def test_every_event_type_has_a_golden_sample() -> None:
    assert contracts.__all__
    assert {path.parent.name for path in EACH} >= set(event_types())


def test_no_type_that_was_ever_said_is_forgotten() -> None:
    assert set(event_types()) >= {path.parent.name for path in EACH}


def test_golden_samples_are_never_edited() -> None:
    """A new shape is a new file and a new line here; a failing line means that an old one was touched."""
    written = {
        name: digest
        for digest, name in (line.split() for line in (SAMPLES / "SHA256SUMS").read_text().splitlines())
    }
    found = {str(path.relative_to(SAMPLES)): hashlib.sha256(path.read_bytes()).hexdigest() for path in EACH}
    assert found == written


@pytest.mark.parametrize("path", EACH, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_golden_sample_decodes_and_keeps_its_key_and_every_field(path: Path) -> None:
    sample = json.loads(path.read_text())
    event = decode(path.parent.name, json.dumps(sample["value"]).encode())
    assert event.topic.name == sample["topic"]
    assert event.key() == sample["key"]
    said_again = json.loads(event.encode())
    _contains(said_again, sample["value"])
    assert decode(event.type, event.encode()) == event


@pytest.mark.parametrize("path", EACH, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_newer_sender_may_add_fields(path: Path) -> None:
    value = {**json.loads(path.read_text())["value"], "said_only_by_a_newer_release": {"a": [1]}}
    assert decode(path.parent.name, json.dumps(value).encode()).type == path.parent.name


def test_every_topic_has_one_owner_and_its_events() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names))
    spoken = {event.topic.name for event in event_types().values()}
    assert spoken == set(names)


def _contains(now: Any, then: Any) -> None:
    """Everything that was said then is still there; more may have been added."""
    if isinstance(then, dict):
        for name, value in then.items():
            assert name in now
            _contains(now[name], value)
    elif isinstance(then, list):
        assert len(now) == len(then)
        for one_now, one_then in zip(now, then, strict=True):
            _contains(one_now, one_then)
    else:
        assert now == then
