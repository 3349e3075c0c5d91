"""What a service is told: which place weighs more, and what is said about a value that cannot be."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchpredict.errors import WrongCall
from batchpredict.service.options import OPTIONS
from batchpredict.service.settings import Oidc, Settings, Token, read

DIGEST = hashlib.sha256(b"secret").hexdigest()


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        file = tmp_path / "service.toml"
        file.write_text(text)
        return str(file)

    return write


def refused(flags: dict[str, object], environment: dict[str, str] | None = None, file: str | None = None) -> str:
    with pytest.raises(WrongCall) as caught:
        read(flags, environment or {}, file)
    return str(caught.value)


def test_nothing_said_is_a_service_for_this_machine_alone():
    assert read({}, {}, None) == Settings()
    assert read({}, {}, None).host == "127.0.0.1"


def test_a_flag_weighs_more_than_a_variable_and_a_variable_more_than_the_file(toml):
    file = toml("[server]\nport = 1\nhost = '127.0.0.3'\nrole = 'api'\n")
    settings = read({"port": 3, "host": None}, {"BATCHPREDICT_PORT": "2", "BATCHPREDICT_HOST": "127.0.0.2"}, file)
    assert (settings.port, settings.host, settings.role) == (3, "127.0.0.2", "api")


def test_a_variable_may_name_the_file(toml):
    file = toml("[server]\nport = 1\n")
    settings = read({}, {"BATCHPREDICT_CONFIG": file}, None)
    assert (settings.port, settings.file) == (1, file)


def test_a_worker_does_not_listen_at_the_port_of_a_file_that_is_the_apis(toml):
    file = toml("[server]\nport = 8443\n")
    assert read({"role": "worker"}, {}, file).port is None
    assert read({}, {"BATCHPREDICT_ROLE": "worker"}, file).port is None
    assert read({"role": "worker"}, {}, None).port is None
    assert read({"role": "api"}, {}, file).port == 8443
    assert read({"role": "worker", "port": "8080"}, {}, file).port == 8080
    assert read({"role": "worker"}, {"BATCHPREDICT_PORT": "8081"}, file).port == 8081
    own = toml("[server]\nport = 8444\nrole = 'worker'\n")
    assert read({}, {}, own).port == 8444


def test_a_file_says_everything_that_there_is_to_say(toml, tmp_path):
    for name in ("cert.pem", "key.pem", "hook"):
        (tmp_path / name).write_text("x")
    me = pwd.getpwuid(os.getuid()).pw_name
    file = toml(f"""
        [server]
        host = "0.0.0.0"
        port = 443
        role = "api"
        tls_certificate = "{tmp_path}/cert.pem"
        tls_key = "{tmp_path}/key.pem"
        [database]
        url = "postgresql://u:p@db/x"
        [paths]
        data = "/var/lib/b"
        roots = ["/srv", "gs://bucket/in"]
        [capacity]
        workers = 8
        jobs = 4
        project_jobs = 2
        project_workers = 16
        queue_limit = 100
        lease = 5
        [retention]
        jobs = 365
        logs = 30
        [runner]
        name = "FlinkRunner"
        flags = ["--flink_master=a:1"]
        [jobs]
        user = "{me}"
        memory = "8GiB"
        rendezvous_url = "http://batch.x.org:8080/ml/"
        [access]
        admins = ["group:ops@x.org"]
        [[access.tokens]]
        member = "user:ann@x.org"
        sha256 = "{DIGEST.upper()}"
        [access.oidc]
        issuer = "https://accounts.x.org"
        audience = "b"
        jwks = "https://accounts.x.org/keys"
        claim = "sub"
        groups = "roles"
        [webhooks]
        hosts = ["*.X.org"]
        private = ["10.1.0.0/16"]
        secret_file = "{tmp_path}/hook"
    """)
    assert read({}, {}, file) == Settings(
        host="0.0.0.0",
        port=443,
        role="api",
        database="postgresql://u:p@db/x",
        data="/var/lib/b",
        roots=("/srv", "gs://bucket/in"),
        workers=8,
        jobs=4,
        project_jobs=2,
        project_workers=16,
        queue_limit=100,
        keep_jobs=365,
        keep_logs=30,
        lease=5.0,
        runner="FlinkRunner",
        runner_flags=("--flink_master=a:1",),
        tokens=(Token("user:ann@x.org", DIGEST),),
        oidc=Oidc("https://accounts.x.org", "b", "https://accounts.x.org/keys", "sub", "roles"),
        admins=("group:ops@x.org",),
        webhook_hosts=("*.x.org",),
        webhook_private=("10.1.0.0/16",),
        webhook_secret_file=f"{tmp_path}/hook",
        user=me,
        job_memory=8 << 30,
        rendezvous_url="http://batch.x.org:8080/ml",
        tls_certificate=f"{tmp_path}/cert.pem",
        tls_key=f"{tmp_path}/key.pem",
        file=file,
    )


def test_lists_in_the_environment():
    settings = read(
        {},
        {
            "BATCHPREDICT_ROOTS": "/a, gs://b/c",
            "BATCHPREDICT_TOKENS": f"user:ann@x.org={DIGEST}",
            "BATCHPREDICT_RUNNER_FLAGS": "--a=1,2 '--b=x y'",
            "BATCHPREDICT_OIDC_ISSUER": "http://127.0.0.1:1/realm",
            "BATCHPREDICT_OIDC_AUDIENCE": "b",
        },
        None,
    )
    assert settings.roots == ("/a", "gs://b/c")
    assert settings.tokens == (Token("user:ann@x.org", DIGEST),)
    assert settings.runner_flags == ("--a=1,2", "--b=x y")
    assert settings.oidc == Oidc("http://127.0.0.1:1/realm", "b")


def test_an_empty_variable_is_one_that_is_not_set():
    assert read({}, {"BATCHPREDICT_PORT": ""}, None).port == 8080


WRONG = [
    ("port", "65536", "is a whole number from 0 to 65535, not '65536'"),
    ("port", True, "is a whole number from 0 to 65535, not True"),
    ("port", "80.0", "is a whole number from 0 to 65535, not '80.0'"),
    ("workers", 0, "is a whole number from 1 to 10000, not 0"),
    ("queue_limit", -1, "is a whole number of at least 1, not -1"),
    ("lease", "nan", "is a number of seconds from 1 to 3600, not 'nan'"),
    ("lease", "soon", "is a number of seconds from 1 to 3600, not 'soon'"),
    ("role", "both", "is one of all, api, worker, not 'both'"),
    ("host", " ", "is empty"),
    ("job_memory", "8 gigs", "is a number of bytes such as 8589934592 or '8GiB', not '8 gigs'"),
    (
        "rendezvous_url",
        "service",
        "is the URL of this service, such as 'https://batchpredict.example.org', not 'service'",
    ),
    ("rendezvous_url", "ftp://x.org", "is the URL of this service"),
    ("rendezvous_url", "https://x.org:port", "is the URL of this service"),
    ("rendezvous_url", "https://x.org/?a=b", "ends before '?' and '#', unlike 'https://x.org/?a=b'"),
    ("roots", ("/srv/*",), "names '/srv/*': a root is one folder, without wildcards"),
    ("roots", ("memory://x",), "names 'memory://x', which is nothing that several processes share"),
    ("roots", ("zip::/a.zip",), "names 'zip::/a.zip', which is nothing that several processes share"),
    ("admins", ("ann@x.org",), "names 'ann@x.org': a member is one of user:…"),
    ("webhook_hosts", ("http://x.org",), "names hosts: 'hooks.example.org', '*.example.org' for all below it; not"),
    ("webhook_private", ("10.0.0.1/8",), "names a network such as '10.1.0.0/16', not '10.0.0.1/8'"),
    ("runner_flags", ("flink",), "lists flags such as '--temp_location=gs://…', not 'flink'"),
    ("oidc_issuer", "http://accounts.x.org", "begins with https://, not 'http://accounts.x.org'"),
    ("oidc_issuer", "accounts", "is the address of a web page"),
    ("database", "mysql://u:word@h/d", "begins with postgresql:// or sqlite:///, or is the path of a SQLite file"),
    ("database", "sqlite://", "of SQLite is the path of a file behind sqlite:///"),
    ("database", ":memory:", "is kept in no file, so jobs would be lost"),
    ("tls_key", "key.pem", "--tls-certificate is needed with --tls-key"),
    (
        "webhook_secret_file",
        "nowhere",
        "--webhook-secret-file: 'nowhere' cannot be read: No such file or directory",
    ),
    ("user", "nobody-at-all", "--user: there is no user 'nobody-at-all' on this machine"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), WRONG, ids=[f"{case[0]}={case[1]}" for case in WRONG])
def test_a_wrong_value_is_told_with_its_flag(field, value, sentence):
    said = refused({field: value})
    assert sentence in said
    assert said.startswith("--")


def test_a_wrong_value_is_told_with_its_variable():
    assert refused({}, {"BATCHPREDICT_PORT": "x"}) == "BATCHPREDICT_PORT is a whole number from 0 to 65535, not 'x'"


def test_a_wrong_value_is_told_with_its_file_and_key(toml):
    file = toml("[capacity]\nworkers = 'many'\n")
    assert refused({}, {}, file).startswith(f"{file}: [capacity] workers is a whole number")


def test_a_number_in_quotes_is_a_number_everywhere(toml):
    assert read({}, {}, toml("[server]\nport = '81'\n")).port == 81


def test_one_text_is_no_list_in_a_file(toml):
    assert "[paths] roots is a list of texts" in refused({}, {}, toml("[paths]\nroots = '/srv'\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nprot = 1\n", "[server] prot: there is no such key; did you mean 'port'?"),
        ("[sever]\nport = 1\n", ": sever: there is no such key; did you mean 'server'?"),
        ("port = 1\n", ": port: there is no such key"),
        ("server = 1\n", ": server is a section: write [server]"),
        ("[access.oidc]\nissuers = 'x'\n", "[access.oidc] issuers: there is no such key; did you mean 'issuer'?"),
        ("[[access.tokens]]\nmember = 'user:a@x'\ntoken = 'x'\n", "[access] tokens has no key 'token'"),
        ("[server\n", "is no TOML"),
    ],
)
def test_what_a_file_cannot_say(toml, text, sentence):
    assert sentence in refused({}, {}, toml(text))


def test_a_file_that_is_not_there():
    assert refused({}, {}, "nowhere.toml") == "--config: there is no file 'nowhere.toml'"


def test_a_misspelt_variable_is_refused_and_a_strange_one_is_not():
    assert refused({}, {"BATCHPREDICT_ROOT": "/srv"}).endswith("did you mean 'BATCHPREDICT_ROOTS'?")
    assert read({}, {"BATCHPREDICT_COLOUR": "red", "BATCHPREDICT_CACHE": "/c", "BATCHPREDICT_TOKEN": "t"}, None)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "::ffff:8.8.8.8"]
)
def test_without_tokens_nobody_else_may_reach_the_service(host):
    assert refused({"host": host}).startswith(f"--host is '{host}', which others can reach")
    assert read({"host": host, "tokens": [f"user:a@x.org={DIGEST}"]}, {}, None).host == host
    assert read({"host": host, "oidc_issuer": "https://x.org", "oidc_audience": "b"}, {}, None).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_loopback_needs_no_tokens(host):
    assert read({"host": host}, {}, None).open


def test_a_worker_listens_to_nobody_and_needs_no_tokens():
    assert read({"host": "0.0.0.0", "role": "worker"}, {}, None).role == "worker"


def test_the_token_itself_is_refused_without_showing_it():
    said = refused({"tokens": ["user:ann@x.org=open-sesame"]})
    assert "64 hexadecimal digits" in said
    assert "sesame" not in said


def test_one_token_is_one_persons():
    assert "one token for" in refused({"tokens": [f"user:a@x.org={DIGEST}", f"user:b@x.org={DIGEST}"]})


def test_an_issuer_needs_an_audience():
    assert refused({"oidc_issuer": "https://x.org"}) == "--oidc-audience is needed with --oidc-issuer"


def test_groups_need_a_claim():
    tokens = [f"user:a@x.org={DIGEST}"]
    assert "[access.oidc] groups" in refused({"admins": ["group:ops@x.org"], "tokens": tokens})


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://u:p@h/d?sslmode=require", "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ("sqlite:////var/x.db?timeout=5", "sqlite:////var/x.db?timeout=5"),
        ("/var/x.db", "sqlite:////var/x.db"),
    ],
)
def test_databases_as_sqlalchemy_takes_them(given, url):
    assert Settings(database=given).database_url == url


def test_the_database_of_a_service_that_is_told_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Settings().database_url == f"sqlite:///{tmp_path}/batchpredict-service/batchpredict.db"
    assert Settings(database="x.db").database_url == f"sqlite:///{tmp_path}/x.db"
    assert Settings(database="sqlite:///x.db").database_url == f"sqlite:///{tmp_path}/x.db"


def test_a_data_folder_on_a_store_needs_a_database():
    assert refused({"data": "gs://bucket/data"}) == "--database is needed where the data folder is a URL"


def test_no_secret_is_shown():
    settings = read(
        {
            "database": "postgresql://u:hunter2@h/d",
            "tokens": [f"user:a@x.org={DIGEST}"],
            "runner_flags": ["--k=hunter2"],
        },
        {},
        None,
    )
    assert "hunter2" not in repr(settings)
    assert DIGEST not in repr(settings)
    assert "hunter2" not in refused({"database": "mysql://u:hunter2@h/d"})


def test_every_setting_has_one_option():
    fields = set(Settings.__dataclass_fields__) - {"oidc", "file"}
    assert {option.field for option in OPTIONS if not option.field.startswith("oidc_")} == fields
    assert {option.field[5:] for option in OPTIONS if option.field.startswith("oidc_")} == set(
        Oidc.__dataclass_fields__
    )


@example("database", "~0")
@given(st.sampled_from([option.field for option in OPTIONS]), st.text(max_size=40))
def test_any_text_is_a_value_or_a_wrong_call(field, value):
    with contextlib.suppress(WrongCall):
        read({field: value}, {}, None)
