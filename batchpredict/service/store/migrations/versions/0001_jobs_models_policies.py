"""The first schema: jobs with their labels, history and logs, webhooks, workers, policies, models.

It spells out what `tables.py` said then, and takes nothing from there: that goes on, this stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.BigInteger()
_JSON = sa.Text()


def upgrade() -> None:
    _jobs()
    _of_jobs()
    _others()
    _models()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("job_id", _NAME, nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("changed", _TIME, nullable=False),
        sa.Column("start_time", _TIME),
        sa.Column("end_time", _TIME),
        sa.Column("generation", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease_worker", _NAME),
        sa.Column("lease_until", _TIME),
        sa.Column("lease_workers", sa.Integer()),
        sa.Column("losses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", _TIME),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("creator", _TEXT, nullable=False),
        sa.Column("etag", _NAME, nullable=False),
        sa.Column("message", _TEXT, nullable=False, server_default=""),
        sa.Column("uri", _TEXT, nullable=False, server_default=""),
        sa.Column("webhook", _TEXT, nullable=False, server_default=""),
        sa.Column("labels", _TEXT, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("sequence", name="pk_jobs"),
        sa.UniqueConstraint("project", "job_id", name="uq_jobs_project_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_jobs_list",
        "jobs",
        ["project", "sequence", "state", "created", "start_time", "end_time", "job_id"],
    )
    op.create_index("ix_jobs_project_state_sequence", "jobs", ["project", "state", "sequence"])
    op.create_index("ix_jobs_state", "jobs", ["state"])
    for name, columns, where in (
        ("ix_jobs_queue", ["project", "sequence"], "state = 'QUEUED'"),
        ("ix_jobs_lease_worker", ["lease_worker"], "lease_worker IS NOT NULL"),
        ("ix_jobs_uri", ["uri"], "uri != '' AND end_time IS NULL"),
    ):
        op.create_index(name, "jobs", columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def _of_jobs() -> None:
    op.create_table(
        "job_documents",
        sa.Column("sequence", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("document", _JSON, nullable=False),
        sa.Column("labels", _JSON, nullable=False),
        sa.Column("pinned", _JSON, nullable=False),
        sa.Column("output", _JSON),
        sa.Column("progress", _JSON),
        sa.PrimaryKeyConstraint("sequence", name="pk_job_documents"),
    )
    op.create_table(
        "job_labels",
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("value", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("project", "key", "value", "sequence", name="pk_job_labels"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_labels_sequence", "job_labels", ["sequence"])
    op.create_table(
        "job_history",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("before", _NAME),
        sa.Column("after", _NAME, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("message", _TEXT, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number", name="pk_job_history"),
    )
    op.create_index("ix_job_history_sequence_number", "job_history", ["sequence", "number"])
    op.create_table(
        "job_logs",
        sa.Column("sequence", _NUMBER, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("severity", _NAME, nullable=False),
        sa.Column("task", _TEXT, nullable=False),
        sa.Column("text", _TEXT, nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", "number", name="pk_job_logs"),
    )
    op.create_index("ix_job_logs_sequence_end", "job_logs", ["sequence", "end"])


def _others() -> None:
    op.create_table(
        "outbox",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("job_id", _NAME, nullable=False),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due", _TIME),
        sa.Column("reason", _TEXT, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_due", "outbox", ["due"])
    op.create_table(
        "workers",
        sa.Column("worker", _NAME, nullable=False),
        sa.Column("host", _TEXT, nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("seen", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_workers"),
    )
    op.create_table(
        "policies",
        sa.Column("resource", _NAME, nullable=False),
        sa.Column("policy", _JSON, nullable=False),
        sa.Column("etag", _NAME, nullable=False),
        sa.PrimaryKeyConstraint("resource", name="pk_policies"),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("document", _JSON, nullable=False),
        sa.Column("labels", _JSON, nullable=False),
        sa.Column("creator", _TEXT, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("etag", _NAME, nullable=False),
        sa.Column("default", _NAME),
        sa.PrimaryKeyConstraint("number", name="pk_models"),
        sa.UniqueConstraint("project", "model", name="uq_models_project_model"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_models_project_number", "models", ["project", "number"])
    op.create_table(
        "versions",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", _NAME, nullable=False),
        sa.Column("document", _JSON, nullable=False),
        sa.Column("labels", _JSON, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("etag", _NAME, nullable=False),
        sa.Column("state", _NAME, nullable=False),
        sa.Column("uri", _TEXT, nullable=False, server_default=""),
        sa.Column("details", _JSON, nullable=False),
        sa.Column("message", _TEXT, nullable=False, server_default=""),
        sa.Column("last_used", _TIME),
        sa.PrimaryKeyConstraint("number", name="pk_versions"),
        sa.UniqueConstraint("project", "model", "version", name="uq_versions_project_model_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_versions_project_model_number", "versions", ["project", "model", "number"])
    op.create_table(
        "operations",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("project", _NAME, nullable=False),
        sa.Column("operation", _NAME, nullable=False),
        sa.Column("document", _JSON, nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("worker", _NAME, nullable=False, server_default=""),
        sa.Column("held_until", _TIME),
        sa.PrimaryKeyConstraint("number", name="pk_operations"),
        sa.UniqueConstraint("project", "operation", name="uq_operations_project_operation"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_operations_project_number", "operations", ["project", "number"])
    op.create_index(
        "ix_operations_open",
        "operations",
        ["number"],
        postgresql_where=sa.text("NOT done"),
        sqlite_where=sa.text("NOT done"),
    )
