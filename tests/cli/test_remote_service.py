"""The commands of the client against a service: what is sent, what is shown, what is said when it is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import support
from remote_calls import prediction

from batchpredict.cli import main

pytest.importorskip("fastapi", reason="pip install 'batchpredict[serve]'")


def test_a_job_is_waited_for_as_predict_is(call, folder):
    out, err = call(*prediction("waited", "out/waited", "--wait", "--labels=team=blue,step=2"))
    output = json.loads(out)
    assert support.counts(output) == (2, 1)
    assert output["outputPath"] == os.path.join(folder, "out", "waited")
    assert support.results(output["outputPath"]) == [{"y": 2.0}, {"y": 6.0}]
    assert "waited was submitted\nwaited is QUEUED" in err
    job = json.loads(call("jobs", "describe", "waited")[0])
    # Paths that are relative to the user are absolute to the service; everything else is as the flags had it.
    assert job["predictionInput"] == {
        "uri": support.model("double"),
        "inputPaths": [os.path.join(folder, "in.json")],
        "dataFormat": "TEXT",
        "outputPath": os.path.join(folder, "out/waited"),
        "region": "local",
    }
    assert job["labels"] == {"team": "blue", "step": "2"}
    assert job["state"] == "SUCCEEDED"
    log = call("jobs", "stream-logs", "waited")[0]
    assert [line.split("\t")[0] for line in log.splitlines()] == ["INFO"] * len(log.splitlines())
    assert "Job waited is queued." in log
    assert log.splitlines()[-1].endswith("Job completed successfully.")
    # Waiting for what has ended is over at once, and says the same.
    assert json.loads(call("jobs", "wait", "waited")[0]) == job["predictionOutput"]


def test_the_log_is_streamed_while_the_job_runs(call):
    out, _ = call(*prediction("streamed", "out/streamed", "--stream-logs"))
    log, _, output = out.partition("\n{\n")
    assert support.counts(json.loads("{\n" + output)) == (2, 1)
    assert log.splitlines()[-1].endswith("Job completed successfully.")


def test_an_id_is_used_once(call):
    call(*prediction("once", "out/once"))
    _, err = call(*prediction("once", "out/once"), status=1)
    assert "a job 'once' exists already (it is the same job, " in err
    _, err = call(*prediction("once", "out/elsewhere"), status=1)
    assert "a job 'once' exists already (it is another job, " in err
    call("jobs", "cancel", "once")


def test_what_cannot_be_run_is_said_of_its_flag_and_not_created(call):
    _, err = call(*prediction("checked", "/elsewhere", "--batch-size=0", "--validate-only"), status=2)
    assert "jobs submit prediction: --batch-size: " in err
    _, err = call(*prediction("checked", "/elsewhere", "--validate-only"), status=2)
    assert 'jobs submit prediction: --output-path: "/elsewhere" is not below a folder' in err
    _, err = call(*prediction("checked", "out", "--model=none", "--model-dir="), status=2)
    wrong = [part for part in prediction("checked", "out", "--model=none") if not part.startswith("--model-dir")]
    _, err = call(*wrong, status=1)
    assert 'jobs submit prediction: --model: The model resource: "none" was not found' in err
    _, err = call(*prediction("checked", "out", "--validate-only"))
    assert err == "checked could be run; nothing was created\n"
    _, err = call("jobs", "describe", "checked", status=1)
    assert err == 'batchpredict jobs describe: The job resource: "checked" was not found.\n'


def test_a_job_file_with_flags_over_it(call, folder):
    document = support.job("nowhere", "in.json", "out/file", "TF_RECORD", batchSize=2)
    support.write_json(os.path.join(folder, "job.json"), document)
    out, _ = call(
        "jobs", "submit", "prediction", "filed", "--job=job.json", f"--model-dir={support.model('double')}",
        "--data-format=TEXT",
    )  # fmt: skip
    job = json.loads(out)
    assert job["jobId"] == "filed"
    assert job["predictionInput"] == {
        **document["predictionInput"],
        "uri": support.model("double"),
        "inputPaths": [os.path.join(folder, "in.json")],
        "outputPath": os.path.join(folder, "out/file"),
        "dataFormat": "TEXT",
    }
    call("jobs", "cancel", "filed")


def test_lists_come_in_pages_and_in_any_order(call, service):
    _, err = call("jobs", "list")
    assert err == "Listed 0 items.\n"
    assert call("jobs", "list", "--format=json")[0] == "[]\n"
    for name in ("b", "c", "a"):
        call(*prediction(name, f"out/{name}"), "--quiet")
        call("jobs", "cancel", name, "--quiet")

    def listed(*flags: str) -> list[str]:
        return [job["jobId"] for job in json.loads(call("jobs", "list", "--format=json", *flags)[0])]

    assert listed("--page-size=1") == ["a", "c", "b"]
    assert listed("--limit=2") == ["a", "c"]
    assert listed("--limit=2", "--page-size=1", "--sort-by=jobId") == ["a", "b"]
    assert listed("--sort-by=~jobId") == ["c", "b", "a"]
    assert listed("--sort-by=predictionInput.region,~createTime", "--limit=unlimited") == ["a", "c", "b"]
    assert listed("--filter=jobId:a* OR jobId=b") == ["a", "b"]
    project = os.environ["BATCHPREDICT_PROJECT"]
    assert call("jobs", "list", "--limit=1", "--uri")[0] == f"{service.endpoint}/v1/projects/{project}/jobs/a\n"
    head, row, *_ = call("jobs", "list")[0].splitlines()
    assert head.split() == ["JOB_ID", "STATUS", "CREATED"]
    assert row.split()[0] == "a"
    _, err = call("jobs", "list", "--filter=jobId:(", status=2)
    assert err.startswith("batchpredict jobs list: ")
    assert len(err.splitlines()) == 1


def test_labels_are_changed_one_by_one(call):
    call(*prediction("labelled", "out/labelled", "--labels=a=1,b=2"))
    labels = lambda *flags: json.loads(call("jobs", "update", "labelled", *flags)[0]).get("labels", {})  # noqa: E731
    assert labels("--update-labels=c=3,a=9") == {"a": "9", "b": "2", "c": "3"}
    assert labels("--remove-labels=a,nothing", "--update-labels=d=4") == {"b": "2", "c": "3", "d": "4"}
    assert labels("--clear-labels", "--update-labels=e=5") == {"e": "5"}
    assert labels("--clear-labels") == {}
    _, err = call("jobs", "update", "labelled", "--update-labels=A=1", status=2)
    assert "batchpredict jobs update: Field: job.labels Error: " in err
    # Nobody needs its results; it may have ended by itself.
    main(["jobs", "cancel", "labelled"])


def test_who_may_do_what_is_changed_binding_by_binding(call, folder):
    call(*prediction("shared", "out/shared"))
    ann, viewer = "--member=user:ann@example.org", "--role=roles/ml.viewer"
    call("jobs", "add-iam-policy-binding", "shared", ann, viewer)
    call("jobs", "add-iam-policy-binding", "shared", "--member=user:bob@example.org", viewer)
    before = call("jobs", "get-iam-policy", "shared")[0]
    (binding,) = json.loads(before)["bindings"]
    assert binding == {"role": "roles/ml.viewer", "members": ["user:ann@example.org", "user:bob@example.org"]}
    call("jobs", "remove-iam-policy-binding", "shared", ann, viewer)
    assert "ann" not in call("jobs", "get-iam-policy", "shared")[0]
    _, err = call("jobs", "remove-iam-policy-binding", "shared", ann, viewer, status=2)
    assert "--member: 'user:ann@example.org' has not the role 'roles/ml.viewer' here" in err
    # The policy that was read first is not the one that would be replaced any more.
    support.write(os.path.join(folder, "policy.json"), before)
    _, err = call("jobs", "set-iam-policy", "shared", "policy.json", status=1)
    assert "concurrent policy changes" in err
    fresh = {**json.loads(before), "etag": json.loads(call("jobs", "get-iam-policy", "shared")[0])["etag"]}
    support.write_json(os.path.join(folder, "policy.json"), fresh)
    call("jobs", "set-iam-policy", "shared", "policy.json")
    assert "ann" in call("jobs", "get-iam-policy", "shared")[0]
    _, err = call("projects", "add-iam-policy-binding", "p", ann, "--role=roles/ml.vewer", status=2)
    assert "roles/ml.viewer" in err
    call("jobs", "cancel", "shared")


@pytest.mark.long
def test_the_life_of_a_model(call, folder):
    created = json.loads(call("models", "create", "doubling", "--labels=team=blue", "--description=Twice.")[0])
    assert created["name"].endswith("/models/doubling")
    assert (created["description"], created["labels"]) == ("Twice.", {"team": "blue"})
    os.symlink(support.model("double"), os.path.join(folder, "here"))
    _, err = call("versions", "create", "v1", "--model=doubling", f"--origin={support.model('double')}")
    assert err.splitlines()[-1].startswith("created projects/")
    operation = json.loads(
        call("versions", "create", "v2", "--model=doubling", "--origin=here", "--async", "--framework=tensorflow")[
            0
        ]
    )
    done = json.loads(call("operations", "wait", operation["name"])[0])
    assert done["name"].endswith("/versions/v2")
    assert json.loads(call("operations", "describe", operation["name"].rpartition("/")[2])[0])["done"] is True
    kinds = [row.split()[1] for row in call("operations", "list")[0].splitlines()[1:]]
    assert kinds.count("CREATE_VERSION") == 2
    table = call("versions", "list", "--model=doubling")[0].splitlines()
    assert [line.split()[0] for line in table] == ["NAME", "v1", "v2"]
    assert table[1].split()[1:] == [support.model("double"), "READY"]
    assert call("models", "list")[0].splitlines()[1].split() == ["doubling", "v1"]
    call("versions", "set-default", "v2", "--model=doubling")
    updated = json.loads(call("versions", "update", "v1", "--model=doubling", "--update-labels=old=yes")[0])
    assert updated["labels"] == {"old": "yes"}
    assert json.loads(call("models", "update", "doubling", "--description=Two.")[0])["description"] == "Two."

    named = [part for part in prediction("by_name", "out/by_name") if not part.startswith("--model-dir")]
    out, _ = call(*named, "--model=doubling", "--version=v1", "--wait")
    assert support.counts(json.loads(out)) == (2, 1)
    source = json.loads(call("jobs", "describe", "by_name")[0])["predictionInput"]
    assert source["versionName"] == f"projects/{os.environ['BATCHPREDICT_PROJECT']}/models/doubling/versions/v1"

    _, err = call("versions", "delete", "v2", "--model=doubling", status=1)
    assert err.startswith("batchpredict versions delete: ")
    _, err = call("models", "delete", "doubling", status=1)
    call("versions", "delete", "v1", "--model=doubling")
    call("versions", "delete", "v2", "--model=doubling")
    call("models", "delete", "doubling")
    assert call("models", "list")[1] == "Listed 0 items.\n"


def test_a_version_that_is_no_model_fails_with_its_reason(call, folder):
    call("models", "create", "broken")
    os.mkdir(os.path.join(folder, "empty"))
    _, err = call("versions", "create", "v1", "--model=broken", "--origin=empty", status=2)
    assert "saved_model.pb" in err
    assert len(err.splitlines()) == 1


def test_the_cold_start_of_a_list_is_short(call):
    code = (
        "import sys; from batchpredict.cli import main; status = main(['jobs', 'list']);"
        "heavy = [name for name in ('tensorflow', 'apache_beam', 'pydantic', 'numpy', 'httpx', 'rich', 'fsspec')"
        " if name in sys.modules]; sys.exit(status or (f'imported {heavy}' if heavy else 0))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "Listed 0 items.\n")
