"""common.commands.chosen: the houses that a command line names."""

from __future__ import annotations

from collections.abc import Sequence

from mailmaker.common.ops.lifecycle import House, house_named, house_names
from mailmaker.common.ops.settings import WrongSettings


def chosen(names: Sequence[str]) -> dict[str, House]:
    """Those named, or all; only they are imported. Raises WrongSettings for a name that is no house's."""
    known = house_names()
    for name in names:
        if name not in known:
            raise WrongSettings(f"there is no service {name}; there are {', '.join(known)}")
    return {name: house_named(name) for name in names or known}
