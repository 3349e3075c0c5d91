from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from batchpredict.job import to_datetime, to_seconds, to_timestamp
from batchpredict.job.scalars import read_double, read_duration, read_integer, read_timestamp
from batchpredict.job.wire import Bool, Double, Int32, Int64, Timestamp, Wire

LEAST, MOST = -(2**63), 2**63 - 1
Reader = Callable[[Any], object]


class Sample(Wire):
    some_count: Int64 | None = None
    small: Int32 | None = None
    some_share: Double | None = None
    flag: Bool | None = None
    some_time: Timestamp | None = None
    some_texts: tuple[str, ...] = ()


@given(st.integers(LEAST, MOST))
def test_an_int64_goes_out_as_a_string_and_comes_back(number: int) -> None:
    written = json.loads(json.dumps(Sample(some_count=number).to_wire()))
    assert written == {"someCount": str(number)}
    assert Sample.model_validate(written).some_count == number


@given(st.integers(LEAST, MOST))
def test_an_int64_is_read_from_a_number_and_from_a_string(number: int) -> None:
    assert read_integer(number) == read_integer(str(number)) == number


@pytest.mark.parametrize("number", [64.0, -3.0, 0.0])
def test_an_int64_is_read_from_a_number_with_an_empty_fraction(number: float) -> None:
    assert read_integer(number) == int(number)


@pytest.mark.parametrize(
    "value",
    [True, 1.5, 2.0**60, math.nan, math.inf, "1e3", "1.0", "", " 1", "+1", "007", "٣", "1_0", "x", [1], None],
)
def test_what_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"^Expected an integer of 64 bits, got "):
        read_integer(value)


@pytest.mark.parametrize("value", [MOST + 1, str(MOST + 1), LEAST - 1, str(LEAST - 1), "9" * 5000])
def test_what_is_out_of_the_range_of_an_int64_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"^Expected an integer of 64 bits, got "):
        read_integer(value)


def test_an_int32_has_its_own_range_and_goes_out_as_a_number() -> None:
    assert Sample(small=2**31 - 1).to_wire() == {"small": 2**31 - 1}
    with pytest.raises(ValidationError, match="integer of 32 bits"):
        Sample(small=2**31)


@given(st.floats())
def test_a_double_survives_the_wire_whatever_it_is(number: float) -> None:
    text = json.dumps(Sample(some_share=number).to_wire(), allow_nan=False)
    again = Sample.model_validate(json.loads(text)).some_share
    assert again == number or (again is not None and math.isnan(again) and math.isnan(number))


@pytest.mark.parametrize("value", [True, "", "one", "nan", "1e999", "0x1", None, [1.0], 10**400])
def test_what_is_no_double_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"^Expected a number, got "):
        read_double(value)


def test_a_double_is_read_from_a_string() -> None:
    assert read_double("-2.5e-3") == -0.0025


def test_an_integral_double_stays_an_integer_on_the_wire() -> None:
    assert json.dumps(Sample(some_share=3).to_wire()) == '{"someShare": 3}'


@pytest.mark.parametrize("value", [0, 1, "true"])
def test_only_true_and_false_are_booleans(value: Any) -> None:
    with pytest.raises(ValidationError, match="Expected true or false"):
        Sample(flag=value)


@pytest.mark.parametrize("text", ["2014-10-02T15:01:23.045123456Z", "2014-10-02T15:01:23Z"])
def test_a_time_keeps_its_nanoseconds(text: str) -> None:
    assert Sample(some_time=text).to_wire() == {"someTime": text}


@pytest.mark.parametrize(
    "value",
    [
        "2014-10-02",
        "2014-10-02T15:01:23",
        "2014-10-02T15:01:23+01:00",
        "2014-02-30T15:01:23Z",
        "2014-10-02T15:01:60Z",
        "2014-10-02T15:01:23.0451234567Z",
        "2014-10-02 15:01:23Z",
        1412262083,
    ],
)
def test_what_is_no_time_in_utc_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"^Expected a time like "):
        read_timestamp(value)


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_datetime_becomes_a_timestamp_and_comes_back(moment: datetime) -> None:
    text = to_timestamp(moment)
    assert read_timestamp(text) == text
    assert to_datetime(text) == moment


def test_a_timestamp_has_as_many_digits_as_it_needs() -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert to_timestamp(moment) == "2020-01-02T02:04:05Z"
    assert to_timestamp(moment.replace(microsecond=120_000)) == "2020-01-02T02:04:05.120Z"
    assert to_timestamp(moment.replace(microsecond=120_001)) == "2020-01-02T02:04:05.120001Z"


def test_a_time_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        to_timestamp(datetime(2020, 1, 1))


def test_a_duration_is_exact_seconds() -> None:
    assert to_seconds(read_duration("3.000000001s")) == Decimal("3.000000001")


@pytest.mark.parametrize("value", ["3600", "1h", "s", 3600, "1.0000000001s", "1" * 40 + "s"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"^Expected a duration in seconds"):
        read_duration(value)


@pytest.mark.parametrize("name", ["someCount", "some_count"])
def test_a_field_is_read_in_both_spellings(name: str) -> None:
    assert Sample.model_validate({name: 1}).some_count == 1


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Sample.model_validate({"somecount": 1})


def test_null_is_unset() -> None:
    assert Sample.model_validate({"someCount": None, "someTexts": None}).to_wire() == {}


def test_an_unset_field_is_not_written() -> None:
    assert Sample().to_wire() == {}


def test_a_message_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sample(small=1).small = 2
