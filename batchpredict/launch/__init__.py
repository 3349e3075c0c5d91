"""From a Job resource to the end of it, for every way in: the command, the Python call, the pipelines.

What a job file is, which work a job stands for, how signals end it, and which exit status follows, is written here,
once.
"""

from batchpredict.launch.carry import Reporter, carry, refuse, silence_logs
from batchpredict.launch.document import load_job, read_document
from batchpredict.launch.status import FAILED, INTERRUPTED, SUCCEEDED, TERMINATED, WRONG_CALL, status_of
from batchpredict.launch.works import work_of

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "SUCCEEDED",
    "TERMINATED",
    "WRONG_CALL",
    "Reporter",
    "carry",
    "load_job",
    "read_document",
    "refuse",
    "silence_logs",
    "status_of",
    "work_of",
]
