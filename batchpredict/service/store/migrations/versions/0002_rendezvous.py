"""The rendezvous of training jobs.

It spells out what `tables.py` said then, and takes nothing from there: that goes on, this stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rendezvous",
        sa.Column("sequence", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("digest", _NAME, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("documents", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("sequence", name="pk_rendezvous"),
    )
    op.create_table(
        "rendezvous_documents",
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("place", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", "place", "name", name="pk_rendezvous_documents"),
    )
    op.create_index(
        "ix_rendezvous_documents_sequence_place_number",
        "rendezvous_documents",
        ["sequence", "place", "number"],
    )
