"""An error is known by its type and status, never by its text."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator

import aiohttp
import multidict
import pytest
import yarl
from gcsfs.retry import HttpError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import NoMatch
from batchpredict.storage.clients import file_with_os_errors, os_errors, status_of, with_os_errors

TEXTS = st.one_of(
    st.sampled_from(
        ["part-00416", "416", "InvalidRange", "precondition failed", "404 no such file", "409", "", "a\nb"]
    ),
    st.text(max_size=30),
)


def gcs(status: int, text: str) -> Exception:
    error: Exception = HttpError({"code": status, "message": text})
    return error


def s3(status: int, text: str) -> Exception:
    botocore = pytest.importorskip("botocore.exceptions")
    errors = pytest.importorskip("s3fs.errors")
    answer = {"Error": {"Code": "Whatever", "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = errors.translate_boto_error(botocore.ClientError(answer, "GetObject"))
    return error


def http(status: int, text: str) -> Exception:
    url = yarl.URL("http://host/x")
    asked = aiohttp.RequestInfo(url, "GET", multidict.CIMultiDictProxy(multidict.CIMultiDict()), url)
    return aiohttp.ClientResponseError(asked, (), status=status, message=text)


def plain(status: int, text: str) -> Exception:
    error = OSError(f"{text} (no status)")
    error.__cause__ = http(status, text)
    return error


CLIENTS = pytest.mark.parametrize("client", [gcs, s3, http, plain])


def raised(error: BaseException) -> OSError:
    """What comes out of a client's error."""

    @with_os_errors
    def step() -> None:
        raise error

    return error_of(step)


def error_of(step: Callable[[], object]) -> OSError:
    try:
        step()
    except OSError as error:
        return error
    raise AssertionError("no error")


@CLIENTS
@settings(deadline=None)
@given(text=TEXTS, status=st.sampled_from([400, 403, 404, 409, 412, 416, 429, 500, 503]))
@example(text="part-00416", status=403)
def test_the_type_follows_the_status_whatever_the_text(
    client: Callable[[int, str], Exception], text: str, status: int
) -> None:
    error = raised(client(status, text))
    assert status_of(error) == status
    assert isinstance(error, FileNotFoundError) == (status == 404)
    assert isinstance(error, PermissionError) == (status == 403)
    assert isinstance(error, FileExistsError) == (status == 412)
    assert "\n" not in str(error)


@settings(deadline=None)
@given(text=TEXTS)
def test_an_error_without_a_status_is_an_error(text: str) -> None:
    for error in (
        OSError(text),
        ConnectionResetError(text),
        aiohttp.ClientPayloadError(text),
        HttpError({"message": text}),
    ):
        assert status_of(raised(error)) is None


def test_a_value_error_of_a_client_is_an_os_error() -> None:
    from gcsfs.retry import validate_response

    with pytest.raises(OSError, match="Bad Request: b/x: invalid name"), os_errors():
        validate_response(400, b'{"error": {"message": "invalid name"}}', "b/x")
    with pytest.raises(ValueError, match="ours"), os_errors():
        raise ValueError("ours")


def test_a_client_s_error_of_several_lines_keeps_its_kind() -> None:
    from aiohttp.client_reqrep import ConnectionKey

    key = ConnectionKey("host", 80, False, True, None, None, None)
    error = raised(aiohttp.ClientConnectorError(key, OSError(111, "refused\nby the host")))
    assert error.errno == 111
    assert "\n" not in str(error)


@pytest.fixture
def double() -> storage.Double:
    return storage.Double()


@settings(deadline=None)
@given(text=TEXTS, status=st.sampled_from([403, 500, 503]))
@example(text="part-00416 is not satisfiable", status=403)
@example(text="InvalidRange", status=403)
def test_no_text_is_the_end_of_a_file(text: str, status: int) -> None:
    for client in (gcs, s3, http):
        from fsspec.implementations.memory import MemoryFileSystem

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(MemoryFileSystem, "cat_file", fails(client(status, text)))
            assert status_of(error_of(lambda: storage.read_range("memory://x/part-00416", 0, 10))) == status
            patched.setattr(MemoryFileSystem, "cat_file", fails(client(416, text)))
            assert storage.read_range("memory://x/part-00416", 0, 10) == b""


@settings(deadline=None)
@given(text=TEXTS, status=st.sampled_from([400, 403, 500]))
@example(text="at least one of the preconditions you specified did not hold", status=403)
def test_no_text_is_a_file_that_is_there_already(text: str, status: int) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    for client in (gcs, s3, http):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(MemoryFileSystem, "pipe_file", fails(client(status, text)))
            assert status_of(error_of(lambda: storage.create_if_absent("memory://x/manifest", b"1"))) == status
            patched.setattr(MemoryFileSystem, "pipe_file", fails(client(412, text)))
            assert not storage.create_if_absent("memory://x/manifest", b"1")


def fails(error: Exception) -> Callable[..., object]:
    def refuse(*arguments: object, **named: object) -> object:
        raise error

    return refuse


@pytest.mark.parametrize("error", [gcs(503, "no such file"), gcs(403, "404"), OSError("not found")])
def test_a_failure_is_no_answer(double: storage.Double, error: Exception) -> None:
    """Of a file that may not be looked at nobody knows whether it is there."""
    with double.mounted():
        url = double.put(f"{double.folder()}/x", b"1")
        for operation in (storage.exists, storage.size_of, storage.version, storage.is_directory):
            double.fail("info", error)
            if operation is storage.is_directory:
                double.fail("is_directory", error)
            assert not isinstance(error_of(functools.partial(operation, url)), FileNotFoundError)


def test_what_a_client_raises_while_it_lists_is_named(double: storage.Double) -> None:
    with double.mounted():
        folder = double.folder()
        double.put(f"{folder}/x", b"1")
        double.fail("find", gcs(503, "try again"))
        with pytest.raises(NoMatch, match=r"cannot be listed: .*try again"):
            list(storage.expand(f"{folder}/*x"))
        assert [file.url for file in storage.expand(f"{folder}/*x")] == [f"{folder}/x"]


def test_a_listing_that_breaks_off_is_not_taken_for_whole(
    double: storage.Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    with double.mounted():
        url = double.put(f"{double.folder()}/x", b"1")

        def broken(*_: object) -> Iterator[storage.Input]:
            yield storage.info(url)
            raise FileNotFoundError("y")

        monkeypatch.setattr(double, "find", broken)
        with pytest.raises(NoMatch, match="cannot be listed: y"):
            list(storage.expand(f"{storage.parent(url)}/*"))


class TestConflicts:
    """S3 answers 409 ConditionalRequestConflict to a conditional write that another one is in the way of."""

    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("batchpredict.storage.retry._PAUSE", 0.001)

    def conflicts(self, count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Let that many creations meet a conflict; the list has one entry for each that was tried."""
        from fsspec.implementations.memory import MemoryFileSystem

        botocore = pytest.importorskip("botocore.exceptions")
        errors = pytest.importorskip("s3fs.errors")
        tried: list[int] = []
        original = MemoryFileSystem.pipe_file

        def pipe(fs: object, *arguments: object, **named: object) -> object:
            tried.append(1)
            if len(tried) <= count:
                answer = {
                    "Error": {"Code": "ConditionalRequestConflict", "Message": "try again"},
                    "ResponseMetadata": {"HTTPStatusCode": 409},
                }
                raise errors.translate_boto_error(botocore.ClientError(answer, "PutObject"))
            return original(fs, *arguments, **named)

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe)
        return tried

    @pytest.mark.parametrize("count", [1, 4])
    def test_it_is_tried_again(self, count: int, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
        tried = self.conflicts(count, monkeypatch)
        assert storage.create_if_absent(f"{memory}/x", b"1")
        assert len(tried) == count + 1
        assert storage.read_bytes(f"{memory}/x") == b"1"

    def test_who_lost_in_the_meantime_is_told_so(self, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
        storage.replace_bytes(f"{memory}/x", b"theirs")
        self.conflicts(2, monkeypatch)
        assert not storage.create_if_absent(f"{memory}/x", b"ours")
        assert storage.read_bytes(f"{memory}/x") == b"theirs"

    def test_not_for_ever(self, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
        tried = self.conflicts(1000, monkeypatch)
        with pytest.raises(OSError, match="try again"):
            storage.create_if_absent(f"{memory}/x", b"1")
        assert len(tried) < 20

    def test_another_refusal_is_not_tried_again(self, double: storage.Double) -> None:
        with double.mounted():
            double.fail("create_if_absent", PermissionError("409 Conflict"))
            with pytest.raises(PermissionError):
                storage.create_if_absent(f"{double.folder()}/x", b"1")


class TestWriting:
    def test_what_was_written_is_there_behind_the_block(self, double: storage.Double) -> None:
        with double.mounted():
            with storage.writing_to(url := f"{double.folder()}/part") as file:
                file.write(b"whole")
            assert storage.read_bytes(url) == b"whole"

    @pytest.mark.parametrize("failure", [OSError("no room"), KeyboardInterrupt()])
    def test_what_fails_half_way_is_never_sent_and_the_failure_is_what_is_raised(
        self, failure: BaseException, double: storage.Double
    ) -> None:
        with double.mounted():
            double.fail("upload", OSError("masked"))
            url = f"{double.folder()}/part"

            def write() -> None:
                with storage.writing_to(url) as file:
                    file.write(b"half")
                    raise failure

            with pytest.raises(type(failure)) as raised:
                write()
            assert raised.value is failure
            assert [operation for operation, _ in double.calls] == ["open_write"]
            assert not storage.exists(url)


class Counted(io.BytesIO):
    """Counts the requests that a file on a store would be read with."""

    requests = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.requests += 1
        return super().read(size)


@pytest.mark.parametrize("ending", [b"", b"\n", b"the last, without an end"])
def test_lines_are_not_a_request_each(ending):
    lines = [b"%d %s\n" % (number, b"x" * (number % 300)) for number in range(20_000)] + [b"\n", b"y" * 3_000_000]
    data = b"".join(lines) + b"\n" + ending
    file = Counted(data)
    assert list(file_with_os_errors(file)) == data.splitlines(keepends=True)
    assert file.requests < 10
