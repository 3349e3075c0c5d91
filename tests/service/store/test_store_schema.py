"""The schema of a database: made where there is none, brought forward, and refused where it is newer."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import Any

import pytest
import support
from alembic.script import ScriptDirectory
from service.store_support import new_job
from sqlalchemy import inspect

from batchpredict.service.store import Placed, StoreFailed, Visitor, migrate, open_store, schema
from batchpredict.service.store.database import Database
from batchpredict.service.store.tables import metadata

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade():
    op.add_column("jobs", sa.Column("colour", sa.Text()))
"""


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """As if this were the version after, with one more migration."""

    def release() -> None:
        location = str(tmp_path / "migrations")
        shutil.copytree(schema.LOCATION, location)
        with open(f"{location}/versions/0004_colour.py", "w") as file:
            file.write(NEXT)
        monkeypatch.setattr(schema, "HEAD", "0004")
        monkeypatch.setattr(schema, "LOCATION", location)

    return release


def version_of(url: str) -> str | None:
    database = Database(url)
    try:
        return database.read(schema.current)
    finally:
        database.close()


def test_the_last_migration_is_the_version_that_is_asked_for():
    assert ScriptDirectory(schema.LOCATION).get_heads() == [schema.HEAD]


def test_the_migrations_make_the_tables_that_the_store_uses(database, request, tmp_path):
    migrate(database)
    if database.startswith("sqlite"):
        other = f"sqlite:///{tmp_path}/other.db"
    else:
        other = request.getfixturevalue("postgres_server").new_database()
    expected = Database(other)
    expected.write(lambda transaction: metadata.create_all(transaction.connection))
    expected.close()
    made = shape(database)
    assert made.pop("alembic_version")
    assert made == shape(other)


def shape(url: str) -> dict[str, Any]:
    """Tables with all that the database itself says of them."""
    database = Database(url)
    with database.engine.connect() as connection:
        inspector = inspect(connection)
        found: dict[str, Any] = {
            table: {
                "columns": [
                    {**column, "type": str(column["type"]), "collation": getattr(column["type"], "collation", None)}
                    for column in inspector.get_columns(table)
                ],
                "key": inspector.get_pk_constraint(table),
                "indices": sorted(inspector.get_indexes(table), key=lambda index: str(index["name"])),
                "unique": sorted(inspector.get_unique_constraints(table), key=lambda one: str(one["name"])),
                "options": inspector.get_table_options(table),
            }
            for table in inspector.get_table_names()
        }
    database.close()
    # What the dialect parsed anew each time: conditions of partial indices.
    return dict(json.loads(json.dumps(found, default=str)))


def test_an_empty_database_gets_the_schema_and_an_open_one_keeps_what_is_in_it(database, opened):
    opened(database).create_job(new_job("j"))
    assert version_of(database) == schema.HEAD
    assert opened(database).job("p", "j").job_id == "j"
    migrate(database)
    assert opened(database).job("p", "j").job_id == "j"


def test_several_that_open_an_empty_database_at_once_all_find_the_schema(database, opened):
    stores, errors = [], []

    def open_it() -> None:
        try:
            stores.append(opened(database))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number, store in enumerate(stores):
        store.create_job(new_job(f"j{number}"))
    assert len(stores[0].jobs("p")[0]) == 6


def test_an_older_sqlite_file_is_copied_and_brought_forward(tmp_path, opened, next_version):
    path = f"{tmp_path}/jobs.db"
    opened(path).create_job(new_job("j"))
    next_version()
    assert opened(path).job("p", "j").job_id == "j"
    assert version_of(path) == "0004"
    (copy,) = glob.glob(f"{path}.schema-0003.*")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT job_id FROM jobs").fetchall() == [("j",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0003",)]
    connection.close()
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600


@pytest.mark.postgres
def test_an_older_postgresql_is_brought_forward_by_command_only(postgres_server, opened, next_version):
    url = postgres_server.new_database()
    opened(url).create_job(new_job("j"))
    next_version()
    with pytest.raises(
        StoreFailed, match=r"has the schema 0003 .* needs 0004: .*`batchpredict serve --migrate`\.$"
    ):
        open_store(url)
    assert version_of(url) == "0003"
    migrate(url)
    assert opened(url).job("p", "j").job_id == "j"


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_keep_any_text_is_refused(postgres_server, encoding):
    url = postgres_server.new_database(options=f"ENCODING {encoding} LOCALE 'C'")
    for use in (open_store, migrate):
        with pytest.raises(StoreFailed, match=rf"has the encoding {encoding} and not UTF8, .* --encoding UTF8"):
            use(url)


def test_a_server_is_not_ready_when_its_database_went_ahead(database, opened, next_version, monkeypatch):
    store = opened(database)
    store.ready()
    next_version()
    migrate(database)
    monkeypatch.setattr(schema, "HEAD", "0003")
    with pytest.raises(StoreFailed, match="schema 0004 of a newer version"):
        store.ready()


def test_a_newer_database_is_refused_and_not_touched(database, opened, next_version, monkeypatch):
    next_version()
    opened(database)
    monkeypatch.setattr(schema, "HEAD", "0003")
    for use in (open_store, migrate):
        with pytest.raises(StoreFailed, match=r"schema 0004 of a newer version .* knows 0003"):
            use(database)
    assert version_of(database) == "0004"


def test_a_migration_that_fails_leaves_the_database_as_it_was(database, opened, next_version):
    opened(database).create_job(new_job("j"))
    next_version()
    with open(f"{schema.LOCATION}/versions/0004_colour.py", "a") as file:
        file.write('    op.execute("SELECT nonsense")\n')
    with pytest.raises(StoreFailed):
        migrate(database)
    assert version_of(database) == "0003"
    plain = Database(database)
    with plain.engine.connect() as connection:
        columns = connection.exec_driver_sql("SELECT * FROM jobs").keys()
    plain.close()
    assert "colour" not in columns


def test_the_file_is_made_with_its_folder_and_is_nobody_elses(tmp_path, opened):
    path = f"{tmp_path}/new/folder/jobs.db"
    opened(f"sqlite:///{path}").create_job(new_job("j"))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{path}-wal").st_mode) == 0o600


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://host/name", r"mysql://host/name is neither a SQLite file \(sqlite:///PATH\) nor PostgreSQL"),
        ("sqlite://", "neither a SQLite file"),
        ("sqlite:///:memory:", "neither a SQLite file"),
        ("mysql://ann:secret@host/name", r"mysql://ann:\*\*\*@host"),
        ("postgresql://host:port/x", "is not a URL"),
        ("/dev/null/jobs.db", "/dev/null/jobs.db cannot be opened: File exists"),
    ],
)
def test_what_cannot_be_a_database_is_named(url, words):
    with pytest.raises(StoreFailed, match=words):
        open_store(url)


def test_an_sqlite_that_is_too_old_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreFailed, match=r"3\.35\.0 is needed"):
        open_store(f"{tmp_path}/jobs.db")


def test_a_path_may_have_any_characters(tmp_path, opened):
    path = f"{tmp_path}/a b?c#d%41é/jobs.db"
    opened(path).create_job(new_job("j"))
    assert os.path.exists(path)


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("To do: " * 200)
    with pytest.raises(StoreFailed, match=r"notes\.txt: file is not a database\.$"):
        open_store(str(path))


@pytest.mark.parametrize("version", ["0001", "0002", "0003"])
def test_the_store_that_an_earlier_schema_left_is_read(tmp_path, opened, version):
    path = shutil.copy(f"{support.ROOT}/testdata/golden/service-{version}.db", tmp_path)
    store = opened(str(path))
    states = {job.job_id: job.standing.state.value for job in store.jobs("census")[0]}
    assert states == {
        "waits": "QUEUED",
        "runs": "RUNNING",
        "stops": "CANCELLING",
        "done": "SUCCEEDED",
        "failed": "FAILED",
        "cancelled": "CANCELLED",
    }
    done = store.job("census", "done")
    assert done.output == {"predictionCount": "9007199254740993", "errorCount": "2", "nodeHours": 0.25}
    assert done.new.labels == {"team": "blue", "größe": "é"}
    assert done.new.document["predictionInput"]["inputPaths"] == ["/data/in/*.json"]
    assert [step.after.value for step in store.history("census", "done")] == [
        "QUEUED",
        "PREPARING",
        "RUNNING",
        "SUCCEEDED",
    ]
    assert [line.text for line in store.log("census", "done")] == ["The job begins.", "9007199254740993 ✓"]
    assert store.job("census", "runs").standing.lease.worker == "machine-1"
    assert store.policy("projects/census")["bindings"][0]["role"] == "roles/ml.viewer"
    assert store.model("census", "income").default == "v1"
    assert store.version("census", "income", "v1").details == {"signatures": ["serving_default"]}
    assert store.operation("census", "create_income_v1").done
    store.create_job(new_job("next", project="census"))


def test_the_rendezvous_that_the_second_schema_left_is_read(tmp_path, opened):
    store = opened(str(shutil.copy(f"{support.ROOT}/testdata/golden/service-0002.db", tmp_path)))
    visitor = Visitor("census", "runs", hashlib.sha256(b"test").hexdigest())
    assert store.documents(visitor, "f/gang-001") == (
        [Placed("gang.1.claim.master-0", 1, {"host": "größe"}), Placed("host.a", 2, {"beat": 1})],
        False,
    )


def test_the_watches_that_the_third_schema_left_are_read(tmp_path, opened):
    store = opened(str(shutil.copy(f"{support.ROOT}/testdata/golden/service-0003.db", tmp_path)))
    watch = store.watch("census", "arriving")
    assert watch.new.pinned["inputPaths"] == ["/data/größe/*.json"]
    assert (watch.leading.worker, watch.leading.generation) == ("machine-1", 1)
    assert [note.text for note in watch.notes] == ["epoch 2 is set aside ✓"]
    second, first = store.epochs("census", "arriving")[0]
    assert (first.bytes, first.job_id, first.state) == (2**40, "arriving_epoch_00000001", "RUNNING")
    assert (second.state, second.message, second.failures) == ("SET_ASIDE", "größer", 5)


def test_opening_a_store_that_has_the_schema_does_not_import_alembic(tmp_path):
    migrate(f"{tmp_path}/jobs.db")
    program = (
        "import sys; from batchpredict.service.store import open_store; "
        "open_store(sys.argv[1]).close(); print('alembic' in sys.modules, 'tensorflow' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, f"{tmp_path}/jobs.db"],
        env={**os.environ, "PYTHONPATH": support.ROOT},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["False", "False"]
