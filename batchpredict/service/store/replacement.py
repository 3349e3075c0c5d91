"""A write of what has an etag, which takes effect once, however often its transaction has to be tried."""

from __future__ import annotations

from batchpredict.service.store.database import Transaction
from batchpredict.service.store.interface import Stale, StoreFailed
from batchpredict.service.store.rows import new_etag


class Replacement:
    """One call's write of one row, over all attempts of its transaction.

    An attempt may have been committed although the connection went before that was heard. The next attempt finds
    one of three etags: its own, so it is done; the one that it was to replace, so it was not; or another, by
    somebody who wrote meanwhile, over what was there before or over what this call had written. Which, nobody can
    tell any more: to write then could undo what followed this very write, and to say that the etag is stale would
    say that nothing was written.

    Args:
      expected: the etag that the caller knows; None for whatever is stored.
      what: is written: 'the job "j"'.

    Attributes:
      etag: that the row gets.
    """

    def __init__(self, expected: str | None, what: str) -> None:
        self.etag = new_etag()
        self._expected = expected
        self._what = what
        self._replaces: str | None = None

    def done(self, transaction: Transaction, stored: str) -> bool:
        """Whether an attempt before this one has written it.

        Args:
          stored: the etag of the row, which is locked.

        Raises:
          Stale: the etag that the caller knows is not the stored one.
          StoreFailed: whether it was written is not known.
        """
        if transaction.again and self._replaces is not None:
            if stored == self.etag:
                return True
            if stored != self._replaces:
                raise StoreFailed(
                    "The connection to the database went, and somebody else has written since: it is not known "
                    f"whether {self._what} was changed. Read it and try again."
                )
        self.check(stored)
        self._replaces = stored
        return False

    def check(self, stored: str) -> None:
        """Raises Stale: the etag that the caller knows is not the stored one."""
        if self._expected not in (None, stored):
            what = self._what[0].upper() + self._what[1:]
            raise Stale(f'{what} has been changed: its etag is not "{self._expected}" any more.')
