"""The family that compares two models: are they the same, and if not, where and why."""

from harness.core.shell.features import Command, Feature

FEATURE = Feature(
    name="port",
    title="Port a model",
    commands=(
        Command(
            "port",
            "Check whether two models are equal, and locate differences.",
            "harness.port.command:command",
            records=True,
        ),
    ),
    records=("harness.port.record:PORTS",),
)
