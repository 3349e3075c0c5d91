"""Watches that are killed, two on one output folder, while files arrive: every record is scored exactly once."""

from __future__ import annotations

import pytest
from clusters.flink import FlinkCluster
from epochs.watch_kills import Engine, play


@pytest.mark.kills
@pytest.mark.timeout(1500)
def test_thirty_kills_while_two_thousand_files_arrive(tmp_path):
    figures = play(str(tmp_path), files=2000, kills=30, seed=1, log=str(tmp_path / "log"))
    assert figures["records"] == 6000


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_few_kills(tmp_path):
    play(str(tmp_path), files=100, kills=5, seed=2, log=str(tmp_path / "log"))


@pytest.mark.gcs
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_same_on_a_store(gcs, tmp_path):
    play(gcs.folder(), files=200, kills=8, seed=3, log=str(tmp_path / "log"))


@pytest.mark.gcs
@pytest.mark.kills
@pytest.mark.timeout(2400)
def test_thirty_kills_on_a_store(gcs, tmp_path):
    figures = play(gcs.folder(), files=2000, kills=30, seed=4, log=str(tmp_path / "log"))
    assert figures["records"] == 6000


@pytest.mark.flink
@pytest.mark.kills
@pytest.mark.timeout(2400)
def test_five_kills_on_a_cluster(flink_cluster: FlinkCluster, tmp_path):
    cluster = flink_cluster

    def kill_task_manager() -> None:
        cluster.task_managers[0].kill()
        cluster.start_task_manager(0)

    def kill_pool() -> None:
        cluster.pools[1].kill()
        cluster.start_pool(1)
        cluster.pools[1].wait_ready()

    def kill_job_server() -> None:
        cluster.job_server.kill()
        cluster.start_job_server()
        cluster.job_server.wait_ready()

    deaths = {"task manager": kill_task_manager, "pool": kill_pool, "job server": kill_job_server}
    engine = Engine(cluster.flags, deaths, pause=(25.0, 50.0))
    try:
        figures = play(str(tmp_path), files=100, kills=5, seed=5, log=str(tmp_path / "log"), engine=engine)
    finally:
        for job in cluster.running():
            cluster.cancel(job)
    assert figures["records"] == 300
    assert set(figures["kills"]) > set(deaths)
