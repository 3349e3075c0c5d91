"""From the text of a filter to its tree: one character after the other, and every error says at which."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from batchpredict.job import State, to_timestamp
from batchpredict.service.filters.tree import (
    JOB_FIELDS,
    Comparison,
    Fields,
    Filter,
    FilterInvalid,
    Kind,
    Not,
    conjunction,
    disjunction,
)

LONGEST = 4096
"""Characters of a filter."""

MOST_COMPARISONS = 100
DEEPEST = 50
"""Parentheses and NOTs within each other: this parser calls itself, and a database has to take the tree too."""

_BLANK = re.compile(r"\s*")
_WORD = re.compile(r"""[^\s()"':=<>!]+""")
_OPERATOR = re.compile(r"!=|<=|>=|[:=<>]")
_BARE = re.compile(r"""[^\s()"']+""")
_RESERVED = frozenset({"AND", "OR", "NOT"})
_LABELS = "labels."

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d)))?", re.ASCII
)


def parse(text: str, fields: Fields = JOB_FIELDS) -> Filter | None:
    """A filter as a tree; None for one that is empty. What may be written is in `filters`.

    Raises:
      FilterInvalid: says at which character, and what was expected there.
    """
    if len(text) > LONGEST:
        raise FilterInvalid(LONGEST + 1, f"it is longer than {LONGEST} characters.")
    parser = _Parser(text, fields)
    return None if parser.at_end() else parser.whole()


class _Parser:
    """Reads forward from `place`; every method leaves it behind what it has read."""

    def __init__(self, text: str, fields: Fields) -> None:
        self.text = text
        self.fields = fields
        self.place = 0
        self.comparisons = 0

    def at_end(self) -> bool:
        self._skip_blanks()
        return self.place == len(self.text)

    def whole(self) -> Filter:
        found = self._groups(0)
        if not self.at_end():
            raise self._invalid('this ")" closes nothing.')
        return found

    def _groups(self, depth: int) -> Filter:
        """Groups side by side: all of them, up to the end or a closing parenthesis."""
        groups = [self._group(depth)]
        while not self.at_end() and self.text[self.place] != ")":
            groups.append(self._group(depth))
        return conjunction(groups)

    def _group(self, depth: int) -> Filter:
        """Terms with AND between them, or with OR."""
        terms = [self._term(depth)]
        joint = ""
        while (word := self._peek_word()) in ("AND", "OR"):
            if joint and word != joint:
                raise self._invalid("AND and OR side by side can be read in two ways; use parentheses.")
            joint = word
            self._skip_word(word)
            terms.append(self._term(depth))
        return disjunction(terms) if joint == "OR" else conjunction(terms)

    def _term(self, depth: int) -> Filter:
        if self.at_end():
            raise self._invalid("it ends where a comparison such as state=FAILED is expected.")
        if depth > DEEPEST:
            raise self._invalid(f"more than {DEEPEST} parentheses and negations are within each other.")
        start = self.text[self.place]
        if start == "-":
            self.place += 1
            return Not(self._term(depth + 1))
        if self._peek_word() == "NOT":
            self._skip_word("NOT")
            return Not(self._term(depth + 1))
        if start != "(":
            return self._comparison()
        opened = self.place
        self.place += 1
        inner = self._groups(depth + 1)
        if self.at_end():
            raise FilterInvalid(opened + 1, 'this "(" is not closed.')
        self.place += 1
        return inner

    def _comparison(self) -> Comparison:
        self.comparisons += 1
        if self.comparisons > MOST_COMPARISONS:
            raise self._invalid(f"it has more than {MOST_COMPARISONS} comparisons.")
        at, word = self.place, self._peek_word()
        if not word or word in _RESERVED:
            raise self._invalid(f'a comparison such as state=FAILED is expected, and not "{self._shown(at)}".')
        self.place += len(word)
        self._skip_blanks()
        operator = _OPERATOR.match(self.text, self.place)
        if operator is None:
            if word.upper() in _RESERVED:
                raise FilterInvalid(at + 1, "AND, OR and NOT are written in capitals.")
            raise self._invalid(f'an operator (:, =, !=, <, <=, >, >=) is expected after "{word}".')
        field = self._field(word, at)
        kind = self.fields.get(field, Kind.TEXT)
        self._check_operator(field, kind, operator[0])
        self.place = operator.end()
        at, value = self._value()
        return Comparison(field, operator[0], self._read(kind, operator[0], value, at))

    def _field(self, word: str, at: int) -> str:
        if word.startswith(_LABELS) and len(word) > len(_LABELS):
            return word
        field = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), word)
        if field not in self.fields:
            known = ", ".join(_camel(name) for name in self.fields)
            raise FilterInvalid(at + 1, f'there is no field "{word}"; there are {known} and labels.KEY.')
        return field

    def _check_operator(self, field: str, kind: Kind, operator: str) -> None:
        if kind is not Kind.TIME and operator not in (":", "=", "!="):
            raise self._invalid(f"only times are compared by {operator}; {_camel(field)} is by :, = and !=.")

    def _value(self) -> tuple[int, str]:
        """Where a value begins, and the value without its quotes."""
        if self.at_end():
            raise self._invalid("it ends where a value is expected.")
        at = self.place
        if self.text[at] in "\"'":
            value = self._quoted()
        else:
            bare = _BARE.match(self.text, at)
            if bare is None:
                raise self._invalid(f'a value is expected, and not "{self._shown(at)}".')
            value = bare[0]
            if value in _RESERVED:
                raise self._invalid(f"a value is expected; if it is to be {value}, put it between quotes.")
            self.place = bare.end()
        if self.place < len(self.text) and not self.text[self.place].isspace() and self.text[self.place] != ")":
            raise self._invalid("a value ends here, and a blank is expected after it.")
        return at, value

    def _quoted(self) -> str:
        opened, quote = self.place, self.text[self.place]
        kept = []
        place = opened + 1
        while place < len(self.text) and self.text[place] != quote:
            place += self.text[place] == "\\"
            kept.append(self.text[place : place + 1])
            place += 1
        if place >= len(self.text):
            raise FilterInvalid(opened + 1, "these quotes are not closed.")
        self.place = place + 1
        return "".join(kept)

    def _read(self, kind: Kind, operator: str, value: str, at: int) -> str:
        """A value as `Comparison` has it."""
        if operator == ":" and value == "*":
            return value
        if kind is Kind.TIME:
            return self._time(value, at)
        if kind is Kind.FLAG:
            if value.lower() not in ("true", "false"):
                raise FilterInvalid(at + 1, f'true or false is expected, and not "{value}".')
            return value.lower()
        if kind is Kind.STATE:
            state = value.upper()
            begins = operator == ":" and state.endswith("*")
            if not any(one.value.startswith(state[:-1]) if begins else one.value == state for one in State):
                known = ", ".join(one.value for one in State if one is not State.STATE_UNSPECIFIED)
                raise FilterInvalid(at + 1, f'there is no state "{value}"; there are {known}.')
            return state
        return value

    def _time(self, value: str, at: int) -> str:
        match = _TIME.fullmatch(value)
        try:
            if match is None:
                raise ValueError(value)
            year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
            moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
            moment += timedelta(microseconds=int((match[7] or "")[:6].ljust(6, "0")))
            if match[8]:
                offset = timedelta(hours=int(match[9]), minutes=int(match[10]))
                moment -= offset if match[8] == "+" else -offset
        except (ValueError, OverflowError) as error:
            raise FilterInvalid(
                at + 1, f'a time such as "2017-01-01T00:00:00Z" is expected, and not "{value}".'
            ) from error
        return to_timestamp(moment)

    def _skip_blanks(self) -> None:
        blank = _BLANK.match(self.text, self.place)
        assert blank is not None
        self.place = blank.end()

    def _peek_word(self) -> str:
        """The word that comes next, "" where none does."""
        self._skip_blanks()
        word = _WORD.match(self.text, self.place)
        return word[0] if word else ""

    def _skip_word(self, word: str) -> None:
        self.place += len(word)

    def _shown(self, at: int) -> str:
        return self.text[at : at + 20].split(maxsplit=1)[0]

    def _invalid(self, description: str) -> FilterInvalid:
        return FilterInvalid(self.place + 1, description)


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)
