"""Benchmarks of deep-learning frameworks that prove the same work first, then time it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from harness.core.documents.kinds import Identified, RecordKind
    from harness.learning.runs.report import Report
    from harness.learning.study.page import StudyReport

    _D = TypeVar("_D", bound=Identified)


def load_results(results: str | Path = "results") -> pd.DataFrame:
    """Load the records under ``results/runs`` as a DataFrame, one row per run, oldest first.

    - ``id``, ``started_at``, ``status``; ``task``, ``task_version``, ``task_sha256``; ``model``, one of your
      own, with the arguments that are not at their defaults; ``dataset``, ``dataset_fingerprint``
    - ``backend``, ``mode``, ``engine``, ``engine_version``, ``device``, ``precision``, ``threads``, ``cpu``,
      ``host``, ``seed``, ``batch_size``, ``parameters``
    - ``epochs``, ``best_epoch``: the last one and the best one on validation
    - ``step_seconds``, ``samples_per_second``: of steady steps; ``settled``, whether the warm-up had ended
    - ``import_seconds``, ``data_seconds``, ``build_seconds``, ``first_step_seconds``, ``training_seconds``,
      ``evaluation_seconds``
    - ``train_loss``, ``validation_accuracy``, ``test_loss``, …: scores after the last epoch, shares from 0 to
      1; ``test_at_best_loss``, …: with the weights of the best epoch; ``generalization_gap``
    - ``peak_memory_bytes``, ``device_peak_memory_bytes``
    - ``others_cpus``, ``disturbed``: CPUs that other programs used
    - ``option_NAME``: options of the task

    Times are in seconds, memory in bytes, shares such as accuracies from 0 to 1. Runs with ``--jobs`` have
    neither times nor memory, because these are not judged. Trials of studies have no row. A file that cannot
    be read is skipped with a warning that names it.
    """
    from harness.core.runs.frames import runs_frame
    from harness.core.runs.store import RUNS

    return runs_frame(_readable(RUNS, results))


def load_epochs(results: str | Path = "results") -> pd.DataFrame:
    """Load the scored epochs of the runs under ``results/runs``, one row per epoch, oldest run first.

    - ``id``, ``status``, ``task``, ``dataset``, ``backend``, ``mode``, ``precision``, ``threads``,
      ``batch_size``, ``seed``: of the run, as in :func:`load_results`
    - ``epoch``: counted from 1; ``best``, whether its validation loss is the best
    - ``steps``, ``training_seconds``: since the start of training, scoring excluded
    - ``training_loss``, ``discriminator_loss``: mean of what was minimised in the epoch
    - ``train_loss``, ``validation_accuracy``, …: scores at the end of the epoch, shares from 0 to 1
    - ``scored_at``: time in UTC
    - ``option_NAME``: options of the task

    Trials and unreadable files as in :func:`load_results`.
    """
    from harness.core.runs.frames import epochs_frame
    from harness.core.runs.store import RUNS

    return epochs_frame(_readable(RUNS, results))


def load_duels(results: str | Path = "results") -> pd.DataFrame:
    """Load the duels under ``results/duels``, one row per configuration compared with the reference.

    - ``id``, ``started_at``, ``status``, ``task``, ``dataset``, ``seed``, ``cpu``, ``host``: of the duel
    - ``configuration``, ``reference``: their labels, such as ``torch:eager``
    - ``backend``, ``mode``, ``device``, ``precision``, ``threads``, ``batch_size``, ``certified``: of the
      configuration
    - ``verdict``: ``faster``, ``slower``, ``same`` or ``undecided``; ``reason``, why the pairs carry none
    - ``ratio``, ``ratio_low``, ``ratio_high``: time per sample over that of the reference, 95 % interval
    - ``p_value``, ``pairs``, ``lost_pairs``: of the test, and the pairs that it rests on
    - ``margin``: a ratio within this of 1 counts as the same
    - ``stopped_because``, ``seconds``: why the duel ended, and its wall time

    Unreadable files as in :func:`load_results`.
    """
    from harness.timing.duel.frames import duels_frame
    from harness.timing.duel.record import DUELS

    return duels_frame(_readable(DUELS, results))


def load_gates(results: str | Path = "results") -> pd.DataFrame:
    """Load the gates under ``results/gates``, one row per metric and per quality of each benchmark.

    - ``id``, ``started_at``, ``status``, ``base_commit``, ``head_commit``, ``cpu``, ``host``: of the gate
    - ``benchmark``, ``backend``, ``mode``, ``task``, ``dataset``, ``threads``: of the benchmark
    - ``metric``: ``step``, ``first step``, ``memory`` or ``quality``; ``stage``, ``look`` or ``confirmation``
    - ``verdict``, ``benchmark_verdict``, ``gate_verdict``: ``PASS``, ``FAIL``, ``INCONCLUSIVE``, ``INVALID``
    - ``base``, ``head``: medians in seconds, of memory in bytes
    - ``ratio``, ``ratio_low``, ``ratio_high``: head over base, 95 % interval
    - ``limit``: the share by which head may be worse, such as 0.05
    - ``p_value``, ``pairs``: of the test, and the pairs that it rests on

    Unreadable files as in :func:`load_results`.
    """
    from harness.timing.gate.frames import gates_frame
    from harness.timing.gate.record import GATES

    return gates_frame(_readable(GATES, results))


def load_weights(
    record: str | Path, *, best: bool = True, results: str | Path = "results"
) -> dict[str, np.ndarray]:
    """Load the weights that a run has kept (``harness run --save-weights``), by their canonical names.

    ``record`` is a file, an id, the beginning of an id, or ``last`` for the newest run. The weights are those
    of the best epoch, or with ``best=False`` those after the last one: float32 or float64 arrays with the
    shapes of the task's description, such as ``model/conv2d_1/kernel (3, 3, 3, 32)``. Running statistics are
    among them.

    Raises:
        harness.errors.UsageError: there is no such run, it has kept no weights, or the file is missing,
            damaged or of another task.
    """
    from harness.core.runs.store import RUNS
    from harness.core.runs.weights import read_weights
    from harness.core.shell.features import records

    found, path = records().named(RUNS, Path(results), str(record))
    return read_weights(found, path.parent, best=best)


def _readable(kind: RecordKind[_D], results: str | Path) -> list[_D]:
    """Read the records of a kind, oldest first; warn the caller's caller of each unreadable file."""
    import warnings

    paths = kind.paths(Path(results))
    if not paths:
        warnings.warn(f"there are no records in {Path(results) / kind.folder}", stacklevel=3)
    records = []
    for record in kind.read_each(paths):
        if isinstance(record, kind.type):
            records.append(record)
        else:
            warnings.warn(str(record), stacklevel=3)
    return records


def compare(
    *selection: str,
    results: str | Path = "results",
    margin: float | None = None,
    target: float | None = None,
    by: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Report:
    """Return the findings of ``harness compare`` as frames and charts, which a notebook displays.

    ``selection`` and ``by`` are those of the command: ``harness.compare("task=cnn", "backend=torch,keras")``,
    ``harness.compare(by="optimizer")``. So are ``margin`` and ``target``, but for an accuracy they are
    fractions, as in all frames: ``harness.compare("task=cnn", margin=0.01, target=0.6)``. ``labels`` are
    the user's names for configurations and tasks, as ``--label``: ``labels={"torch:eager": "PyTorch"}``. A
    file that cannot be read is skipped with a warning that names it.

    Raises:
        harness.errors.UsageError: nothing is selected, nothing differs in ``by`` alone, or ``labels`` name
            nothing.
    """
    import warnings

    from harness.learning.runs.findings import read_findings
    from harness.learning.runs.report import Report

    findings = read_findings(selection, Path(results), margin, target, by, fractions=True, labels=labels)
    for message in findings.unreadable:
        warnings.warn(message, stacklevel=2)
    return Report(findings)


def study(name: str = "", results: str | Path = "results") -> StudyReport:
    """Return the newest recorded study whose name begins with ``name``; a notebook displays its charts.

    ``harness.study("overfitting-mlp")`` reads what ``harness study overfitting --task mlp`` has recorded. It
    trains nothing.

    Raises:
        harness.errors.UsageError: there is no such study, or none of its plain runs has succeeded.
    """
    from harness.learning.study.page import newest_study

    return newest_study(name, Path(results))
