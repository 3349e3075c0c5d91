"""What a job came to, as the process that submitted it finds it out."""

from __future__ import annotations

from typing import Any

import pytest
import support

from batchpredict import storage
from batchpredict.errors import OutputRefused
from batchpredict.ledger import Staging
from batchpredict.prediction.drivers import DriverElsewhere, DriverHere
from batchpredict.prediction.prepare import Prepared
from batchpredict.prediction.request import OUTPUT, PLAN, Request
from batchpredict.runners import Channel, Unobserved

NO_PLAN: Any = None
SAID = {"outputPath": "double://x/out", "predictionCount": "3", "errorCount": "0", "nodeHours": 0.5}


@pytest.fixture
def double():
    store = storage.Double()
    with store.mounted():
        yield store


@pytest.fixture(params=["here", "elsewhere"])
def ended(request, double):
    """A job that has ended, in a folder that nobody is allowed to look into; and its channel."""
    out = double.folder()
    spec = support.spec_of(support.job(support.model("double"), "in", out))
    channel = Channel.in_memory()
    channel.tell(PLAN, {"fingerprint": "f00d"})
    double.fail("read_bytes", *[PermissionError("no")] * 50)
    if request.param == "elsewhere":
        return DriverElsewhere(Request(spec), channel, Unobserved()), channel
    staging = Staging(out, "f00d")
    return DriverHere(Prepared(Request(spec), NO_PLAN, staging, None), channel, Unobserved()), channel


def test_the_last_step_says_what_a_folder_that_cannot_be_read_does_not(ended):
    driver, channel = ended
    channel.tell(OUTPUT, SAID)
    assert support.counts(driver.output()) == (3, 0)


def test_where_nobody_has_said_it_the_folder_is_to_blame(ended):
    driver, _ = ended
    with pytest.raises(OutputRefused):
        driver.output()
