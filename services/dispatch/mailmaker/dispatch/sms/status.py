"""dispatch.sms: command_status of SMPP 3.4 (section 5.1.3): the values we say or judge by."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """ESME_… without its prefix. An SMSC may answer with any other number, too."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RMSGQFUL = 0x14
    RSUBMITFAIL = 0x45
    RTHROTTLED = 0x58
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RUNKNOWNERR = 0xFF


TOO_FAST = frozenset({Status.RTHROTTLED, Status.RMSGQFUL})
"""The message is good, the moment is not."""

TEMPORARY = frozenset({Status.RINVBNDSTS, Status.RSYSERR, Status.RSUBMITFAIL, Status.RX_T_APPN})
"""The SMSC's trouble, not the message's: it may be tried again."""


def name_of(status: int) -> str:
    """For people: ESME_RINVDSTADR, or 0x00000433."""
    try:
        return f"ESME_{Status(status).name}"
    except ValueError:
        return f"0x{status:08X}"
