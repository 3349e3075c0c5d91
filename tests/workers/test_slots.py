"""Slots of a machine: shared by all processes that ask, and free again when their holder is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import support

from batchpredict.workers.slots import MachineSlots


def test_there_are_so_many_and_no_more(tmp_path):
    slots = MachineSlots(2, str(tmp_path))
    held = [slots.claim(), slots.claim()]
    assert all(held)
    assert slots.claim() is None
    assert held[0] is not None
    held[0].release()
    again = slots.claim()
    assert again is not None
    assert slots.claim() is None
    again.release()
    # Releasing twice gives nothing away that somebody else holds by now.
    other = slots.claim()
    again.release()
    assert other is not None
    assert slots.claim() is None


def test_processes_share_them_and_a_death_gives_them_back(tmp_path):
    code = (
        "import sys, time; from batchpredict.workers.slots import MachineSlots; "
        "held = MachineSlots(1, sys.argv[1]).claim(); print(held is not None, flush=True); time.sleep(60)"
    )
    env = {**os.environ, "PYTHONPATH": support.ROOT}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert MachineSlots(1, str(tmp_path)).claim() is None
        process.send_signal(signal.SIGKILL)
    assert MachineSlots(1, str(tmp_path)).claim() is not None
