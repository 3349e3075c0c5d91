"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, reached by a socket in it.

Debian's programs (apt-get install postgresql); no server that runs on the machine is touched. PostgreSQL does not
run as root: where the tests do, it runs as the user `postgres`, or as nobody.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg


def _programs() -> str:
    """The folder of initdb and postgres; "" if there is none."""
    found = shutil.which("initdb")
    if found:
        return os.path.dirname(os.path.realpath(found))
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    return folders[-1] if folders else ""


MISSING = "" if _programs() else "no initdb on the path or in /usr/lib/postgresql (apt-get install postgresql)"

# Whatever is in the tests' environment says nothing to this cluster.
_ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}


@dataclass
class Postgres:
    """A server that runs. `durable`: it syncs, as it does for real; most tests do not ask for it."""

    folder: str
    durable: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _made: int = 0

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tests@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0", options: str = "") -> str:
        """The URL of a database that is empty, or as its template. `options`: of CREATE DATABASE."""
        self._made += 1
        name = f"d{self._made}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {options}')
        return self.url(name)

    def start(self) -> None:
        settings = {
            "unix_socket_directories": self.folder,
            "listen_addresses": "",
            "max_connections": "200",
            "fsync": "on" if self.durable else "off",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._process = _popen(["postgres", "-D", self._data, *flags], log)
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: at once but in order (SIGINT), or as after a power cut (SIGQUIT)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    @property
    def _data(self) -> str:
        return os.path.join(self.folder, "data")


@contextlib.contextmanager
def serving(durable: bool = False) -> Iterator[Postgres]:
    """A server with an empty cluster, gone at the end."""
    # Not below pytest's own folder: the path of a socket has at most 107 bytes, and others may not enter that one.
    folder = tempfile.mkdtemp(prefix="bp-pg-", dir="/tmp")
    try:
        user = _user()
        if user is not None:
            shutil.chown(folder, user)
        server = Postgres(folder, durable)
        initdb = _popen(
            ["initdb", "-D", server._data, "-A", "trust", "-U", "tests", "-E", "UTF8", "--no-sync"], None
        )
        if initdb.wait() != 0:
            raise RuntimeError("initdb failed")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _popen(command: Sequence[str], output: object) -> subprocess.Popen[bytes]:
    program, *arguments = command
    user = _user()
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [os.path.join(_programs(), program), *arguments],
        stdout=output or subprocess.DEVNULL,  # type: ignore[call-overload]
        stderr=output,
        cwd="/",
        env=_ENVIRONMENT,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        start_new_session=True,
    )
    return process
