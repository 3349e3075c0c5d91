"""The whole store, in one database."""

from __future__ import annotations

from batchpredict.service.store import schema
from batchpredict.service.store.claims import SqlClaims
from batchpredict.service.store.database import Database
from batchpredict.service.store.interface import StoreFailed
from batchpredict.service.store.jobs import SqlJobs
from batchpredict.service.store.logs import SqlLogs
from batchpredict.service.store.models import SqlModels
from batchpredict.service.store.operations import SqlOperations
from batchpredict.service.store.outbox import SqlOutbox
from batchpredict.service.store.policies import SqlPolicies
from batchpredict.service.store.rendezvous_rows import SqlRendezvous
from batchpredict.service.store.retention import SqlRetention
from batchpredict.service.store.watches import SqlWatches


class SqlStore(
    SqlJobs,
    SqlClaims,
    SqlLogs,
    SqlRendezvous,
    SqlOutbox,
    SqlRetention,
    SqlPolicies,
    SqlModels,
    SqlOperations,
    SqlWatches,
):
    """`Store` over SQLAlchemy: SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)

    def ready(self) -> None:
        database = self._database
        if not database.read(lambda connection: schema.check(connection, database.name)):
            raise StoreFailed(f"The database {database.name} has not the schema {schema.HEAD} of this version.")

    def close(self) -> None:
        self._database.close()
