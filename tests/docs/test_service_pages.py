"""The pages about the service have every method, role, setting and figure that there is, as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
import support
import yaml
from markdown_it.token import Token
from pages import DOCS, read, tokens

from batchpredict.cli.parser import build
from batchpredict.errors import WrongCall
from batchpredict.job import State
from batchpredict.service.access.roles import ROLES
from batchpredict.service.measures import Measures
from batchpredict.service.options import OPTIONS
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.settings import read as read_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SERVICE, OPERATING = f"{DOCS}/service.md", f"{DOCS}/operating.md"
DEPLOY = os.path.join(support.ROOT, "deploy")


def tables(page: str) -> Iterator[list[list[str]]]:
    """The tables of a page: rows of cells, the head first."""
    rows: list[list[str]] = []
    parsed: list[Token] = tokens(page)
    for at, token in enumerate(parsed):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(parsed[at + 1].content)
        elif token.type == "table_close":
            yield rows


def test_who_may_do_what_is_as_the_page_says():
    head, *rows = next(table for table in tables(SERVICE) if table[0][0] == "method")
    shown = {
        row[0].strip("`"): {role for role, cell in zip(head[1:], row[1:], strict=True) if cell} for row in rows
    }
    roles = {f"roles/{name}": name for name in head[1:]}
    # The owner of an operation is whoever began it, and has no column of its own.
    assert set(ROLES) - set(roles) == {"roles/ml.operationOwner"}
    expected = {
        method.id.removeprefix("projects."): {
            shown for role, shown in roles.items() if method.permission in ROLES[role]
        }
        for method in METHODS
        if method.permission and ".locations." not in method.id
    }
    assert shown == expected


def test_the_states_are_those_of_jobs():
    rows = next(table for table in tables(SERVICE) if table[0][0] == "state")[1:]
    named = {name for row in rows for name in re.findall(r"`([A-Z]+)`", row[0])}
    assert named == {state.value for state in State} - {"STATE_UNSPECIFIED"}


def test_what_is_added_is_on_the_page():
    text = read(SERVICE)
    for method in METHODS:
        if method.additive:
            # What has no verb of its own is known by its path.
            verb = re.search(r":\w+$", method.path)
            shown = verb[0] if verb else f"/{re.findall(r'/([a-z]+)', method.path)[-1]}"
            assert shown in text, method.id


def test_every_command_and_connection_flag_of_the_client_is_on_the_page():
    _, commands = build()
    text = read(SERVICE)
    for group in ("jobs", "watches", "models", "versions", "operations", "projects"):
        assert f"`{group}" in text
        for name in commands[group].commands:
            assert re.search(rf"[` ]{name}[` ]", text), f"{group} {name}"
    for flag in ("--endpoint", "--project", "--access-token-file", "--format", "--quiet"):
        assert f"`{flag}`" in text


def test_every_setting_is_on_the_page_with_its_flag():
    _, commands = build()
    flags = set(commands["serve"].flags())
    rows = next(table for table in tables(OPERATING) if table[0][0] == "in the file")[1:]
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row[0])}
    assert keys == {option.key for option in OPTIONS} - {"tokens"} | {"member", "sha256"}
    shown = {flag for row in rows for flag in re.findall(r"`(--[\w-]+)`", row[1])}
    assert shown == {option.spelled for option in OPTIONS} & flags
    for option in OPTIONS:
        if option.spelled not in flags and option.section != "access.oidc":
            assert option.variable in read(OPERATING)


def test_every_flag_of_serve_is_a_setting_or_explained():
    _, commands = build()
    settings = {option.spelled for option in OPTIONS}
    others = {flag for flag in commands["serve"].flags() if flag.startswith("--")} - settings - {"--help"}
    assert others == {"--config", "--check", "--migrate", "--new-token"}
    assert all(flag in read(OPERATING) for flag in others)


def test_every_figure_is_on_the_page():
    # When a figure began is told of each, by a figure of its own.
    names = re.findall(r"^# TYPE (batchpredict\w+)(?<!_created) ", Measures().text().decode(), re.MULTILINE)
    assert names
    shown = read(OPERATING)
    assert [name for name in (*names, "batchpredict_jobs") if f"`{name}" not in shown] == []


# deploy/ ----------------------------------------------------------------------------------------------------------


def example() -> str:
    with open(os.path.join(DEPLOY, "service.toml"), encoding="utf-8") as file:
        return file.read()


def test_the_example_of_settings_is_accepted_as_it_is():
    settings = read_settings({}, {}, os.path.join(DEPLOY, "service.toml"))
    assert settings.host == "0.0.0.0"
    assert settings.roots == ("/srv/batchpredict",)
    assert not settings.open


def test_the_example_has_every_setting_and_no_other(tmp_path):
    # What is commented out is a value that might be there: put in, it is accepted too.
    text = re.sub(r"^# (?=\[|\w+ = )", "", example(), flags=re.MULTILINE)
    known = {(option.section, option.key) for option in OPTIONS}
    assert set(_keys(tomllib.loads(text))) == known - {("access", "tokens"), ("access.oidc", "jwks")}
    key = support.write(tmp_path / "key", "0123456789abcdef")
    text = re.sub(r'"/etc/batchpredict/[\w.-]+"', f'"{key}"', text).replace("batchpredict-jobs", "nobody")
    settings = read_settings({}, {}, support.write(tmp_path / "service.toml", text))
    assert settings.user == "nobody"
    assert settings.webhook_hosts == ("*.example.org",)


def _keys(document: dict[str, object], section: str = "") -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{section}.{key}" if section else key)
        elif not isinstance(value, list) or key != "tokens":
            yield section, key


def test_a_key_that_nobody_knows_would_be_found(tmp_path):
    with pytest.raises(WrongCall, match="prot"):
        read_settings({}, {}, support.write(tmp_path / "service.toml", example().replace("port =", "prot =")))


def unit() -> dict[str, list[tuple[str, str]]]:
    """The sections of the unit for systemd: their assignments, in order."""
    sections: dict[str, list[tuple[str, str]]] = {}
    with open(os.path.join(DEPLOY, "batchpredict.service"), encoding="utf-8") as file:
        for number, line in enumerate(map(str.strip, file), 1):
            if not line or line.startswith("#"):
                continue
            if found := re.fullmatch(r"\[(\w+)\]", line):
                current = sections.setdefault(found[1], [])
                continue
            name, equals, value = line.partition("=")
            assert equals, f"line {number}: {line}"
            assert re.fullmatch(r"[A-Z]\w+", name), f"line {number}: {line}"
            current.append((name, value))
    return sections


def test_the_unit_starts_the_service_with_what_it_may_write():
    sections = unit()
    assert set(sections) == {"Unit", "Service", "Install"}
    service = dict(sections["Service"])
    assert len(service) == len(sections["Service"]), "an assignment stands there twice"
    settings = read_settings({}, {}, os.path.join(DEPLOY, "service.toml"))
    assert service["WorkingDirectory"] == settings.data == f"/var/lib/{service['StateDirectory']}"
    assert service["ReadWritePaths"].split() == list(settings.roots)
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/bin/batchpredict")
    _, commands = build()
    assert arguments[0] == "serve"
    assert [word for word in arguments if word.startswith("--") and word not in commands["serve"].flags()] == []
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")
    # A job's process that the kernel ends for want of memory must not take the service with it.
    assert service["OOMPolicy"] == "continue"


def test_systemd_takes_the_unit(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    with open(os.path.join(DEPLOY, "batchpredict.service"), encoding="utf-8") as file:
        # Whether the command is installed is another question.
        text = file.read().replace("/opt/batchpredict/bin/batchpredict", sys.executable)
    installed = support.write(tmp_path / "batchpredict.service", text)
    found = subprocess.run([analyze, "verify", installed], capture_output=True, text=True, check=False, timeout=60)
    # It also speaks of the machine's other units.
    assert [line for line in found.stderr.splitlines() if "batchpredict" in line] == []
    assert found.returncode == 0, found.stderr


def compose() -> dict[str, dict[str, dict[str, object]]]:
    with open(os.path.join(DEPLOY, "compose.yaml"), encoding="utf-8") as file:
        found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(file)
    return found


def test_the_services_of_the_compose_file_are_calls_that_there_are():
    found = compose()
    services = found["services"]
    assert set(services) == {"database", "migrate", "api", "worker"}
    _, commands = build()
    for name in ("migrate", "api", "worker"):
        command = services[name]["command"]
        assert isinstance(command, list)
        assert command[:3] == ["serve", "--config", "/etc/batchpredict/service.toml"]
        flags = [word for word in command if word.startswith("--")]
        assert set(flags) <= set(commands["serve"].flags())
        assert services[name]["image"] == "batchpredict"
    roles = [command[-1] for name in ("api", "worker") if isinstance(command := services[name]["command"], list)]
    assert roles == ["api", "worker"]
    # Every named volume is declared, and every dependency is a service.
    for name, service in services.items():
        volumes = service["volumes"]
        assert isinstance(volumes, list)
        named = {volume.partition(":")[0] for volume in volumes} - {"./service.toml"}
        assert named <= set(found["volumes"]), name
        dependencies = service.get("depends_on", {})
        assert isinstance(dependencies, dict)
        assert set(dependencies) <= set(services)


def test_the_compose_file_gives_no_password_away():
    with open(os.path.join(DEPLOY, "compose.yaml"), encoding="utf-8") as file:
        text = file.read()
    assert set(re.findall(r"\$\{(\w+)", text)) == {"POSTGRES_PASSWORD"}
    environment = compose()["services"]["api"]["environment"]
    assert isinstance(environment, dict)
    url = str(environment["BATCHPREDICT_DATABASE"]).replace("${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}", "x")
    assert read_settings({}, {"BATCHPREDICT_DATABASE": url}, None).database_url.startswith("postgresql+psycopg://")


def test_the_image_is_made_of_what_a_checkout_has():
    with open(os.path.join(DEPLOY, "Dockerfile"), encoding="utf-8") as file:
        lines = file.read().replace("\\\n", " ").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    known |= {"ENTRYPOINT", "CMD"}
    assert [name for name, _ in instructions if name not in known] == []
    for name, rest in instructions:
        if name == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            assert [one for one in sources if not os.path.exists(os.path.join(support.ROOT, one))] == []
    # Whoever runs it is not root from there on.
    assert [name for name, _ in instructions].index("USER") < [name for name, _ in instructions].index("ENTRYPOINT")
