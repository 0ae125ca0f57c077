"""The family that shares results: others can see and repeat them."""

from harness.core.shell.features import Command, Feature

FEATURE = Feature(
    name="sharing",
    title="Share results",
    commands=(
        Command(
            "bundle",
            "Pack records with all that they need into one file.",
            "harness.sharing.bundle.command:command",
        ),
        Command(
            "reproduce",
            "Repeat records on this machine, and judge whether they agree.",
            "harness.sharing.reproduce.command:command",
        ),
        Command(
            "publish",
            "Write a static site of all records.",
            "harness.sharing.publish.command:command",
        ),
    ),
    repetitions={
        "run": "harness.sharing.reproduce.runs:REPETITION",
        "duel": "harness.sharing.reproduce.speed:DUELS",
        "gate": "harness.sharing.reproduce.speed:GATES",
        "study": "harness.sharing.reproduce.studies:STUDY_REPETITION",
        "port": "harness.sharing.reproduce.ports:REPETITION",
    },
)
