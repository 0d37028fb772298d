"""common.cli: the command `mailmaker`. Parses and prints; what a command does stands in common.commands.

Imports stand inside the commands: `mailmaker --help` must not wait for a web framework.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    name="mailmaker",
    help="The platform for companies that send a lot of email and SMS lawfully.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of standard output.")]


@app.command()
def up(
    state: Annotated[Path, typer.Option(help="Directory that keeps everything.")] = Path(".mailmaker"),
    port: Annotated[int | None, typer.Option(help="Port of the front door; 8080 if free.")] = None,
    bus: Annotated[str, typer.Option(help="kafka, or memory: all five services in one process.")] = "kafka",
    smarthost: Annotated[
        str | None, typer.Option(help="HOST:PORT that takes every message, instead of the sandbox.")
    ] = None,
    scale: Annotated[list[str] | None, typer.Option(help="HOUSE=NUMBER of processes, as dispatch=2.")] = None,
) -> None:
    """Start everything on this machine: PostgreSQL, Apache Kafka, the five services, a sandbox for mail."""
    from mailmaker.common.embedded.errors import EmbeddedError
    from mailmaker.common.embedded.options import BusKind, UpOptions, scale_of
    from mailmaker.common.embedded.up import up as run_up

    try:
        options = UpOptions(state, port, BusKind(bus), smarthost, scale_of(scale or []))
    except ValueError as wrong:
        _refuse(wrong)
    try:
        run_up(options)
    except EmbeddedError as wrong:
        _fail(wrong)


@app.command()
def run(
    what: Annotated[str, typer.Argument(help="The service, or `all` for the five in one process.")],
) -> None:
    """Run one service, configured by MAILMAKER_* variables, until SIGTERM."""
    from mailmaker.common.commands.run import run as run_service
    from mailmaker.common.ops.settings import WrongSettings

    try:
        run_service(what)
    except WrongSettings as wrong:
        _fail(wrong)


@app.command()
def migrate(
    houses: Annotated[list[str] | None, typer.Argument(help="Services; all when none is named.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the schemas to this release, as MAILMAKER_ADMIN_DATABASE_URL; roles are made with the passwords that the
    services' own database URLs carry."""
    from mailmaker.common.commands.migrate import migrate_all
    from mailmaker.common.ops.settings import WrongSettings

    try:
        reached = migrate_all(houses or [])
    except WrongSettings as wrong:
        _fail(wrong)
    _print(reached, as_json, "\n".join(f"{house}: {revision}" for house, revision in reached.items()))


@app.command()
def check(
    houses: Annotated[list[str] | None, typer.Argument(help="Services; all when none is named.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether the services could start here: settings, database, schema, Kafka. Exit code 1 if not."""
    from mailmaker.common.commands.check import check_all

    found = check_all(houses or [])
    lines = [f"{'well ' if fault is None else 'WRONG'} {name}{'' if fault is None else f': {fault}'}"
             for name, fault in found.items()]  # fmt: skip
    _print(found, as_json, "\n".join(lines))
    raise typer.Exit(any(fault is not None for fault in found.values()))


@app.command()
def topics(
    create: Annotated[bool, typer.Option(help="Make what is missing on MAILMAKER_KAFKA.")] = False,
    table: Annotated[bool, typer.Option(help="A Markdown table instead of manifests.")] = False,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Print the Kubernetes manifests of the Kafka topics, or make the topics."""
    from mailmaker.common.commands import topics as work

    if create:
        made = work.create()
        _print(made, as_json, "\n".join(made) or "nothing was missing")
    elif as_json:
        _print(work.facts(), True, "")
    else:
        _write(work.table() if table else work.manifest(), out)


@app.command()
def asyncapi(out: Out = None) -> None:
    """Print the AsyncAPI 3 document of all events."""
    from mailmaker.common.contracts.asyncapi import asyncapi_document

    _write(asyncapi_document(), out)


@app.command()
def openapi(house: Annotated[str, typer.Argument(help="The service.")], out: Out = None) -> None:
    """Print the OpenAPI 3.1 document of a service."""
    from mailmaker.common.commands.openapi import openapi_document

    _write(openapi_document(house), out)


@app.command("env-example")
def env_example(out: Out = None) -> None:
    """Print every setting with its meaning and its default, as .env.example."""
    from mailmaker.common.commands.env_example import env_example as text

    _write(text(), out)


@app.command()
def demo(
    contacts: Annotated[int, typer.Option(min=1, help="How many contacts are made up.")] = 100_000,
    file: Annotated[Path | None, typer.Option(exists=True, help="A CSV of your own instead.")] = None,
    noes: Annotated[
        int, typer.Option("--opt-outs", min=0, help='"No"s said while the mailing runs.')
    ] = 2_000,
    kills: Annotated[int, typer.Option(min=0, help="kill -9 of dispatch in the middle.")] = 1,
    directory: Annotated[Path | None, typer.Option("--dir", help="Keep everything here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the promise: import a file, mail it at full speed, say "no" at four doors, kill a process, count."""
    from mailmaker.common.commands.demo import demo as play

    raise typer.Exit(play(contacts, file, noes, kills, directory, as_json))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file.")],
    into: Annotated[str, typer.Option("--list", help="The list it goes into, by id or by name.")],
    mode: Annotated[str, typer.Option(help="incremental, add, update, full or opt_out.")] = "incremental",
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and ask before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --plan: approve without asking.")] = False,
    more: Annotated[str, typer.Option("--options", help="More options of POST /v1/imports, as JSON.")] = "{}",
    base_url: Annotated[str | None, typer.Option(help="Where the platform answers.")] = None,
    key: Annotated[str | None, typer.Option(help="An API key; better in MAILMAKER_API_KEY.")] = None,
    state: Annotated[Path, typer.Option(help="The directory of `mailmaker up`.")] = Path(".mailmaker"),
    as_json: AsJson = False,
) -> None:
    """Import a file into a list of a running platform. Exit code 0: applied, 1: not, 3: it waits for approval."""
    from mailmaker.common.commands.api import Refused, Where
    from mailmaker.common.commands.import_file import Order, import_file

    try:
        options = json.loads(more)
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as wrong:
        _refuse(ValueError(f"--options is a JSON object: {wrong}"))
    try:
        order = Order(file, into, mode, plan, yes, options)
        code = import_file(Where.found(base_url, key, state), order, as_json)
    except Refused as wrong:
        _fail(wrong)
    raise typer.Exit(code)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)


def _print(data: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(data, indent=2) if as_json else text)


def _refuse(wrong: Exception) -> NoReturn:
    typer.echo(f"mailmaker: {wrong}", err=True)
    raise typer.Exit(2)


def _fail(wrong: Exception) -> NoReturn:
    typer.echo(f"mailmaker: {wrong}", err=True)
    raise typer.Exit(1)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
