"""common.embedded.leash: turns into another program that dies with its parent.

Run as a file, `python -I -S leash.py SIGNAL PARENT USER program args...`; it becomes the program by exec, so
the process id and the command line are the program's own. A preexec_fn would do the same inside a fork of a
threaded process, where only async-signal-safe code is lawful; this costs 15 ms and is always safe.

Imports nothing of Mail-Maker: it must start fast, and before any site-packages are on the path.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def _drop_to(user: str) -> None:
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def main() -> None:
    death_signal, parent, user, *command = sys.argv[1:]
    if user != "-":
        _drop_to(user)
    # After the change of user, which clears it. Other systems have no such thing: there only a clean stop is
    # clean.
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
        if os.getppid() != int(parent):  # it died before we asked
            sys.exit(1)
    os.execvp(command[0], command)


main()
