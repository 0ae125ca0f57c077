"""The family that shows runs in other tools: MLflow and TensorBoard."""

from harness.core.shell.features import Command, Feature

FEATURE = Feature(
    name="tracking",
    title="Use other tools",
    commands=(
        Command("export", "Show recorded runs in MLflow or TensorBoard.", "harness.tracking.command:command"),
    ),
)
