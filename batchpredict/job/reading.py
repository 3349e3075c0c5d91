"""From a JSON document to a message, or to a list of everything that is wrong with it.

Three steps. The text is parsed. The types are checked by pydantic, whose errors become Violations in the
service's words. Then the rules between fields run; if the types had faults, they run over a draft in which
the faulty fields are marked, and a rule that needs one of those is left out. So a user mends a job once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job.scalars import REQUIRED
from batchpredict.job.wire import BROKEN, DRAFT, Location, Wire, shown, to_camel

_Message = TypeVar("_Message", bound=Wire)

_Finding = tuple[Location, Violation]
"""Where in the document it was found, and what."""

_LAST = 1 << 30  # the place of a field that the document does not have


def load(data: bytes | str | Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object in `data`, as plain dicts and lists of its own.

    Raises:
        InvalidJob: `data` is not the JSON text of an object; the message has line and column.
    """
    try:
        if isinstance(data, Mapping):
            document: Any = _plain(data)
        else:
            text = data if isinstance(data, str) else data.decode("utf-8-sig")
            document = json.loads(
                text,
                object_pairs_hook=_object,
                parse_constant=_constant,
                parse_float=_float,
                parse_int=_integer,
            )
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno} column {error.colno}.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        raise _malformed(f"Not UTF-8 at line {line} column {column}.") from None
    except RecursionError:
        raise _malformed("Nested too deeply.") from None
    except ValueError as error:
        raise _malformed(str(error)) from None
    if not isinstance(document, dict):
        raise _malformed(f"Expected an object, got {shown(document)}.")
    return document


def _malformed(reason: str) -> InvalidJob:
    return InvalidJob([Violation("", f"Invalid JSON payload received. {reason}")])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"The name {shown(name)} appears twice in one object.")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"The number {_cut(text)} is too large for a double.")
    return number


def _integer(text: str) -> int:
    # No double and no int64 has more digits; int() would refuse 4300 in words about Python.
    if len(text) > 400:
        raise ValueError(f"The number {_cut(text)} has too many digits.")
    return int(text)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"A name must be a string, got {shown(key)}.")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return _constant(str(value))
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(f"A {type(value).__name__} is not JSON.")


# Names of one document that are compared with those that there are: each takes a tenth of a millisecond, and a
# document may have thousands.
_SUGGESTIONS = 20


def decode(message: type[_Message], document: dict[str, Any], root: str = "job") -> _Message:
    """Read `document` as a `message` and check every rule of it and of the messages inside.

    Args:
        root: what the paths of fields begin with: "job", "model", "version".

    Raises:
        InvalidJob: with all violations, in the order of the document.
    """
    findings: list[_Finding] = []
    try:
        decoded = message.model_validate(document)
    except ValidationError as error:
        findings = [
            _translated(message, details, root, suggests=number < _SUGGESTIONS)
            for number, details in enumerate(error.errors(include_url=False))
        ]
        decoded = message.model_validate(document, context=DRAFT)
    findings += [(where, Violation(field_path(where, root), text)) for where, text in _broken_rules(decoded, ())]
    if findings:
        places = _Places()
        findings.sort(key=lambda finding: places.of(document, finding[0]))
        raise InvalidJob([violation for _, violation in findings])
    return decoded


def field_path(where: Location, root: str) -> str:
    """The path of a field as the service wrote it: ``job.job_id``, ``prediction_input.batch_size``."""
    inside = where[:1] in (("training_input",), ("prediction_input",))
    return _absolute(where, root).removeprefix(f"{root}.") if inside else _absolute(where, root)


def _absolute(where: Location, root: str) -> str:
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)


def _translated(message: type[Wire], error: Any, root: str, *, suggests: bool) -> _Finding:
    """One of pydantic's errors as a finding. `suggests`: with the name that may have been meant."""
    where: Location = error["loc"]
    if error["type"] == "extra_forbidden":
        # Blamed on the object that holds it, and under the absolute path: so did the service.
        holder = where[:-1]
        text = _unknown(_message_at(message, holder), _absolute(holder, root), str(where[-1]), suggests=suggests)
        return where, Violation(_absolute(holder, root), text)
    return where, Violation(field_path(where, root), _described(error))


_EXPECTED = {
    "string_type": "a string",
    "string_unicode": "text that UTF-8 can write",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def _described(error: Any) -> str:
    kind, value = error["type"], error["input"]
    if kind == "missing":
        return REQUIRED
    if kind == "refused":
        return str(error["ctx"]["description"])
    if kind in _EXPECTED:
        return f"Expected {_EXPECTED[kind]}, got {shown(value)}."
    if kind == "enum":
        # pydantic writes "'A', 'B' or 'C'".
        members = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        meant = _suggestion(value, members.split(", ")) if isinstance(value, str) else ""
        return f"Expected one of {members}, got {shown(value)}.{meant}"
    return f"{error['msg']}."


def _unknown(message: type[Wire], holder: str, name: str, *, suggests: bool) -> str:
    known = message.spellings()
    if name in known:
        return (
            f"Invalid JSON payload received. Field {shown(known[name])} at '{holder}' is given twice:"
            f" as {shown(name)} and in another spelling. Keep one."
        )
    # Suggested in the style it was written in.
    similar = [spelling for spelling in known if ("_" in name) == ("_" in spelling) or spelling.islower()]
    return f"Invalid JSON payload received. Unknown name {shown(name)} at '{holder}': Cannot find field." + (
        _suggestion(name, similar) if suggests else ""
    )


def _suggestion(given: str, known: list[str]) -> str:
    # Imported only when there is a mistake to explain. Longer names than any of ours are not compared.
    import difflib

    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(given.lower(), folded, n=1, cutoff=0.75) if len(given) <= 60 else []
    return f' Did you mean "{folded[close[0]]}"?' if close else ""


def _message_at(message: type[Wire], where: Location) -> type[Wire]:
    """The type of the message at `where`, which leads from message to message."""
    for step in where:
        if isinstance(step, str) and step in message.model_fields:
            message = _message_in(message.model_fields[step].annotation) or message
    return message


def _message_in(annotation: Any) -> type[Wire] | None:
    # Parts first: on Python 3.10 `tuple[Wire, ...]` says it is a type, and issubclass does not agree.
    parts = get_args(annotation)
    if not parts:
        return annotation if isinstance(annotation, type) and issubclass(annotation, Wire) else None
    return next((found for part in parts if (found := _message_in(part))), None)


def _broken_rules(message: Wire, where: Location) -> Iterator[tuple[Location, str]]:
    """What the rules of `message`, and of the messages in it, find wrong."""
    for check in message.rules():
        if all(getattr(message, name) is not BROKEN for name in check.reads):  # type: ignore[attr-defined]
            for inner, text in check(message):
                yield (*where, *inner), text
    for name, value in message:
        if isinstance(value, Wire):
            yield from _broken_rules(value, (*where, name))
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Wire):
                    yield from _broken_rules(item, (*where, name, index))


class _Places:
    """Where things are in a document."""

    def __init__(self) -> None:
        # By the identity of an object of the document, which lives as long as this does.
        self._positions: dict[int, dict[str, int]] = {}

    def of(self, document: Any, where: Location) -> tuple[int, ...]:
        """The position of `where` in the document, for sorting: what is absent comes after what is there."""
        place: list[int] = []
        for step in where:
            if isinstance(document, dict):
                names = self._names(document)
                key = next((name for name in (step, to_camel(str(step))) if name in names), None)
                place.append(names[key] if isinstance(key, str) else _LAST)
                document = document.get(key) if isinstance(key, str) else None
            elif isinstance(document, list) and isinstance(step, int):
                place.append(step)
                document = document[step] if step < len(document) else None
            else:
                place.append(_LAST)
        return tuple(place)

    def _names(self, document: dict[str, Any]) -> dict[Any, int]:
        if id(document) not in self._positions:
            self._positions[id(document)] = {name: at for at, name in enumerate(document)}
        return self._positions[id(document)]
