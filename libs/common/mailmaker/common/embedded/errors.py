"""common.embedded.errors: why something of the machine could not be started.

EmbeddedError
├── Missing      a program or a file is not on this machine, and how to get it
├── StartFailed  a child ended or did not become ready; carries the end of its log
└── AlreadyUp    another live launcher owns this state directory
"""


class EmbeddedError(Exception):
    """Something of the machine could not be started."""


class Missing(EmbeddedError):
    """A program or a file is not on this machine."""


class StartFailed(EmbeddedError):
    """A child ended, or did not become ready in time."""


class AlreadyUp(EmbeddedError):
    """Another live launcher owns this state directory."""
