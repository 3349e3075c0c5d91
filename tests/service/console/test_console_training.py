"""What pages show of training jobs."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from service.console.test_console_forms import send
from service.console.test_console_pages import HOSTILE, JOBS, harmless, names, open_page, shown
from service.console.training_jobs import THREE, output, progress, replica, training, trial
from service.console_support import ANN, EVE, PROJECT, World

SUBMIT = f"/console/projects/{PROJECT}/submit"


def part(shop: World, path: str) -> str:
    """What the script gets."""
    answer = shop.client(ANN).get(path, headers={"x-requested-with": "console"})
    assert answer.status_code == 200
    assert "<html" not in answer.text
    return answer.text


def say(shop: World, job_id: str, generation: int, *lines: tuple[str, str]) -> None:
    now = shop.store.now()
    shop.store.append_log(PROJECT, job_id, generation, [(now, "INFO", task, line) for task, line in lines])


def rows(text: str, table: str) -> list[list[str]]:
    """The cells of a table."""
    found = text[text.index(f'<table class="{table}"') :]
    body = found[found.index("<tbody>") : found.index("</tbody>")]
    return [
        [shown(cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
    ]


# A cluster ----------------------------------------------------------------------------------------------------


def test_a_cluster_shows_its_replicas_with_states_and_restarts(shop):
    training(shop, "sun_1")
    replicas = [
        replica("master-replica-0"),
        replica("worker-replica-0", restarts=2, status=-9),
        replica("ps-replica-0", "lost"),
    ]
    shop.run("sun_1", output={"consumedMLUnits": 2.5}, progress=progress(replicas))
    text = open_page(shop, f"{JOBS}/sun_1")
    assert rows(text, "replicas") == [
        ["master-replica-0", "running", "0", "–", "host-1"],
        ["worker-replica-0", "running", "2", "-9", "host-1"],
        ["ps-replica-0", "lost", "0", "–", "host-1"],
    ]
    for said in (
        "Replicas up 2 of 3",
        "Restarts 2",
        "ML units 2.5",
        "Module trainer.task",
        "Scale tier STANDARD_1",
    ):
        assert said in shown(text)
    for said in ("Predictions", "Node hours", "Output folder", "Trials", "Errors"):
        assert said not in shown(text)


def test_a_cluster_that_is_up_is_not_said_to_be_done(shop):
    training(shop, "sun_1")
    shop.run("sun_1", progress=progress([replica("master-replica-0")]))
    assert "<progress" not in open_page(shop, f"{JOBS}/sun_1")
    assert "%" not in shown(open_page(shop, JOBS))


def test_no_replica_is_up_after_the_end_whatever_was_reported_last(shop):
    training(shop, "sun_1")
    generation = shop.run("sun_1", progress=progress([replica("master-replica-0"), replica("worker-replica-0")]))
    shop.end("sun_1", generation, error="It was too much.")
    text = open_page(shop, f"{JOBS}/sun_1")
    assert "Replicas up 0 of 2" in shown(text)
    assert [row[1] for row in rows(text, "replicas")] == ["ended", "ended"]


def test_a_training_job_that_waits_shows_no_numbers(shop):
    training(shop, "sun_1", search=True)
    text = shown(open_page(shop, f"{JOBS}/sun_1"))
    for said in ("Replicas up –", "Restarts –", "Trials done 0 of 10", "Best so far –", "No trial has ended yet"):
        assert said in text


# A search -----------------------------------------------------------------------------------------------------


def test_a_search_shows_its_trials_best_first_with_their_parameters(shop):
    training(shop, "sun_1", search=True)
    running = [replica("trial-5/master-replica-0"), replica("trial-6/master-replica-0")]
    shop.run("sun_1", output=output(*THREE), progress=progress(running, done=4))
    text = open_page(shop, f"{JOBS}/sun_1")
    cells = [row[:-1] for row in rows(text, "trials")]
    assert cells == [
        ["2", "SUCCEEDED", "0.25", "40", "0.01", "32", "tanh", "0 s"],
        ["3", "SUCCEEDED stopped early", "0.5", "40", "0.1", "16", "relu", "0 s"],
        ["1", "SUCCEEDED", "0.75", "40", "0.001", "8", "relu", "0 s"],
        ["4", "FAILED", "–", "–", "1", "64", "relu", "0 s"],
    ]
    assert rows(text, "replicas")[1][:3] == ["master-replica-0", "6", "running"]
    for said in ("Trials done 4 of 10", "Best so far 0.25", "40 %", "loss , minimized"):
        assert said in shown(text)


def test_a_search_that_has_ended_has_the_trials_of_its_output_and_no_replicas(shop):
    training(shop, "sun_1", search=True)
    running = progress([replica("master-replica-0")], done=3)
    generation = shop.run("sun_1", output=output(*THREE[1:]), progress=running)
    shop.end("sun_1", generation, output=output(*THREE))
    text = shown(open_page(shop, f"{JOBS}/sun_1"))
    assert "Trials done 4 of 10" in text
    assert "Replicas up 0 Restarts" in text
    assert "master-replica-0" not in text


def test_charts_have_a_name_and_say_in_words_what_they_show(shop):
    training(shop, "sun_1", search=True)
    shop.run("sun_1", output=output(*THREE))
    text = open_page(shop, f"{JOBS}/sun_1")
    assert re.findall(r"<figcaption><bdi>(.*?)</bdi>", text) == ["Best so far", "rate", "units", "activation"]
    said = [html.unescape(one) for one in re.findall(r"<desc[^>]*>(.*?)</desc>", text)]
    assert said[0].startswith("loss of 3 trials in the order of their end, lower is better.")
    assert "the best is 0.25 of trial 2." in said[0]
    assert "from 0.0001 to 1 on a logarithmic axis" in said[1]
    assert "in 2 columns" in said[3]
    assert all("The table of trials has all values." in one for one in said)


def test_nothing_of_a_chart_is_what_the_policy_of_pages_forbids(shop):
    training(shop, "sun_1", search=True)
    shop.run("sun_1", output=output(*THREE))
    text = open_page(shop, f"{JOBS}/sun_1")
    assert "style=" not in text
    assert "<style" not in text
    assert not re.search(r"<script(?! src=)", text)


def test_the_script_gets_the_trials_alone_and_the_address_leads_to_the_page(shop):
    training(shop, "sun_1", search=True)
    generation = shop.run("sun_1", output=output(*THREE))
    text = part(shop, f"{JOBS}/sun_1/trials")
    assert len(rows(text, "trials")) == 4
    assert "data-over" not in text
    assert '<table class="trials"' not in part(shop, f"{JOBS}/sun_1")
    answer = shop.client(ANN).get(f"{JOBS}/sun_1/trials", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{JOBS}/sun_1#trials-heading")
    shop.end("sun_1", generation)
    assert "data-over" in part(shop, f"{JOBS}/sun_1/trials")
    assert "data-live" not in open_page(shop, f"{JOBS}/sun_1")


def test_trials_that_the_script_has_are_not_sent_again(shop):
    training(shop, "sun_1", search=True)
    generation = shop.run("sun_1", output=output(*THREE))
    known = re.search(r'data-known="(\d+)"', part(shop, f"{JOBS}/sun_1/trials"))
    assert known
    client = shop.client(ANN)
    client.headers["x-requested-with"] = "console"
    answer = client.get(f"{JOBS}/sun_1/trials", params={"known": known[1]})
    assert (answer.status_code, answer.text) == (204, "")
    assert client.get(f"{JOBS}/sun_1/trials", params={"known": "3"}).status_code == 200
    # That the job is over has to be said.
    shop.end("sun_1", generation)
    assert "data-over" in client.get(f"{JOBS}/sun_1/trials", params={"known": known[1]}).text


def test_trials_are_for_who_may_see_the_job_and_only_searches_have_them(shop):
    training(shop, "sun_1", search=True)
    training(shop, "sun_2")
    shop.job("rain_1")
    assert shop.client(EVE).get(f"{JOBS}/sun_1/trials").status_code in (403, 404)
    assert shop.client(ANN).get(f"{JOBS}/sun_2/trials").status_code == 404
    assert shop.client(ANN).get(f"{JOBS}/rain_1/trials").status_code == 404


def test_five_hundred_trials_are_shown_and_those_beyond_are_counted(shop):
    training(shop, "sun_1", search=True)
    values = {"rate": "0.01234567890123", "units": "32", "activation": "tanh"}
    shop.run("sun_1", output=output(*(trial(number, number / 7, values) for number in range(1, 511))))
    text = part(shop, f"{JOBS}/sun_1/trials")
    assert len(rows(text, "trials")) == 500
    assert "And 10 trials that did worse" in shown(text)
    # It is asked for every few seconds.
    assert len(text) < 400_000


def test_thirty_one_replicas_are_all_shown(shop):
    training(shop, "sun_1")
    replicas = [replica("master-replica-0"), *(replica(f"worker-replica-{number}") for number in range(30))]
    shop.run("sun_1", progress=progress(replicas))
    assert len(rows(open_page(shop, f"{JOBS}/sun_1"), "replicas")) == 31


# The log ------------------------------------------------------------------------------------------------------


def test_a_replica_leads_to_its_log(shop):
    training(shop, "sun_1")
    generation = shop.run("sun_1", progress=progress([replica("master-replica-0"), replica("worker-replica-0")]))
    say(shop, "sun_1", generation, ("master-replica-0", "I lead"), ("worker-replica-0", "I follow"))
    link = re.search(r'href="([^"]+)"><bdi>worker-replica-0', open_page(shop, f"{JOBS}/sun_1"))
    assert link
    text = shown(open_page(shop, html.unescape(link[1])))
    assert "I follow" in text
    assert "I lead" not in text


def test_the_log_of_a_trial_has_the_lines_of_all_its_replicas_and_of_no_other(shop):
    training(shop, "sun_1", search=True)
    generation = shop.run("sun_1", output=output(THREE[0]))
    tasks = ["trial-2/master-replica-0", "trial-2/worker-replica-0", "trial-21/master-replica-0", "service"]
    say(shop, "sun_1", generation, *((task, f"line of {task}.") for task in tasks))
    assert 'href="/console/projects/shop/jobs/sun_1/log?task=trial-2"' in open_page(shop, f"{JOBS}/sun_1")
    found = re.findall(r"line of (\S+)\.<", open_page(shop, f"{JOBS}/sun_1/log", task="trial-2"))
    assert found == tasks[:2]


def test_the_log_of_a_task_is_read_a_page_at_a_time(shop):
    training(shop, "sun_1")
    generation = shop.run("sun_1")
    lines = [(f"worker-replica-{number % 2}", f"line {number}.") for number in range(2400)]
    say(shop, "sun_1", generation, *lines)
    seen: list[str] = []
    path = f"{JOBS}/sun_1/log?task=worker-replica-1"
    while path:
        text = open_page(shop, path)
        found = re.findall(r"line (\d+)\.", text)
        assert len(found) <= 500
        seen += found
        later = re.search(r'<a rel="next" href="([^"]+)"', text)
        path = f"{JOBS}/sun_1/log{html.unescape(later[1])}" if later else ""
    assert seen == [str(number) for number in range(1, 2400, 2)]


def test_the_script_looks_at_no_line_twice(shop):
    training(shop, "sun_1")
    generation = shop.run("sun_1")
    say(shop, "sun_1", generation, ("a", "one"), ("b", "two"), ("b", "three"))
    text = part(shop, f"{JOBS}/sun_1/log?task=a&after=0")
    assert re.findall(r'data-number="(\d+)"', text) == ["1", "3"]
    assert '<tr data-number="3" hidden>' in text
    assert part(shop, f"{JOBS}/sun_1/log?task=a&after=3").strip() == ""


def test_the_log_of_a_task_that_has_written_nothing_yet_is_live(shop):
    training(shop, "sun_1")
    shop.run("sun_1")
    text = open_page(shop, f"{JOBS}/sun_1/log", task="master-replica-0")
    assert f'data-log="{JOBS}/sun_1/log?task=master-replica-0" data-after="0"' in text


# What is there for predictions --------------------------------------------------------------------------------


def test_a_training_job_has_no_page_of_failed_records(shop):
    training(shop, "sun_1")
    shop.end("sun_1", shop.run("sun_1"))
    assert "/errors" not in open_page(shop, f"{JOBS}/sun_1")
    assert "Only prediction jobs have named errors" in open_page(shop, f"{JOBS}/sun_1/errors")


def test_a_training_job_is_submitted_again_as_one(shop):
    asked = training(shop, "sun_1", search=True)
    text = open_page(shop, SUBMIT, **{"from": "sun_1"})
    assert "trainingInput, as JSON" in text
    assert 'name="kind" value="training"' in text
    assert 'value="sun_2"' in text
    box = re.search(r'<textarea id="input"[^>]*>(.*?)</textarea>', text, re.DOTALL)
    assert box
    assert json.loads(html.unescape(box[1])) == asked


def test_faults_of_a_training_input_are_said_at_it(shop):
    asked = training(shop, "sun_1")
    fields = {"job_id": "sun_2", "input": json.dumps({**asked, "scaleTier": "HUGE"}), "kind": "training"}
    answer = send(shop, {**fields, "from": "sun_1"}, f"{SUBMIT}?from=sun_1")
    assert answer.status_code == 400
    assert "training_input.scale_tier" in shown(answer.text)
    assert re.search(r'<textarea id="input"[^>]*aria-invalid="true"', answer.text)
    assert 'name="kind" value="training"' in answer.text


# Text of others -----------------------------------------------------------------------------------------------


def test_whatever_a_training_job_holds_is_shown_and_does_nothing(shop):
    hostile = HOSTILE.replace("\x00", "").replace("\ud800", "")
    params: list[dict[str, Any]] = [
        {"parameterName": hostile, "type": "CATEGORICAL", "categoricalValues": [hostile, "b"]},
        {"parameterName": "", "type": 3, "minValue": "x", "discreteValues": {"a": 1}},
    ]
    training(shop, "sun_1", search=True, params=params, pythonModule=hostile, jobDir=hostile)
    odd = [
        trial(1, 0.5, {hostile: hostile}, state=hostile),
        {"trialId": hostile, "finalMetric": {"objectiveValue": "NaN"}, "hyperparameters": [1]},
        {"endTime": "yesterday", "finalMetric": 3},
        "no trial",
    ]
    found = {**output(), "trials": odd, "hyperparameterMetricTag": hostile, "consumedMLUnits": "many"}
    replicas = [replica(hostile, hostile), {}, "none", {"name": 3, "restarts": "x"}]
    reported = {"replicas": replicas, "workers": "x", "done": None, "total": []}
    generation = shop.run("sun_1", output=found, progress=reported)
    say(shop, "sun_1", generation, (hostile, hostile))
    for path in ("", "/log", "/errors"):
        harmless(open_page(shop, f"{JOBS}/sun_1{path}"))
    harmless(open_page(shop, f"{JOBS}/sun_1/log", task=hostile))
    harmless(part(shop, f"{JOBS}/sun_1/trials"))
    assert names(open_page(shop, JOBS)) == ["sun_1"]
