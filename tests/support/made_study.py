"""A study of a network that overfits, with made-up curves of every remedy."""

import msgspec
import numpy as np

from harness.analysis.grouping import group_runs
from harness.analysis.study import REMEDIES, Study, Variant
from harness.analysis.study_effects import study_findings
from support.made_runs import made_record, made_runs

EPOCHS = 12
#: How fast the validation loss rises with each remedy, and its test accuracy.
RISES = {"dropout": (0.0, 0.70), "l2": (0.05, 0.60), "half the data": (0.3, 0.45), "plain": (0.1, 0.60)}
VARIANTS = [
    Variant(remedy.name, list(remedy.assignments), f"{number}" * 64)
    for number, remedy in enumerate(REMEDIES["overfitting"])
    if remedy.name in RISES
]
STUDY = Study(
    kind="overfitting",
    task="cnn",
    dataset="digits",
    epochs=EPOCHS,
    max_steps=None,
    precision="float32",
    threads=2,
    variants=VARIANTS,
)


def made_study_records(seeds=3, rises=RISES):
    """A record of each variant and seed; the validation loss is lowest after epoch 4."""
    for variant in VARIANTS:
        rise, accuracy = rises[variant.name]
        for seed in range(seeds):
            number = np.arange(EPOCHS)
            train = 2.0 * np.exp(-number / 3) + 0.01 * seed
            held_out = 1.0 + np.maximum(0, 3 - number) / 3 + rise * np.maximum(0, number - 3) + 0.01 * seed
            record = made_record(
                seed=seed, accuracy=accuracy + seed / 100, train=train.tolist(), held_out=held_out.tolist()
            )
            yield msgspec.structs.replace(
                record, task=msgspec.structs.replace(record.task, sha256=variant.description)
            )


def made_study(seeds=3, rises=RISES):
    """The finding of that study."""
    (finding,) = study_findings(STUDY, group_runs(made_runs(*made_study_records(seeds, rises))).groups)
    return finding
