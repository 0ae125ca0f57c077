"""The family that compares quality: reports of runs, overfitting and studies."""

from harness.core.shell.features import Command, Feature

FEATURE = Feature(
    name="learning",
    title="Compare quality",
    commands=(
        Command(
            "compare",
            "Compare recorded runs: speed, quality, overfitting.",
            "harness.learning.runs.command:command",
        ),
        Command(
            "study",
            "Answer a question about training by a series of runs.",
            "harness.learning.study.command:command",
            records=True,
        ),
    ),
    records=("harness.learning.study.record:STUDIES",),
    after_training=(
        "harness.learning.privacy.after_training:CLAIM",
        "harness.learning.privacy.after_training:LOSSES",
    ),
)
