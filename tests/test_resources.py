from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import InvalidName
from batchpredict.resources import (
    ID_RULE,
    JobName,
    ModelName,
    OperationName,
    ProjectName,
    VersionName,
    id_fault,
)

NAMES = {
    "projects/p-1": ProjectName("p-1"),
    "projects/example.com:p/jobs/census_1": JobName("example.com:p", "census_1"),
    "projects/p/models/m": ModelName("p", "m"),
    "projects/p/models/m/versions/v1": VersionName("p", "m", "v1"),
    "projects/123/operations/create_m_v1-1494535398000": OperationName("123", "create_m_v1-1494535398000"),
}

ids = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,127}", fullmatch=True)


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_parsed_into_its_parts(text: str) -> None:
    assert type(NAMES[text]).parse(text) == NAMES[text]


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_formatted_as_it_is_parsed(text: str) -> None:
    assert NAMES[text].format() == str(NAMES[text]) == text


@given(ids, ids, ids)
def test_format_and_parse_are_inverse(project: str, model: str, version: str) -> None:
    name = VersionName(project, model, version)
    assert VersionName.parse(name.format()) == name


@pytest.mark.parametrize(
    "text",
    ["", "j", "jobs/j", "projects/p", "projects/p/models/j", "projects/p/jobs/j/", "/projects/p/jobs/j"],
)
def test_another_form_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(InvalidName, match=f'^"{text}" is not .* the form "projects/PROJECT/jobs/JOB"'):
        JobName.parse(text)


@pytest.mark.parametrize("job", ["1j", "_j", "a-b", "a b", "ä", "a\n", "..", "a" * 129])
def test_a_part_that_is_no_id_is_refused_by_name(job: str) -> None:
    with pytest.raises(InvalidName, match='of the form "projects/PROJECT/jobs/JOB": job: A name should'):
        JobName.parse(f"projects/p/jobs/{job}")


@pytest.mark.parametrize("project", ["", ".", "..", ".hidden", "a b", "a\\b"])
def test_a_project_that_is_no_safe_path_part_is_refused(project: str) -> None:
    with pytest.raises(InvalidName, match="project: letters, digits"):
        JobName.parse(f"projects/{project}/jobs/j")


def test_an_illegal_part_is_refused_at_construction_too() -> None:
    with pytest.raises(InvalidName):
        ModelName("p", "a/b")


def test_an_operation_with_a_space_is_refused() -> None:
    with pytest.raises(InvalidName, match="operation: letters"):
        OperationName.parse("projects/p/operations/a b")


def test_an_id_may_have_128_characters() -> None:
    assert id_fault("a" * 128) is None


def test_an_id_of_129_characters_is_told_its_length() -> None:
    assert id_fault("a" * 129) == "A name should have at most 128 characters; this one has 129."


def test_the_fault_of_an_id_is_in_the_words_of_the_service() -> None:
    assert id_fault("my-job") == ID_RULE


def test_names_know_their_parents() -> None:
    version = VersionName("p", "m", "v")
    assert version.parent == ModelName("p", "m")
    assert version.parent.parent == ProjectName("p")
    assert JobName("p", "j").parent == OperationName("p", "o").parent == ProjectName("p")


def test_names_are_frozen_and_can_be_keys() -> None:
    name = JobName("p", "j")
    with pytest.raises(dataclasses.FrozenInstanceError):
        name.job = "k"  # type: ignore[misc]
    assert {name: 1}[JobName("p", "j")] == 1
