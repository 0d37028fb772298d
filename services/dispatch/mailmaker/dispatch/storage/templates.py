"""dispatch.storage: templates, as their authors wrote them."""

from __future__ import annotations

from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.sending import Template

_COLUMNS = "account_id, id, name, channel, subject, html, body, fields, created_at"
_ADD = f"INSERT INTO templates ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_ONE = f"SELECT {_COLUMNS} FROM templates WHERE account_id = $1 AND id = $2"
_PAGE = f"SELECT {_COLUMNS} FROM templates WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3"


async def add(tx: Transaction, template: Template) -> None:
    """Writes a template. Templates are not changed afterwards: a new text is a new template."""
    await tx.driver.execute(
        _ADD,
        template.account_id,
        template.id,
        template.name,
        template.channel,
        template.subject,
        template.html,
        template.body,
        list(template.fields),
        template.created_at,
    )


async def one(tx: Transaction, account_id: UUID, template_id: UUID) -> Template | None:
    """A template of the account."""
    row = await tx.driver.fetchrow(_ONE, account_id, template_id)
    return None if row is None else _template(row)


async def page(tx: Transaction, account_id: UUID, after: UUID, limit: int) -> list[Template]:
    """Templates in the order they were made."""
    return [_template(row) for row in await tx.driver.fetch(_PAGE, account_id, after, limit)]


def _template(row: Record) -> Template:
    return Template(
        account_id=row["account_id"],
        id=row["id"],
        name=row["name"],
        channel=row["channel"],
        subject=row["subject"],
        html=row["html"],
        body=row["body"],
        fields=tuple(row["fields"]),
        created_at=row["created_at"],
    )
