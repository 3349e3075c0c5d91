"""Pages that create jobs: a form for a new one, and one for the input of a job that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchpredict.errors import BatchPredictError, Violation
from batchpredict.resources import ProjectName
from batchpredict.service.access.interface import Access
from batchpredict.service.console import drafts
from batchpredict.service.console.interface import JobMethods
from batchpredict.service.console.pages import Fields, page, segment, violations_of, visible
from batchpredict.service.console.sessions import HOME, Visitor, check_form, visitor
from batchpredict.service.console.views import json_text, prediction_input, training_input
from batchpredict.service.console.watching import visible_job
from batchpredict.service.rest.errors import Problem, problem
from batchpredict.service.store.interface import Missing, Store


class Submission:
    """Forms that create jobs, and what becomes of them. The checks are the API's own."""

    def __init__(self, store: Store, access: Access, methods: JobMethods) -> None:
        self._store = store
        self._access = access
        self._methods = methods

    def ask(self, request: Request, project: str) -> Response:
        """The form: empty, with a model filled in, or with the input of another job as JSON."""
        seen = self._visitor(request, project)
        again = request.query_params.get("from", "")
        if again:
            job = visible_job(self._store, self._access, seen.caller, project, again)
            training = training_input(job.new.document)
            fields = {
                "job_id": drafts.another_id(again, lambda name: self._taken(project, name)),
                "input": visible(json_text(training or prediction_input(job.new.document))),
                "labels": drafts.labels_text(job.new.labels),
                "from": again,
                "kind": "training" if training else "prediction",
            }
            return self._form(seen, project, fields)
        fields = {"region": "local", "data_format": "TEXT", "model_kind": "uri", "model": ""}
        for kind, _ in drafts.MODEL_KINDS:
            if request.query_params.get(kind):
                fields |= {"model_kind": kind, "model": request.query_params[kind]}
        return self._form(seen, project, fields)

    def submit(self, request: Request, project: str, fields: Fields) -> Response:
        """Create the job, or only check it; with what is wrong at its field."""
        seen = self._visitor(request, project)
        check_form(request, fields)
        try:
            document = drafts.draft_of_json(fields) if "input" in fields else drafts.draft(fields, project)
            if fields.get("action") == "check":
                self._methods.check(project, document, seen.caller)
                return self._form(seen, project, fields, checked=True)
            job_id = self._methods.create(project, document, seen.caller)
        except (BatchPredictError, Problem) as error:
            found = problem(error, f"projects/{project}")
            if found.code >= 500:
                raise
            violations = violations_of(found) or [Violation("", found.message)]
            return self._form(seen, project, fields, violations=violations)
        return RedirectResponse(f"{HOME}/projects/{segment(project)}/jobs/{segment(job_id)}", 303)

    def _visitor(self, request: Request, project: str) -> Visitor:
        seen = visitor(self._access, request)
        self._access.require(seen.caller, "ml.jobs.create", str(ProjectName(project)))
        return seen

    def _taken(self, project: str, job_id: str) -> bool:
        try:
            self._store.job(project, job_id)
        except Missing:
            return False
        return True

    @staticmethod
    def _form(
        seen: Visitor,
        project: str,
        fields: Mapping[str, str],
        *,
        violations: Sequence[Violation] = (),
        checked: bool = False,
    ) -> Response:
        as_json = "input" in fields
        values: dict[str, Any] = {
            "project": project,
            "fields": fields,
            "faults": _on_form(drafts.at_fields(violations, as_json=as_json), as_json),
            "checked": checked,
            "main": drafts.FIELDS,
            "further": drafts.FURTHER,
            "kinds": drafts.MODEL_KINDS,
        }
        return page(seen, "submit.html", status=400 if violations else 200, **values)


def _on_form(faults: dict[str, list[str]], as_json: bool) -> dict[str, list[str]]:
    """Faults of the whole input are of the whole form where that has no such field."""
    whole = faults.pop("input", []) if not as_json else []
    return {**faults, "": [*faults.get("", []), *whole]} if whole else faults
