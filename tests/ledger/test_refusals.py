"""An error of the store or of the disk at any call of a job: the exact result or one sentence, nothing else."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import support
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusing import RefusingStore

from batchpredict import storage
from batchpredict.errors import JobFailed, OutputRefused, StagingDamaged
from batchpredict.ledger import plan
from batchpredict.ledger.access import reading
from batchpredict.ledger.cleaning import find_leftovers
from batchpredict.ledger.finished import finished_output
from batchpredict.ledger.plan import load_plan, read_page
from batchpredict.ledger.progress import ManifestFeed
from batchpredict.ledger.proof import proven_parts
from batchpredict.ledger.published import occupancy, owner_of, take_over
from batchpredict.ledger.staging import Staging
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.storage import files
from batchpredict.storage.retry import may_pass

ROWS = [str(number) for number in range(30)]
ROWS[3] = ROWS[25] = "bad"
OUT = "refusing://out"
# What a client of a store raises has no number.
NUMBERS = [errno.EIO, errno.EACCES, errno.ETIMEDOUT, errno.ENOSPC, errno.ECONNRESET, errno.ESTALE, 0]


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "somewhere") if number else OSError("503: try again later")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(plan, "_PAGE", 2)


def document(output: str = OUT, source: str = "refusing://in.json") -> support.Document:
    return support.job(support.model("double"), source, output, splitBytes=30)


def begin(fail: Callable[[int, str], OSError | None]) -> None:
    RefusingStore.begin(lambda number, name: None)
    storage.replace_bytes("refusing://in.json", "".join(f"{row}\n" for row in ROWS).encode())
    RefusingStore.count_anew(fail)


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        source = support.write(os.path.join(folder, "in.json"), ROWS)
        output = os.path.join(folder, "out")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(plan, "_PAGE", 2)
            support.score_in_process(document(output, source))
        return {name: data for name, data in support.published(output).items() if "errors-" not in name}


def published() -> dict[str, bytes]:
    # Errors name their file, which is another one here.
    return {name: data for name, data in support.published(OUT).items() if "errors-" not in name}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 130), st.sampled_from(NUMBERS), st.booleans())
def test_any_call_of_a_job_on_a_store(whole: dict[str, bytes], at: int, number: int, lasting: bool) -> None:
    begin(lambda call, name: error(number) if call == at or (lasting and call > at) else None)
    came_to = outcome(document())
    RefusingStore.count_anew(lambda call, name: None)
    if isinstance(came_to, str):
        assert "\n" not in came_to
        assert number == 0 or os.strerror(number) in came_to
    else:
        assert came_to == (28, 2)
        assert published() == whole
    RefusingStore.count_anew(lambda call, name: None)
    support.score_in_process(document())
    assert published() == whole


def outcome(job: support.Document) -> tuple[int, int] | str:
    """The counts of a job, or why it failed."""
    try:
        return support.counts(support.score_in_process(job))
    except JobFailed as failure:
        return str(failure)


def test_the_calls_of_a_job_are_as_many_as_are_tried() -> None:
    begin(lambda call, name: None)
    support.score_in_process(document())
    assert 60 < len(RefusingStore.calls) <= 131


class LocalFaults:
    """The functions of `storage`, one call of which raises an error."""

    NAMES = (
        "any_begins", "close_written", "create_if_absent", "delete", "exists", "info", "is_directory", "list_names",
        "move", "open_read", "open_write", "read_bytes", "read_range", "replace_bytes", "size_of", "sizes_in",
        "sizes_of", "sync", "sync_folders", "tree",
    )  # fmt: skip

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, number: int) -> None:
        self.calls = 0
        self._at, self._number = at, number
        for name in self.NAMES:
            step = self._step(getattr(storage, name))
            monkeypatch.setattr(storage, name, step)
            if name in ("open_write", "close_written"):
                # Where `writing_to` calls them.
                monkeypatch.setattr(files, name, step)

    def _step(self, function: Any) -> Any:
        def step(*arguments: Any, **keywords: Any) -> Any:
            self.calls += 1
            if self.calls - 1 == self._at:
                if function.__name__ == "close_written":
                    arguments[0].close()
                raise error(self._number)
            return function(*arguments, **keywords)

        return step


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 90), st.sampled_from(NUMBERS))
@pytest.mark.long
def test_any_call_of_a_job_on_a_disk(whole: dict[str, bytes], at: int, number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = support.write(os.path.join(folder, "in.json"), ROWS)
        output = os.path.join(folder, "out")
        job = document(output, source)
        with pytest.MonkeyPatch.context() as patched:
            LocalFaults(patched, at, number)
            came_to = outcome(job)
        if isinstance(came_to, str):
            assert "\n" not in came_to
        else:
            assert came_to == (28, 2)
            assert "_SUCCESS" in os.listdir(output)
        support.score_in_process(job)
        found = {name: data for name, data in support.published(output).items() if "errors-" not in name}
        assert found == whole


class TestOfAJobThatHasSucceeded:
    def after_success(self, number: int) -> Callable[[int, str], OSError | None]:
        def fail(call: int, name: str) -> OSError | None:
            return error(number) if "/out/_SUCCESS" in RefusingStore.store else None

        return fail

    @pytest.mark.parametrize("number", NUMBERS)
    def test_nothing_is_failed_by_cleaning_up(self, number: int, whole: dict[str, bytes]) -> None:
        begin(self.after_success(number))
        assert support.counts(support.score_in_process(document())) == (28, 2)
        RefusingStore.count_anew(lambda call, name: None)
        assert published() == whole

    def test_nothing_is_failed_by_an_answer_that_is_lost(self, whole: dict[str, bytes]) -> None:
        begin(lambda call, name: None)
        lost = iter([error(errno.ECONNRESET)])
        original = RefusingStore.pipe_file

        def pipe_file(self: Any, path: str, *arguments: Any, **keywords: Any) -> None:
            original(self, path, *arguments, **keywords)
            if path.endswith("_SUCCESS") and (failure := next(lost, None)):
                raise failure

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(RefusingStore, "pipe_file", pipe_file)
            assert support.counts(support.score_in_process(document())) == (28, 2)
        assert next(lost, None) is None
        assert published() == whole


@pytest.fixture
def staging() -> Iterator[Staging]:
    """Of a job that is done, in a store that refuses everything."""
    begin(lambda call, name: None)
    support.score_in_process(document())
    owner = owner_of(OUT)
    assert owner is not None
    yield Staging(OUT, owner)
    RefusingStore.count_anew(lambda call, name: None)


QUESTIONS: dict[str, Callable[[Staging], object]] = {
    "finished_output": finished_output,
    "load_plan": load_plan,
    "proven_parts": lambda staging: list(proven_parts(staging, 0)),
    "owner_of": lambda staging: owner_of(staging.output_path),
    "occupancy": lambda staging: occupancy(staging.output_path),
    "is_committed": lambda staging: staging.is_committed(0),
    "committed_among": lambda staging: staging.committed_among([0, 1]),
    "read": lambda staging: staging.read(0),
    "read_all": lambda staging: list(staging.read_all([(0, None), (1, None)])),
}


@pytest.mark.parametrize("name", QUESTIONS)
class TestReading:
    def test_a_store_that_is_out_of_reach_for_a_moment_is_asked_again(self, name: str, staging: Staging) -> None:
        expected = QUESTIONS[name](staging)
        RefusingStore.count_anew(lambda call, name: error(errno.ETIMEDOUT) if call < 3 else None)
        assert QUESTIONS[name](staging) == expected

    @pytest.mark.parametrize("number", NUMBERS)
    def test_one_that_stays_so_is_said_so_in_one_sentence(self, number: int, name: str, staging: Staging) -> None:
        RefusingStore.count_anew(lambda call, name: error(number))
        with pytest.raises(OutputRefused) as caught:
            QUESTIONS[name](staging)
        said = str(caught.value)
        assert said.startswith(f"outputPath: cannot read '{OUT}': ")
        assert said.endswith(str(error(number)))
        assert "\n" not in said
        assert len(RefusingStore.calls) <= 4


def test_attempts_are_not_multiplied_by_those_of_steps_inside(staging: Staging) -> None:
    RefusingStore.count_anew(lambda call, name: error(errno.EIO) if call else None)
    with pytest.raises(OutputRefused):
        find_leftovers(staging.output_path, 0)
    # One that tells the owner; four that do not tell whether it is done, and four that list nothing.
    assert len(RefusingStore.calls) <= 9


def test_a_page_of_a_plan_is_read_on_from_where_it_broke_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    source = support.write(tmp_path / "in.json", ROWS)
    prepared = prepare(Request(support.spec_of(document(str(tmp_path / "out"), source))))
    expected = list(read_page(prepared.staging, prepared.plan, 0))
    broken = iter([1, 0, 1])
    open_read = storage.open_read

    class Breaking:
        """A file that gives so many lines and no more."""

        def __init__(self, url: str, lines: int) -> None:
            self._file, self._lines = open_read(url), lines

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *failure: object) -> None:
            self._file.close()

        def seek(self, offset: int) -> None:
            self._file.seek(offset)

        def __iter__(self) -> Iterator[bytes]:
            for _ in range(self._lines):
                yield next(self._file)
            raise error(errno.ECONNRESET)

    monkeypatch.setattr(
        storage,
        "open_read",
        lambda url: open_read(url) if (lines := next(broken, None)) is None else Breaking(url, lines),
    )
    assert list(read_page(prepared.staging, prepared.plan, 0)) == expected
    assert len(expected) == 2


def test_a_plan_that_is_cut_is_damaged(tmp_path: Any) -> None:
    source = support.write(tmp_path / "in.json", ROWS)
    prepared = prepare(Request(support.spec_of(document(str(tmp_path / "out"), source))))
    path = os.path.join(prepared.staging.root, prepared.plan.file)
    os.truncate(path, prepared.plan.offsets[1])
    assert len(list(read_page(prepared.staging, prepared.plan, 0))) == 2
    with pytest.raises(StagingDamaged, match=r"it ends before split 2.*--fresh"):
        list(read_page(prepared.staging, prepared.plan, 1))


@pytest.mark.parametrize(
    ("text", "what"), [(None, "is gone"), (b"{", "cannot be read"), (b"{}\n", "cannot be read")]
)
def test_proven_parts_that_are_damaged(text: bytes | None, what: str, staging: Staging) -> None:
    url = staging.proven_parts(0)
    storage.delete(url)
    if text is not None:
        storage.replace_bytes(url, text)
    with pytest.raises(StagingDamaged, match=what):
        list(proven_parts(staging, 0))


def test_the_feed_goes_on_where_it_was(staging: Staging) -> None:
    feed = ManifestFeed(staging, load_plan(staging))
    # The second of three manifests cannot be read.
    RefusingStore.count_anew(lambda call, name: error(errno.EACCES) if call == 2 else None)
    with pytest.raises(OutputRefused):
        feed.poll()
    RefusingStore.count_anew(lambda call, name: None)
    assert feed.poll(at_once=True).tally.records == 30


@pytest.mark.parametrize("step", ["commit", "forget", "clear", "take_over"])
def test_what_cannot_be_written_is_said_in_one_sentence(step: str, staging: Staging) -> None:
    manifest = staging.read(0)
    found = occupancy(OUT)
    steps: dict[str, Callable[[], object]] = {
        "commit": lambda: staging.commit(manifest),
        "forget": lambda: staging.forget(manifest),
        "clear": staging.clear,
        "take_over": lambda: take_over(Staging(OUT, "0" * 16), found),
    }
    RefusingStore.count_anew(lambda call, name: error(errno.ENOSPC))
    with pytest.raises(OutputRefused, match=r"^outputPath: cannot .*No space left on device"):
        steps[step]()


def test_what_an_attempt_leaves_behind_does_not_hide_why_it_failed(staging: Staging) -> None:
    RefusingStore.count_anew(lambda call, name: error(errno.EIO))
    staging.discard("part")
    assert len(RefusingStore.calls) == 1


def test_temporary_files_without_room(tmp_path: Any, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = support.write(tmp_path / "in.json", ROWS)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda *_: (_ for _ in ()).throw(error(errno.ENOSPC)))
    with pytest.raises(JobFailed, match=r"^Temporary files cannot be written to .*No space.*TMPDIR"):
        prepare(Request(support.spec_of(document(out, source))))


@pytest.mark.parametrize(
    ("failure", "passes"),
    [
        (OSError("503"), True),
        (TimeoutError(), True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), True),
        (OSError(errno.EIO, "disk"), True),
        (PermissionError("403"), False),
        (OSError(errno.ENOSPC, "full"), False),
        (IsADirectoryError(errno.EISDIR, "folder"), False),
    ],
)
def test_which_errors_may_pass(failure: OSError, passes: bool) -> None:
    assert may_pass(failure) is passes
    tries = []

    def step() -> None:
        tries.append(1)
        raise failure

    with pytest.raises(OutputRefused):
        reading("out", step)
    assert len(tries) == (4 if passes else 1)
