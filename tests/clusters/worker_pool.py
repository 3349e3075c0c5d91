"""Beam's pool of SDK workers, listening on one address: `python worker_pool.py 127.0.0.2:50000`.

Beam's own entry point (`apache_beam.runners.worker.worker_pool_main`) listens on all addresses of a machine, so a
machine has one pool; and TaskManagers number their workers alike, so two of them at one pool would stop each
other's.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer


def main(address: str) -> None:
    server = grpc.server(ThreadPoolExecutor(8))
    servicer = BeamFnExternalWorkerPoolServicer(use_process=True, data_buffer_time_limit_ms=-1)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
