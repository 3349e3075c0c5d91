"""Inputs of the benchmarks: made once, kept in a folder, the same on every machine.

A record has one feature, `x`, of 16 float32. As a tf.Example it takes 77 bytes whatever the values, 93 with its
TFRecord frame, so a file is a matrix of bytes that numpy fills in columns; only the checksum is made row by row.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import google_crc32c
import numpy as np
import numpy.typing as npt
import orjson

WIDTH = 16
FRAME_BYTES = 93

# Example{features{feature{key: "x", value{float_list{value: <64 bytes>}}}}}: tags and lengths, outermost first.
_BEFORE_FLOATS = bytes.fromhex("0a4b 0a49 0a01 78 1244 1242 0a40")
_HEADER = 12
_FLOATS = _HEADER + len(_BEFORE_FLOATS)
_DATA_END = _FLOATS + 4 * WIDTH
_CHUNK = 100_000
_SEED = 2017

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """Files that hold `records` records between them, an equal share each."""

    data_format: str
    records: int
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        return os.path.dirname(self.files[0])

    @property
    def bytes(self) -> int:
        return sum(os.path.getsize(file) for file in self.files)


class Store:
    """A folder of inputs. What is there already is not made again.

    Args:
      root: the folder; made if need be.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        os.makedirs(root, exist_ok=True)

    def inputs(self, data_format: str, records: int, files: int) -> Inputs:
        """Inputs of a format (TF_RECORD or TEXT), spread over some files."""
        write = {"TF_RECORD": write_tfrecords, "TEXT": write_lines}[data_format]

        def fill(folder: str) -> None:
            for number, share in enumerate(shares(records, files)):
                write(_file(folder, number), share, seed=_SEED + number)

        return self._kept(f"{data_format.lower()}-{records}-in-{files}", data_format, records, fill)

    def one_file(self, least_bytes: int, records: int) -> Inputs:
        """One TFRecord file of at least some bytes: a file of `records` records, over and over."""
        times = -(-least_bytes // (records * FRAME_BYTES))
        (source,) = self.inputs("TF_RECORD", records, 1).files

        def fill(folder: str) -> None:
            with open(_file(folder, 0), "wb") as target:
                for _ in range(times):
                    with open(source, "rb") as file:
                        shutil.copyfileobj(file, target, 1 << 22)

        return self._kept(f"tf_record-{records}-times-{times}", "TF_RECORD", records * times, fill)

    def _kept(self, name: str, data_format: str, records: int, fill: Callable[[str], None]) -> Inputs:
        folder = os.path.join(self._root, name)
        if not os.path.isdir(folder):
            # Renamed when complete, so that an interrupted run leaves nothing that looks finished.
            unfinished = folder + ".unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            os.makedirs(unfinished)
            fill(unfinished)
            os.rename(unfinished, folder)
        files = tuple(sorted(os.path.join(folder, file) for file in os.listdir(folder)))
        return Inputs(data_format, records, files)


def shares(records: int, files: int) -> list[int]:
    """Records of each file, which differ by one at most."""
    return [records * (number + 1) // files - records * number // files for number in range(files)]


def _file(folder: str, number: int) -> str:
    return os.path.join(folder, f"part-{number:05d}")


def rows(records: int, seed: int) -> Iterator[Matrix]:
    """Values of all records, some at a time; four decimals, as numbers that somebody wrote down have."""
    random = np.random.default_rng(seed)
    for start in range(0, records, _CHUNK):
        count = min(_CHUNK, records - start)
        yield random.standard_normal((count, WIDTH)).round(4).astype(np.float32)


def write_tfrecords(path: str, records: int, *, seed: int) -> None:
    with open(path, "wb") as file:
        for values in rows(records, seed):
            file.write(tfrecords(values))


def tfrecords(values: Matrix) -> bytes:
    """Rows of float32 as TFRecord frames of tf.Examples."""
    frames = np.zeros((len(values), FRAME_BYTES), np.uint8)
    length = struct.pack("<Q", _DATA_END - _HEADER)
    frames[:, :8] = np.frombuffer(length, np.uint8)
    frames[:, 8:_HEADER] = np.frombuffer(struct.pack("<I", _masked(google_crc32c.value(length))), np.uint8)
    frames[:, _HEADER:_FLOATS] = np.frombuffer(_BEFORE_FLOATS, np.uint8)
    frames[:, _FLOATS:_DATA_END] = values.astype("<f4").view(np.uint8).reshape(len(values), -1)
    data = frames[:, _HEADER:_DATA_END].tobytes()
    size = _DATA_END - _HEADER
    payloads = (data[start : start + size] for start in range(0, len(data), size))
    checksums = np.fromiter((_masked(google_crc32c.value(payload)) for payload in payloads), "<u4", len(values))
    frames[:, _DATA_END:] = checksums.view(np.uint8).reshape(-1, 4)
    return frames.tobytes()


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def write_lines(path: str, records: int, *, seed: int) -> None:
    """JSON lines: `{"x":[16 numbers]}`."""
    newline = orjson.OPT_APPEND_NEWLINE
    with open(path, "wb") as file:
        for values in rows(records, seed):
            # As float64 of four decimals: the nearest float32 would be written with nine digits.
            decimals = values.astype(np.float64).round(4).tolist()
            file.write(b"".join(orjson.dumps({"x": row}, option=newline) for row in decimals))
