"""IAM policies: read, changed, and written only by whoever knows the latest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from batchpredict.service.store.creation import inserted
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Stale
from batchpredict.service.store.rows import new_etag
from batchpredict.service.store.tables import policies

# Of a policy that nobody has set, as the original had it.
UNSET = "ACAB"


class SqlPolicies:
    """`PolicyStore` in SQL."""

    _database: Database

    def policy(self, resource: str) -> Mapping[str, Any]:
        statement = select(policies).where(policies.c.resource == resource)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return {"etag": UNSET} if row is None else {**row.policy, "etag": row.etag}

    def set_policy(self, resource: str, policy: Mapping[str, Any], etag: str | None) -> Mapping[str, Any]:
        fresh = new_etag()
        kept = {key: value for key, value in policy.items() if key != "etag"}

        def write(transaction: Transaction) -> Mapping[str, Any]:
            connection = transaction.connection
            # So that there is a row to lock, and the first two that set it are in an order too.
            inserted(transaction, policies, resource=resource, policy={}, etag=UNSET)
            mine = policies.c.resource == resource
            row = connection.execute(select(policies).where(mine).with_for_update()).one()
            own = transaction.again and row.etag == fresh
            if etag is not None and row.etag != etag and not own:
                raise Stale(f"The policy of {resource} has been changed: read it, change it, and write it again.")
            connection.execute(update(policies).where(mine).values(policy=kept, etag=fresh))
            return {**kept, "etag": fresh}

        return self._database.write(write)
