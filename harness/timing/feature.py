"""The family that compares speed: duels, gates, upgrades, bisections and histories."""

from harness.core.shell.features import Command, Feature

FEATURE = Feature(
    name="timing",
    title="Compare speed",
    commands=(
        Command(
            "duel",
            "Compare the training speed of two or more configurations.",
            "harness.timing.duel.command:command",
            records=True,
        ),
        Command(
            "time", "Time a training step of your own.", "harness.timing.time.command:command", records=True
        ),
        Command(
            "gate",
            "Compare HEAD with a base commit: speed, memory and quality.",
            "harness.timing.gate.command:command",
            records=True,
        ),
        Command(
            "upgrade",
            "Compare two versions of a framework before you upgrade.",
            "harness.timing.gate.upgrade_command:command",
            records=True,
        ),
        Command(
            "bisect",
            "Find the commit or version that changed a step.",
            "harness.timing.bisect.command:command",
            records=True,
        ),
        Command(
            "history",
            "Find changes of speed and memory over the gates of a branch.",
            "harness.timing.history.command:command",
        ),
    ),
    records=(
        "harness.timing.duel.record:DUELS",
        "harness.timing.time.record:TIMES",
        "harness.timing.gate.record:GATES",
        "harness.timing.bisect.record:BISECTIONS",
    ),
    leftovers=("harness.timing.environments.leftovers:ENVIRONMENTS",),
)
