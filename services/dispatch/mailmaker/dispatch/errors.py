"""dispatch.errors: what this house says no with.

Problem
|-- NotFound 404
|   |-- UnknownDomain, UnknownTemplate, UnknownMailing, UnknownMessage, UnknownPool, UnknownSource, UnknownRoute,
|   |   UnknownAccount
|-- Invalid 422
|   |-- Unbuildable        template.invalid: the template cannot be used; faults name /subject, /html or /text
|   |-- NotAvailable       not_available: asked for something this release does not do yet (SMS)
|-- Conflict 409
|   |-- Exists             exists: a second one of the same name, or of an address
|   |-- InUse              in_use: something still depends on it
|   |-- KeysChanged        domain.keys_changed: the domain got other keys while the DNS was asked for those it had
|   |-- WrongState         mailing.state: the mailing is not in a state that allows the verb
|   |-- NotReady           mailing.not_ready: the preflight found blockers
|-- Unavailable 503 (temporary)
"""

from __future__ import annotations

from mailmaker.common.web.problem import Conflict, Invalid, NotFound


class UnknownDomain(NotFound):
    """No such domain in this account."""

    code = "domain.unknown"


class UnknownTemplate(NotFound):
    """No such template in this account."""

    code = "template.unknown"


class UnknownMailing(NotFound):
    """No such mailing in this account."""

    code = "mailing.unknown"


class UnknownMessage(NotFound):
    """This contact is no recipient of this mailing."""

    code = "message.unknown"


class UnknownPool(NotFound):
    """No such pool in this account."""

    code = "pool.unknown"


class UnknownSource(NotFound):
    """No such source in this account."""

    code = "source.unknown"


class UnknownRoute(NotFound):
    """No such rule in this account."""

    code = "route.unknown"


class UnknownAccount(NotFound):
    """No such account: the operator named one that never was."""

    code = "account.unknown"


class Unbuildable(Invalid):
    """A template that cannot be read or may not be sent."""

    code = "template.invalid"


class NotAvailable(Invalid):
    """Something the interface names and this release does not do yet."""

    code = "not_available"
    title = "Not available yet"


class Exists(Conflict):
    """A second one of the same name, or of an address."""

    code = "exists"


class InUse(Conflict):
    """Something still depends on it."""

    code = "in_use"


class KeysChanged(Conflict):
    """The domain got other keys while the DNS was asked for those it had."""

    code = "domain.keys_changed"


class WrongState(Conflict):
    """The mailing is not in a state that allows the verb."""

    code = "mailing.state"


class NotReady(Conflict):
    """The preflight found what keeps the mailing from starting; `errors` name it."""

    code = "mailing.not_ready"
