"""dispatch.storage.migrations: accounts to be emptied; a mailing's row outlives its template and its sender.

What was sent, to whom, and why or why not is kept of an account that is gone; its texts, addresses and keys are not. The
previous release never removes a template or a sender, so nothing of it leans on the two keys.
"""

from alembic import op
from mailmaker.common.storage.tables_v2 import emptying_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER TABLE mailings DROP CONSTRAINT mailings_account_id_template_id_fkey,"
        " DROP CONSTRAINT mailings_account_id_sender_id_fkey"
    )
    emptying_table(op, "dispatch")
