"""What the processes of a job get to see of the machine: an environment, a user, a folder of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from batchpredict.errors import WrongCall
from batchpredict.service.environment import passed_on

MARK = "BATCHPREDICT_RUN"
"""Variable that every process of a run has: WORKER/RUN. By it they are found again."""


@dataclass(frozen=True)
class User:
    """A user of the machine that jobs run as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    @classmethod
    def named(cls, name: str) -> User | None:
        """The user of that name; None for "", the service's own.

        Raises:
          WrongCall: there is none, or the service may not become it.
        """
        if not name:
            return None
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise WrongCall(f"user: there is no user '{name}' on this machine.") from error
        if os.geteuid() not in (0, entry.pw_uid):
            raise WrongCall(f"user: jobs can run as '{name}' only if the worker is started by root.")
        if entry.pw_uid == 0:
            raise WrongCall("user: jobs must not run as root.")
        groups = tuple(os.getgrouplist(name, entry.pw_gid))
        return cls(name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def environment(
    environ: Mapping[str, str], mark: str, folder: RunFolder, user: User | None = None
) -> dict[str, str]:
    """Of a job's processes.

    Args:
      environ: the worker's own.
      mark: of the run.
      folder: of the run.
      user: that they run as; None for the worker's own.
    """
    home = environ.get("HOME", "/") if user is None else user.home
    named = pwd.getpwuid(os.geteuid()).pw_name if user is None else user.name
    return {
        **passed_on(environ, other_user=user is not None),
        "HOME": home,
        "USER": named,
        "LOGNAME": named,
        "TMPDIR": folder.temporary,
        # Locks of the machine's GPUs, which all jobs must see alike.
        "BATCHPREDICT_LOCKS": environ.get("BATCHPREDICT_LOCKS") or tempfile.gettempdir(),
        "PYTHONUNBUFFERED": "1",
        MARK: mark,
    }


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: nobody else reads it, and it is removed with all that a job has left there."""

    path: str

    @property
    def temporary(self) -> str:
        """For temporary files."""
        return os.path.join(self.path, "tmp")

    @property
    def work(self) -> str:
        """The working directory."""
        return os.path.join(self.path, "work")

    def make(self, user: User | None) -> None:
        """Raises OSError."""
        for path in (self.path, self.temporary, self.work):
            os.makedirs(path, mode=0o700)
            if user is not None:
                os.chown(path, user.uid, user.gid)

    def remove(self) -> None:
        remove_tree(self.path)


def remove_tree(path: str) -> None:
    """Remove a folder, also where a job has taken rights away; what cannot be removed stays for the next time."""
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.isdir(path):
        return
    for folder, inner, _ in os.walk(path):
        for name in inner:
            inside = os.path.join(folder, name)
            if not os.path.islink(inside):
                with contextlib.suppress(OSError):
                    os.chmod(inside, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
