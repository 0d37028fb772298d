"""suppression.domain.reasons: what each reason of a "no" means, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailmaker.common.contracts.suppressions import Reason, Scope

Kind = Literal["will", "complaint", "delivery", "erased", "manual"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind` joins reasons that repeat one another; `scope` is used where the door names none; only the person
    concerned takes back what is `personal`."""

    kind: Kind
    scope: Scope
    personal: bool


RULES: dict[Reason, Rule] = {
    "unsubscribe": Rule("will", "list", personal=True),
    # A complaint is about the sender, not about one list (protocols FBL-5).
    "complaint": Rule("complaint", "account", personal=True),
    # An address that does not exist does so for every list of the account.
    "hard_bounce": Rule("delivery", "account", personal=False),
    "soft_bounce": Rule("delivery", "account", personal=False),
    "invalid": Rule("delivery", "account", personal=False),
    "erased": Rule("erased", "account", personal=True),
    "manual": Rule("manual", "account", personal=False),
}
