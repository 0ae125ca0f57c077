"""A study of a network that overfits, with made-up curves of every remedy."""

import msgspec
import numpy as np

from harness.core.runs.record import TaskRecord
from harness.learning.study.record import Study, Variant
from harness_tasks.studies import STUDIES as KINDS
from support.made_records import backends, made_record
from support.made_runs import findings_of, study_findings_of
from support.records import TASK, make_unfinished_record

EPOCHS = 12
#: How fast the validation loss rises with each remedy, its test loss, and its test accuracy.
RISES = {
    "plain": (0.1, 1.9, 0.60),
    "dropout": (0.0, 1.1, 0.70),
    "l2": (0.05, 1.5, 0.60),
    "half the data": (0.3, 3.0, 0.45),
}
TUNED = {"dropout": ["dropout=0.5"], "l2": ["l2=0.001"]}
VARIANTS = [
    Variant(variant.name, [*variant.assignments, *TUNED.get(variant.name, [])], f"{number}" * 64, EPOCHS)
    for number, variant in enumerate(KINDS["overfitting"].variants)
    if variant.name in RISES
]
STUDY = Study(
    kind=KINDS["overfitting"],
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
        rise, loss, accuracy = rises[variant.name]
        for seed in range(seeds):
            number = np.arange(EPOCHS)
            train = 2.0 * np.exp(-number / 3) + 0.01 * seed
            held_out = 1.0 + np.maximum(0, 3 - number) / 3 + rise * np.maximum(0, number - 3) + 0.01 * seed
            record = made_record(
                seed=seed, accuracy=accuracy + seed / 100, train=train.tolist(), held_out=held_out.tolist()
            )
            test = {**record.test_at_last, "loss": loss + 0.01 * seed}
            yield msgspec.structs.replace(
                record,
                task=msgspec.structs.replace(record.task, sha256=variant.description),
                test_at_last=test,
                test_at_best={**record.test_at_best, "loss": 1.0 + 0.02 * seed},
            )


def made_study(seeds=3, rises=RISES):
    """The finding of that study."""
    (finding,) = study_findings_of(*made_study_records(seeds, rises), studies=[STUDY])
    return finding


RNN = TaskRecord("rnn", 1, {}, "1" * 64, TASK)


def report_findings():
    """Three configurations of a task and a study of it, two of another task, one alone, and a failed run."""

    def of_cnn(step, accuracy):
        return {"step": step, "accuracy": lambda seed: accuracy + seed / 100}

    records = backends(
        {"jax": of_cnn(0.005, 0.5), "torch": of_cnn(0.01, 0.6), "keras": of_cnn(0.1, 0.7)},
        train=lambda seed: (2.0, 1.5, 1.0, 0.5 + seed / 100),
        held_out=lambda seed: (2.0, 1.6, 1.7, 2.0 - seed / 100),
    )
    of_rnn = {
        name: {"step": lambda seed, own=step: own * (1 + seed / 1000)}
        for name, step in (("jax", 0.02), ("torch", 0.0214))
    }
    records += backends(of_rnn, task=RNN)
    alone = made_record(threads=1, task=RNN)
    variants = [Variant("plain", [], records[0].task.sha256, 4)]
    study = msgspec.structs.replace(STUDY, epochs=4, variants=variants)
    return findings_of(*records, alone, make_unfinished_record(), studies=[study])
