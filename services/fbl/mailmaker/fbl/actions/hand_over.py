"""fbl.actions.hand_over: where this house hands a "no"."""

from __future__ import annotations

NOS = ("suppression", "/internal/nos")
"""The house and its door; the common worker sends what is left there, in batches, until it is answered."""
