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
    run_summary=("harness.learning.runs.run_summary:compared",),
    run_report=("harness.learning.runs.run_report",),
    report_sections=("harness.learning.study.report_section:sections",),
    study_parts=(
        "harness.learning.study.parts.comparison:PARTS",
        "harness.learning.study.parts.curves:PARTS",
        "harness.learning.study.parts.tuning:PARTS",
        "harness.learning.study.parts.scaling:PARTS",
        "harness.learning.study.parts.classes:PARTS",
        "harness.learning.study.parts.losses:PARTS",
        "harness.learning.study.parts.generators:PARTS",
        "harness.learning.study.parts.privacy:PARTS",
        "harness.learning.study.parts.costs:PARTS",
    ),
    after_training=(
        "harness.learning.privacy.after_training:CLAIM",
        "harness.learning.privacy.after_training:LOSSES",
    ),
    skeletons={"study": "harness.learning.study.skeleton:SKELETON"},
)
