"""The family that runs on many machines: Ray."""

from harness.core.shell.features import Feature

FEATURE = Feature(
    name="cluster",
    title="Use many machines",
    executors={"ray": "harness.cluster.executor:RayExecutor"},
)
