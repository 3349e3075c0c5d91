"""Every command of the tree has what carries it out, help, and an answer to whoever mistypes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from batchpredict.cli import main
from batchpredict.cli.arguments import Parser
from batchpredict.cli.commands import COMMANDS, function_of
from batchpredict.cli.parser import build, parse


def _leaves(parser: Parser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parser]]:
    """Commands that do something, by their words."""
    if not parser.commands:
        yield words, parser
    for name, command in parser.commands.items():
        yield from _leaves(command, (*words, name))


def _groups(parser: Parser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parser]]:
    """Commands that only have others."""
    if parser.commands:
        yield words, parser
    for name, command in parser.commands.items():
        yield from _groups(command, (*words, name))


PARSER, _ = build()
LEAVES = dict(_leaves(PARSER))
GROUPS = dict(_groups(PARSER))


def test_what_can_be_called_is_what_is_carried_out():
    assert {" ".join(words) for words in LEAVES} == set(COMMANDS)
    for command in COMMANDS:
        assert callable(function_of(command))


def _said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    found = capsys.readouterr()
    return int(ended.value.code or 0), found.out, found.err


@pytest.mark.parametrize("words", [*LEAVES, *GROUPS], ids=" ".join)
def test_help_says_what_it_does(words, capsys):
    status, out, err = _said([*words, "--help"], capsys)
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: {' '.join(['batchpredict', *words])} [-h]")
    # Every argument of its own has a help, or a name that says all.
    for action in (LEAVES.get(words) or GROUPS[words])._actions:
        assert action.help or action.metavar, f"{' '.join(words)}: {action.dest} says nothing"


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(words, capsys):
    for name in GROUPS[words].commands:
        wrong = f"{name[:-2]}{name[-1]}{name[-2]}"
        status, _, err = _said([*words, wrong], capsys)
        assert status == 2
        program = " ".join(["batchpredict", *words])
        assert err == f"{program}: there is no command '{wrong}'; did you mean '{name}'?\nSee '{program} --help'.\n"


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_a_mistyped_flag_is_answered_with_the_one_that_was_meant(words, capsys):
    parser = LEAVES[words]
    arguments = [*words, *_needed(parser)]
    for flag in parser.flags():
        if not flag.startswith("--") or len(flag) < 6:
            continue
        wrong = f"{flag[:-2]}{flag[-1]}{flag[-2]}x"
        status, out, err = _said([*arguments, wrong], capsys)
        assert (status, out) == (2, "")
        first, second = err.splitlines()
        begins = f"{' '.join(['batchpredict', *words])}: there is no flag '{wrong}'; did you mean '--"
        assert first.startswith(begins), first
        assert second == f"See 'batchpredict {' '.join(words)} --help'."


def _needed(parser: Parser) -> list[str]:
    """What a command cannot be called without."""
    needed = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        if not action.option_strings and action.nargs != "?":
            needed.append("x")
        elif action.required and action.option_strings:
            needed.append(f"{action.option_strings[0]}=x")
    return needed


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_flags_stand_behind_the_command(words, capsys):
    status, _, err = _said([*words, "--quiet", "list"], capsys)
    assert status == 2
    assert err.startswith(f"{' '.join(['batchpredict', *words])}: a command comes before '--quiet': ")


def test_an_argument_too_many_is_named(capsys):
    _, _, err = _said(["jobs", "describe", "one", "two"], capsys)
    assert "there is no argument 'two'" in err
    _, _, err = _said(["jobs", "submit", "prediction", "one", "--input-paths", "a", "b"], capsys)
    assert "there is no argument 'b'; a pattern for --input-paths must stand in quotes" in err


def test_a_command_knows_its_own_name():
    assert parse(["jobs", "submit", "prediction", "j"]).command == "jobs submit prediction"
    assert parse(["versions", "set-default", "v", "--model=m"]).command == "versions set-default"
