"""common.embedded.up: `mailmaker up`: the machine, from the first line to the last."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any

from mailmaker.common.embedded.machine import Machine
from mailmaker.common.embedded.options import UpOptions
from mailmaker.common.embedded.state import DEV_JSON, State

_SAME_WISH = 2.0
"""timeout(1) and shells signal a process and its group: the same wish, told twice."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def up(options: UpOptions) -> None:
    """Runs until SIGTERM or Ctrl-C. Raises EmbeddedError when it cannot start."""
    import uvloop

    state = State(options.state)
    state.hold()
    try:
        # A client that waits for this file must not find the one of an earlier start.
        (state.directory / DEV_JSON).unlink(missing_ok=True)
        uvloop.run(_run(options, state))
    finally:
        state.release()


async def _run(options: UpOptions, state: State) -> None:
    stop = _stop_event()
    began = time.monotonic()
    machine = Machine(options, state, _say)
    starting = asyncio.create_task(machine.start(), name="start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            print(_welcome(starting.result(), state, time.monotonic() - began), flush=True)
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.wait({starting, stopping})
        _say("stopping")
        await machine.stop()
        _say("stopped; the same command continues where it was")


def _stop_event() -> asyncio.Event:
    """Set by the first signal. Another one, seconds later, ends this process at once, and all children with it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    first = 0.0

    def asked() -> None:
        nonlocal first
        if not stop.is_set():
            stop.set()
            first = loop.time()
        elif loop.time() - first > _SAME_WISH:
            signal.raise_signal(signal.SIGKILL)

    for number in _SIGNALS:
        loop.add_signal_handler(number, asked)
    return stop


def _say(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


def _welcome(facts: dict[str, Any], state: State, seconds: float) -> str:
    sandbox = (
        f"{facts['sandbox']}, mails kept in {state.directory / 'sandbox'}" if facts["sandbox"] else "not used"
    )
    return f"""
Mail-Maker is ready after {seconds:.1f} s.

  address       {facts["base_url"]}
  API key       {facts["account_key"]}
  operator key  {facts["operator_key"]}
  mail in       {facts["inbound_smtp"]}
  files in      SFTP {facts["sftp"]}, FTPS {facts["ftps"]}: POST /v1/drops opens an inbox
  sandbox       {sandbox}
  PostgreSQL    {facts["database_url"].rpartition("@")[2]}
  Apache Kafka  {facts["kafka"] or "none: the in-process bus"}
  all of this   {state.directory / DEV_JSON}

  BASE={facts["base_url"]} KEY={facts["account_key"]}
  curl -H "Authorization: Bearer $KEY" $BASE/v1/lists

Ctrl-C stops everything; the same command continues where it was.
"""
