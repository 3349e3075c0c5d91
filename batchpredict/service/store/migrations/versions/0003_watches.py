"""Watches and their epochs; of a job that failed, by which error.

It spells out what `tables.py` said then, and takes nothing from there: that goes on, this stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_SENTENCE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("error", _NAME, nullable=False, server_default=""))
    op.create_table(
        "watches",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("watch_id", _NAME, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("pinned", sa.Text(), nullable=False),
        sa.Column("creator", _SENTENCE, nullable=False),
        sa.Column("webhook", _SENTENCE, nullable=False, server_default=""),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease_worker", _NAME),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("losses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", sa.BigInteger()),
        sa.Column("message", _SENTENCE, nullable=False, server_default=""),
        sa.Column("retries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("epochs", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("set_aside", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_watches"),
        sa.UniqueConstraint("project", "watch_id", name="uq_watches_project_watch_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_watches_project_number", "watches", ["project", "number"])
    op.create_table(
        "watch_epochs",
        sa.Column("watch", _NUMBER, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("model", _SENTENCE, nullable=False),
        sa.Column("job_id", _NAME, nullable=False, server_default=""),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("message", _SENTENCE, nullable=False, server_default=""),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger()),
        sa.PrimaryKeyConstraint("watch", "epoch", name="pk_watch_epochs"),
    )
    op.create_index("ix_watch_epochs_ended", "watch_epochs", ["ended"])
