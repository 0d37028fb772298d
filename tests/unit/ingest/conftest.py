"""tests.unit.ingest: collects the tests on foreign material only where that material lies beside the repository."""

from __future__ import annotations

from ingest_reading import CORPORA

collect_ignore = [] if CORPORA.exists() else ["test_ingest_corpora.py"]
