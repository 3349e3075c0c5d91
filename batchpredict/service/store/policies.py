"""IAM policies: read, changed, and written only by whoever knows the latest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from batchpredict.service.store.creation import inserted
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.replacement import Replacement
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
        replacement = Replacement(etag, f"the policy of {resource}")
        kept = {key: value for key, value in policy.items() if key != "etag"}

        def write(transaction: Transaction) -> Mapping[str, Any]:
            connection = transaction.connection
            # So that there is a row to lock, and the first two that set it are in an order too.
            inserted(transaction, policies, resource=resource, policy={}, etag=UNSET)
            mine = policies.c.resource == resource
            row = connection.execute(select(policies).where(mine).with_for_update()).one()
            if not replacement.done(transaction, row.etag):
                connection.execute(update(policies).where(mine).values(policy=kept, etag=replacement.etag))
            return {**kept, "etag": replacement.etag}

        return self._database.write(write)
