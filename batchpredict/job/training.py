"""TrainingInput and TrainingOutput.

Source: projects-jobs.txt, the 2017 resource; the fields after an empty line are those of later revisions of
the ml v1 API (discovery document).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

from batchpredict.job.hardware import AcceleratorConfig
from batchpredict.job.scalars import between, to_seconds
from batchpredict.job.tuning import BuiltInAlgorithmOutput, HyperparameterOutput, HyperparameterSpec
from batchpredict.job.wire import (
    Bool,
    Count64,
    Double,
    Duration,
    Echoed,
    Findings,
    Int32,
    Item,
    NonBlank,
    Positive32,
    Wire,
    WireEnum,
    refuse,
    rule,
)

MAX_PACKAGE_URIS = 100
DEFAULT_MAX_RUNNING_SECONDS = 604_800  # seven days: ml v1, Scheduling.maxRunningTime
MIN_WAIT_SECONDS = 1_800  # ml v1, Scheduling.maxWaitTime

# The names of 2017. They are a help to readers and no gate: later revisions took every Compute Engine name
# (n1-standard-4, a2-highgpu-1g, cloud_tpu), and where a job runs today is for its runner to judge.
MACHINE_TYPES = (
    "standard",
    "large_model",
    "complex_model_s",
    "complex_model_m",
    "complex_model_l",
    "standard_gpu",
    "complex_model_m_gpu",
    "complex_model_l_gpu",
    "standard_p100",
    "complex_model_m_p100",
)


class ScaleTier(WireEnum):
    """The size of the cluster: five fixed ones, and one's own."""

    BASIC = "BASIC"
    STANDARD_1 = "STANDARD_1"
    PREMIUM_1 = "PREMIUM_1"
    BASIC_GPU = "BASIC_GPU"
    BASIC_TPU = "BASIC_TPU"
    CUSTOM = "CUSTOM"


def _long_enough_wait(duration: str) -> str:
    if to_seconds(duration) < MIN_WAIT_SECONDS:
        raise refuse(f'Expected at least "{MIN_WAIT_SECONDS}s", got "{duration}".')
    return duration


def _some_time(duration: str) -> str:
    if to_seconds(duration) <= 0:
        raise refuse(f'Expected a positive duration, got "{duration}".')
    return duration


class DiskConfig(Wire):
    boot_disk_type: str | None = None
    boot_disk_size_gb: Positive32 | None = None


class ReplicaConfig(Wire):
    """The container and the hardware of the replicas of one role."""

    accelerator_config: AcceleratorConfig | None = None
    image_uri: str | None = None
    tpu_tf_version: str | None = None
    container_command: tuple[str, ...] = ()
    container_args: tuple[str, ...] = ()
    disk_config: DiskConfig | None = None


class EncryptionConfig(Wire):
    kms_key_name: str | None = None


class Scheduling(Wire):
    """How long a job may wait and run, and who goes first."""

    max_running_time: Annotated[Duration, AfterValidator(_some_time)] | None = None
    max_wait_time: Annotated[Duration, AfterValidator(_long_enough_wait)] | None = None
    priority: Annotated[Int32, AfterValidator(between(0, 1000))] | None = None

    @property
    def effective_max_running_seconds(self) -> Decimal:
        return to_seconds(self.max_running_time or f"{DEFAULT_MAX_RUNNING_SECONDS}s")


class TrainingInput(Echoed):
    """What to train, and on which cluster. A count of 0 reads as unset, as in proto3."""

    scale_tier: ScaleTier
    master_type: str | None = None
    worker_type: str | None = None
    parameter_server_type: str | None = None
    worker_count: Count64 | None = None
    parameter_server_count: Count64 | None = None
    package_uris: tuple[Item, ...] = ()
    python_module: str | None = None
    args: tuple[str, ...] = ()
    hyperparameters: HyperparameterSpec | None = None
    region: NonBlank
    job_dir: str | None = None
    runtime_version: str | None = None

    python_version: str | None = None
    master_config: ReplicaConfig | None = None
    worker_config: ReplicaConfig | None = None
    parameter_server_config: ReplicaConfig | None = None
    evaluator_config: ReplicaConfig | None = None
    evaluator_type: str | None = None
    evaluator_count: Count64 | None = None
    use_chief_in_tf_config: Bool | None = None
    network: str | None = None
    service_account: str | None = None
    encryption_config: EncryptionConfig | None = None
    scheduling: Scheduling | None = None
    enable_web_access: Bool | None = None

    @rule("scale_tier", "master_type")
    def _master_type_with_custom_tier(self) -> Findings:
        if self.scale_tier is ScaleTier.CUSTOM and not self.master_type:
            yield ("master_type",), "Required when scale_tier is CUSTOM."
        if self.scale_tier is not ScaleTier.CUSTOM and self.master_type:
            yield ("master_type",), self._only_custom

    @rule("scale_tier", "worker_type", "worker_count")
    def _workers(self) -> Findings:
        yield from self._replicas("worker")

    @rule("scale_tier", "parameter_server_type", "parameter_server_count")
    def _parameter_servers(self) -> Findings:
        yield from self._replicas("parameter_server")

    @rule("scale_tier", "evaluator_type", "evaluator_count")
    def _evaluators(self) -> Findings:
        yield from self._replicas("evaluator")

    def _replicas(self, role: str) -> Findings:
        machine, count = getattr(self, f"{role}_type"), getattr(self, f"{role}_count")
        if self.scale_tier is ScaleTier.CUSTOM:
            if count and not machine:
                yield (f"{role}_type",), f"Required when {role}_count is greater than zero."
            return
        if machine:
            yield (f"{role}_type",), self._only_custom
        if count:
            yield (f"{role}_count",), self._only_custom

    @property
    def _only_custom(self) -> str:
        return f"Can only be used when scale_tier is CUSTOM; it is {self.scale_tier}."

    @rule("package_uris", "master_config")
    def _packages(self) -> Findings:
        if len(self.package_uris) > MAX_PACKAGE_URIS:
            yield (
                ("package_uris",),
                f"At most {MAX_PACKAGE_URIS} packages are allowed, got {len(self.package_uris)}.",
            )
        if not self.package_uris and not self._brings_its_image:
            yield ("package_uris",), "At least one package is required, or a master_config.image_uri."

    @rule("python_module", "master_config")
    def _module(self) -> Findings:
        if not (self.python_module or "").strip() and not self._brings_its_image:
            yield ("python_module",), "Required, unless master_config.image_uri is set."

    @property
    def _brings_its_image(self) -> bool:
        # In a draft image_uri may be BROKEN: then it was meant, and what is wrong with it has been said.
        return self.master_config is not None and self.master_config.image_uri not in (None, "")


class TrainingOutput(Wire):
    """Results of a training job. The ML units have two names, the seed's and that of every later revision."""

    also_written = {"consumedMLUnits": "consumed_ml_units"}  # noqa: RUF012

    completed_trial_count: Count64 | None = None
    trials: tuple[HyperparameterOutput, ...] = ()
    consumed_ml_units: Double | None = None
    is_hyperparameter_tuning_job: Bool | None = None

    is_built_in_algorithm_job: Bool | None = None
    built_in_algorithm_output: BuiltInAlgorithmOutput | None = None
    hyperparameter_metric_tag: str | None = None
    web_access_uris: dict[str, str] | None = None
