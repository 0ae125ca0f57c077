"""The contract between the harness and its plugins: tasks, data sets and backends.

A task is data without a framework; a backend turns a :class:`Plan` into a :class:`Program`. This package may
import only :mod:`harness.layers` and :mod:`harness.network`. It must not know NumPy or any framework, so that
listing plugins stays cheap.
"""

from harness.spec.backend import DEVICE_PATTERN, Backend, Plan, Precision, Program, Steps, Unsupported
from harness.spec.data import (
    Dataset,
    DatasetSummary,
    DataSource,
    DownloadProgress,
    Samples,
    Series,
    Split,
    fingerprint,
)
from harness.spec.schedules import ConstantRate, CosineDecay, LinearDecay, Schedule, StepDecay
from harness.spec.study import QuickForm, Range, StudyKind, StudyVariant
from harness.spec.task import (
    LOSSES,
    Adam,
    Adversarial,
    Augmentation,
    BinaryClassification,
    Classification,
    Federated,
    Imbalance,
    Objective,
    Optimizer,
    OwnCode,
    Penalty,
    Preset,
    Privacy,
    Regression,
    RmsProp,
    Sgd,
    Start,
    Task,
    TaskDefinition,
)

__all__ = [
    "DEVICE_PATTERN",
    "LOSSES",
    "Adam",
    "Adversarial",
    "Augmentation",
    "Backend",
    "BinaryClassification",
    "Classification",
    "ConstantRate",
    "CosineDecay",
    "DataSource",
    "Dataset",
    "DatasetSummary",
    "DownloadProgress",
    "Federated",
    "Imbalance",
    "LinearDecay",
    "Objective",
    "Optimizer",
    "OwnCode",
    "Penalty",
    "Plan",
    "Precision",
    "Preset",
    "Privacy",
    "Program",
    "QuickForm",
    "Range",
    "Regression",
    "RmsProp",
    "Samples",
    "Schedule",
    "Series",
    "Sgd",
    "Split",
    "Start",
    "StepDecay",
    "Steps",
    "StudyKind",
    "StudyVariant",
    "Task",
    "TaskDefinition",
    "Unsupported",
    "fingerprint",
]
