"""Which variables of the service's environment its child processes get: of jobs, and of the inspection of a model.

A SavedModel is code. What it must not read, it is not given: a variable that is new to the service is a secret of
the service until somebody says otherwise.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

_PASSED = (
    # The machine.
    *("PATH", "LANG", "LANGUAGE", "LC_*", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_*"),
    # Python and what computes.
    *("PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "PYTHONWARNINGS", "VIRTUAL_ENV", "COVERAGE_PROCESS_START"),
    *("CUDA_*", "NVIDIA_*", "TF_*", "XLA_*", "OMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*", "ONEDNN_*"),
    # How stores and clusters are reached, and as whom: a job reads its files as the service does.
    *("AWS_*", "FSSPEC_*", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_*", "GCLOUD_*", "CLOUDSDK_*", "GCE_*"),
    *("GCSFS_*", "STORAGE_EMULATOR_HOST", "HADOOP_*", "FLINK_*", "JAVA_HOME", "GRPC_*"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    # Where models are kept that were fetched once.
    *("BATCHPREDICT_CACHE", "BATCHPREDICT_CACHE_BYTES", "XDG_CACHE_HOME"),
)
# Those of a home that another user cannot write to.
_OF_USER = ("BATCHPREDICT_CACHE", "XDG_CACHE_HOME", "CLOUDSDK_*")


def passed_on(environ: Mapping[str, str], *, other_user: bool = False) -> dict[str, str]:
    """The variables that a child process gets.

    Args:
      environ: the service's own.
      other_user: the child runs as somebody else.
    """
    return {
        name: value
        for name, value in environ.items()
        if _matches(name, _PASSED) and not (other_user and _matches(name, _OF_USER))
    }


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
