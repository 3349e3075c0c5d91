"""The Job resource of `projects.jobs`: messages, validation, states. Knows no file and no network."""

from batchpredict.job.budget import UNLIMITED, ErrorBudget
from batchpredict.job.hardware import AcceleratorConfig
from batchpredict.job.job import OUTPUT_ONLY, Job
from batchpredict.job.prediction import DataFormat, InstanceConfig, PredictionInput, PredictionOutput
from batchpredict.job.reading import load
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

__all__ = [
    "OUTPUT_ONLY",
    "TERMINAL",
    "TRANSITIONS",
    "UNLIMITED",
    "AcceleratorConfig",
    "Algorithm",
    "BuiltInAlgorithmOutput",
    "DataFormat",
    "DiskConfig",
    "EncryptionConfig",
    "ErrorBudget",
    "GoalType",
    "HyperparameterMetric",
    "HyperparameterOutput",
    "HyperparameterSpec",
    "InstanceConfig",
    "Job",
    "ParameterSpec",
    "ParameterType",
    "PredictionInput",
    "PredictionOutput",
    "ReplicaConfig",
    "ScaleTier",
    "ScaleType",
    "Scheduling",
    "State",
    "TrainingInput",
    "TrainingOutput",
    "advance",
    "load",
    "to_datetime",
    "to_seconds",
    "to_timestamp",
]
