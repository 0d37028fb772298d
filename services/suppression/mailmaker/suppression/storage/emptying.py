"""suppression.storage.emptying: what becomes of each table when an account is gone: of a "no" nothing goes. There is no
address here to begin with; what a door wrote down of who said it is evidence, and goes only with that person's erasure."""

from __future__ import annotations

from mailmaker.common.storage.emptying import Emptying

EMPTYING = Emptying(
    emptied={},
    blanked={},
    kept={
        "ledger": 'every "no", once, by keyed hashes: who sends for the account again, under whatever name, meets it',
        "repeats": 'that a "no" was said again',
        "evidence": 'when and how a "no" was said: the proof that it was',
        "subjects": 'which "no"s speak of a keyed hash',
        "standing": 'the "no"s in force, by keyed hashes',
        "releases": 'who lifted a "no", when and why',
        "feed": 'every "no" in its order; the platform\'s numbers have no gap',
        "enforcements": 'that a "no" was kept: from when on, what it stopped, and what had begun',
        "account_heads": "the account's own feed goes on where it was",
        "awaiting": "what dispatch has yet to answer for; a row goes with its answer",
        "incomplete": "what contacts has yet to complete; a row goes with its answer",
        "feed_head": "the platform's: the last number of the feed",
        "journals": "the platform's: the processes that vouch for the feed",
        "pepper": "the platform's: the check value of the pepper",
    },
)
