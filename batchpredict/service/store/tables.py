"""The tables, as `migrations` makes them.

    jobs ──< job_labels, job_history, job_logs        what is asked for by filters and by the queue is in `jobs`,
      ├── job_documents                                and its rows are narrow: a list that has to look at all
      └── rendezvous ──< rendezvous_documents          100,000 of them reads 15 MB and not 200
    outbox, workers, policies
    models ──< versions, operations
    watches ──< watch_epochs

Nothing refers to a row by a foreign key: what belongs to a job is written with it, and deleted with it by
`retention`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from batchpredict.service.store.columns import Instant, Json, Name, Number, Sentence

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("sequence", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("job_id", Name, nullable=False),
    Column("state", Name, nullable=False),
    Column("created", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
    Column("start_time", Instant),
    Column("end_time", Instant),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("lease_worker", Name),
    Column("lease_until", Instant),
    Column("lease_workers", Integer),
    Column("losses", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant),
    Column("workers", Integer, nullable=False),
    Column("creator", Sentence, nullable=False),
    Column("etag", Name, nullable=False),
    Column("message", Sentence, nullable=False, server_default=""),
    # Of the model's files that it is to be scored with; "" where its document names them.
    Column("uri", Sentence, nullable=False, server_default=""),
    Column("webhook", Sentence, nullable=False, server_default=""),
    # As `labels.text_of` writes them: whether a job that is looked at has a label is seen in its row.
    Column("labels", Sentence, nullable=False, server_default=""),
    # Name of the class of the error by which it failed; "" where there is none.
    Column("error", Name, nullable=False, server_default=""),
    UniqueConstraint("project", "job_id"),
    # The newest first, and with it what most filters ask for: where few match, the index is read and not the table.
    Index("ix_jobs_list", "project", "sequence", "state", "created", "start_time", "end_time", "job_id"),
    Index("ix_jobs_project_state_sequence", "project", "state", "sequence"),
    Index("ix_jobs_state", "state"),
    Index(
        "ix_jobs_queue",
        "project",
        "sequence",
        postgresql_where=text("state = 'QUEUED'"),
        sqlite_where=text("state = 'QUEUED'"),
    ),
    Index(
        "ix_jobs_lease_worker",
        "lease_worker",
        postgresql_where=text("lease_worker IS NOT NULL"),
        sqlite_where=text("lease_worker IS NOT NULL"),
    ),
    Index(
        "ix_jobs_uri",
        "uri",
        postgresql_where=text("uri != '' AND end_time IS NULL"),
        sqlite_where=text("uri != '' AND end_time IS NULL"),
    ),
    sqlite_autoincrement=True,
)

# As the index of the queue has it: a condition with a parameter would not be known to be the same.
IN_QUEUE = text("jobs.state = 'QUEUED'")

job_documents = Table(
    "job_documents",
    metadata,
    Column("sequence", Number, primary_key=True, autoincrement=False),
    Column("document", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("pinned", Json, nullable=False),
    Column("output", Json),
    Column("progress", Json),
)

# The same labels, one a row: the jobs of a label, newest first.
job_labels = Table(
    "job_labels",
    metadata,
    Column("sequence", Number, nullable=False),
    Column("project", Name, nullable=False),
    Column("key", Sentence, nullable=False),
    Column("value", Sentence, nullable=False),
    PrimaryKeyConstraint("project", "key", "value", "sequence"),
    Index("ix_job_labels_sequence", "sequence"),
    sqlite_with_rowid=False,
)

job_history = Table(
    "job_history",
    metadata,
    Column("number", Number, primary_key=True),
    Column("sequence", Number, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("before", Name),
    Column("after", Name, nullable=False),
    Column("at", Instant, nullable=False),
    Column("message", Sentence, nullable=False, server_default=""),
    Index("ix_job_history_sequence_number", "sequence", "number"),
)

job_logs = Table(
    "job_logs",
    metadata,
    Column("sequence", Number, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("severity", Name, nullable=False),
    Column("task", Sentence, nullable=False),
    Column("text", Sentence, nullable=False),
    # Bytes of all lines of the job up to the end of this one, also of those that were dropped.
    Column("end", BigInteger, nullable=False),
    PrimaryKeyConstraint("sequence", "number"),
    Index("ix_job_logs_sequence_end", "sequence", "end"),
)

# Of a training job that runs: which token admits to its rendezvous, and what is there.
rendezvous = Table(
    "rendezvous",
    metadata,
    Column("sequence", Number, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
    Column("digest", Name, nullable=False),
    # The number of the document that was written last.
    Column("last", BigInteger, nullable=False, server_default="0"),
    Column("documents", Integer, nullable=False, server_default="0"),
    # Bytes of all documents.
    Column("size", BigInteger, nullable=False, server_default="0"),
)

rendezvous_documents = Table(
    "rendezvous_documents",
    metadata,
    Column("sequence", Number, nullable=False),
    Column("place", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("document", Json, nullable=False),
    PrimaryKeyConstraint("sequence", "place", "name"),
    Index("ix_rendezvous_documents_sequence_place_number", "sequence", "place", "number"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("job_id", Name, nullable=False),
    Column("url", Sentence, nullable=False),
    Column("body", Json, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # None where it was given up.
    Column("due", Instant),
    Column("reason", Sentence, nullable=False, server_default=""),
    Index("ix_outbox_due", "due"),
    sqlite_autoincrement=True,
)

workers = Table(
    "workers",
    metadata,
    Column("worker", Name, primary_key=True),
    Column("host", Sentence, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("seen", Instant, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("resource", Name, primary_key=True),
    Column("policy", Json, nullable=False),
    Column("etag", Name, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("number", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("model", Name, nullable=False),
    Column("document", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("creator", Sentence, nullable=False),
    Column("created", Instant, nullable=False),
    Column("etag", Name, nullable=False),
    Column("default", Name),
    UniqueConstraint("project", "model"),
    Index("ix_models_project_number", "project", "number"),
    sqlite_autoincrement=True,
)

versions = Table(
    "versions",
    metadata,
    Column("number", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("model", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("document", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("created", Instant, nullable=False),
    Column("etag", Name, nullable=False),
    Column("state", Name, nullable=False),
    Column("uri", Sentence, nullable=False, server_default=""),
    Column("details", Json, nullable=False),
    Column("message", Sentence, nullable=False, server_default=""),
    Column("last_used", Instant),
    UniqueConstraint("project", "model", "version"),
    Index("ix_versions_project_model_number", "project", "model", "number"),
    sqlite_autoincrement=True,
)

operations = Table(
    "operations",
    metadata,
    Column("number", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("operation", Name, nullable=False),
    Column("document", Json, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("worker", Name, nullable=False, server_default=""),
    Column("held_until", Instant),
    UniqueConstraint("project", "operation"),
    Index("ix_operations_project_number", "project", "number"),
    Index("ix_operations_open", "number", postgresql_where=text("NOT done"), sqlite_where=text("NOT done")),
    sqlite_autoincrement=True,
)

watches = Table(
    "watches",
    metadata,
    Column("number", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("watch_id", Name, nullable=False),
    Column("document", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("pinned", Json, nullable=False),
    Column("creator", Sentence, nullable=False),
    Column("webhook", Sentence, nullable=False, server_default=""),
    Column("created", Instant, nullable=False),
    Column("state", Name, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("lease_worker", Name),
    Column("lease_until", Instant),
    Column("losses", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant),
    Column("message", Sentence, nullable=False, server_default=""),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("epochs", BigInteger, nullable=False, server_default="0"),
    Column("set_aside", Integer, nullable=False, server_default="0"),
    Column("notes", Json, nullable=False),
    UniqueConstraint("project", "watch_id"),
    Index("ix_watches_project_number", "project", "number"),
    sqlite_autoincrement=True,
)

watch_epochs = Table(
    "watch_epochs",
    metadata,
    Column("watch", Number, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("state", Name, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("model", Sentence, nullable=False),
    Column("job_id", Name, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("message", Sentence, nullable=False, server_default=""),
    Column("begun", Instant, nullable=False),
    Column("ended", Instant),
    PrimaryKeyConstraint("watch", "epoch"),
    Index("ix_watch_epochs_ended", "ended"),
)
