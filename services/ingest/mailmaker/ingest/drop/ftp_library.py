"""ingest.drop.ftp_library: pyftpdlib, imported in one place.

On Python 3.11 it stands on asyncore, which says at its import that it is old.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.filesystems import AbstractedFS
    from pyftpdlib.handlers import DTPHandler, TLS_DTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

__all__ = ["AbstractedFS", "DTPHandler", "FTPServer", "IOLoop", "TLS_DTPHandler", "TLS_FTPHandler"]
