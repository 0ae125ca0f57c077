"""The trackers by name, and what they need."""

from pathlib import Path

from harness.tracking.tracker import Tracker

NAMES = ("mlflow", "tensorboard")
#: The folder of event files under the results.
_EVENTS = "tensorboard"


def make_tracker(name: str, results: Path, uri: str | None = None, experiment: str | None = None) -> Tracker:
    """The tracker of this name; ``uri`` and ``experiment`` are of MLflow.

    Raises:
        UsageError: its tool is not installed, or does not support the URI.
    """
    if name == "mlflow":
        from harness.tracking.mlflow_runs import MlflowTracker

        return MlflowTracker(uri, experiment)
    from harness.tracking.tensorboard_runs import TensorboardTracker

    return TensorboardTracker(results / _EVENTS)
