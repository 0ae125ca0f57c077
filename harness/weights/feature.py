"""The family that looks into trained weights: scores in any framework, and explanations."""

from harness.core.shell.features import Command, Feature

FEATURE = Feature(
    name="weights",
    title="Look into trained weights",
    commands=(
        Command(
            "score",
            "Score the weights of a recorded run in any framework.",
            "harness.weights.score.command:command",
        ),
        Command(
            "explain",
            "Show which inputs a recorded network depends on.",
            "harness.weights.explain.command:command",
        ),
    ),
    study_parts=("harness.weights.explain.study_part:PARTS",),
    operations={"explain": "harness.weights.explain.explained:operation"},
    after_training=("harness.weights.explain.record:WORK",),
)
