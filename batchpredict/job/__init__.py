"""The Job resource of `projects.jobs`: messages, validation, states. Knows no file and no network."""

from batchpredict.job.budget import UNLIMITED, ErrorBudget
from batchpredict.job.hardware import AcceleratorConfig
from batchpredict.job.job import OUTPUT_ONLY, Job
from batchpredict.job.prediction import DataFormat, InstanceConfig, PredictionInput, PredictionOutput
from batchpredict.job.reading import decode, load
from batchpredict.job.scalars import to_datetime, to_seconds, to_timestamp
from batchpredict.job.states import TERMINAL, TRANSITIONS, State, advance
from batchpredict.job.training import (
    DiskConfig,
    EncryptionConfig,
    ReplicaConfig,
    ScaleTier,
    Scheduling,
    TrainingInput,
    TrainingOutput,
)
from batchpredict.job.tuning import (
    DEFAULT_METRIC_TAG,
    Algorithm,
    BuiltInAlgorithmOutput,
    GoalType,
    HyperparameterMetric,
    HyperparameterOutput,
    HyperparameterSpec,
    ParameterSpec,
    ParameterType,
    ScaleType,
)
from batchpredict.job.wire import (
    Bool,
    Double,
    Findings,
    Int32,
    Item,
    NonBlank,
    Timestamp,
    Wire,
    WireEnum,
    refuse,
    rule,
    to_camel,
)

__all__ = [
    "DEFAULT_METRIC_TAG",
    "OUTPUT_ONLY",
    "TERMINAL",
    "TRANSITIONS",
    "UNLIMITED",
    "AcceleratorConfig",
    "Algorithm",
    "Bool",
    "BuiltInAlgorithmOutput",
    "DataFormat",
    "DiskConfig",
    "Double",
    "EncryptionConfig",
    "ErrorBudget",
    "Findings",
    "GoalType",
    "HyperparameterMetric",
    "HyperparameterOutput",
    "HyperparameterSpec",
    "InstanceConfig",
    "Int32",
    "Item",
    "Job",
    "NonBlank",
    "ParameterSpec",
    "ParameterType",
    "PredictionInput",
    "PredictionOutput",
    "ReplicaConfig",
    "ScaleTier",
    "ScaleType",
    "Scheduling",
    "State",
    "Timestamp",
    "TrainingInput",
    "TrainingOutput",
    "Wire",
    "WireEnum",
    "advance",
    "decode",
    "load",
    "refuse",
    "rule",
    "to_camel",
    "to_datetime",
    "to_seconds",
    "to_timestamp",
]
