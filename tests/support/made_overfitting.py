"""Records whose curves overfit, or do not, in every way that there is a sentence for."""

import msgspec

from harness.core.runs.record import Evaluation
from harness_tasks.gan import GAN
from support.made_records import made_record, seeds_of


def overfitting_records(backend="torch", seeds=range(4), **changes):
    """The validation loss is lowest after epoch 3 of 6; each seed adds a little to it."""
    return seeds_of(
        backend,
        seeds,
        train=lambda seed: [2, 1.5, 1.0, 0.6, 0.3, 0.1 + seed / 100],
        held_out=lambda seed: [2.0, 1.6, 1.2 + seed / 100, 1.3 + seed / 100, 1.5, 1.8 + seed / 100],
        **changes,
    )


def scored_every_five_epochs(records):
    return [
        msgspec.structs.replace(
            record,
            epochs=[msgspec.structs.replace(epoch, epoch=5 * epoch.epoch) for epoch in record.epochs],
            best_epoch=5 * record.best_epoch,
            evaluation=Evaluation(5),
        )
        for record in records
    ]


def adversarial_records(backend="torch", seeds=range(3), **changes):
    """A generator whose discriminator calls a few more training samples real than held-out ones."""

    def scores(real, seed):
        return {"loss": 0.6, "real": real + seed / 1000, "frechet_distance": 5.0}

    records = seeds_of(backend, seeds, **changes)
    for record in records:
        last = record.epochs[-1]
        train, validation = (scores(real, record.seed) for real in (0.6, 0.55))
        record.task = msgspec.structs.replace(record.task, description=GAN.define(GAN.options()))
        record.epochs = [msgspec.structs.replace(last, train=train, validation=validation)]
        record.epochs_asked = 1
    return records


def copying_records(ratio, error, seeds=range(3)):
    """A generator with this memorisation ratio; None: without its error."""
    found = {"memorization_ratio": ratio, "memorization_ratio_error": error}
    scores = {"loss": 0.6, "frechet_distance": 5.0}
    scores |= {name: value for name, value in found.items() if value is not None}
    return adversarial_records(seeds=seeds, test_at_best=scores)


def not_finite():
    record = made_record(held_out=[2.0, 1.5])
    record.epochs[1].validation["loss"] = None
    return [record]


FLAT = seeds_of(seeds=range(4), train=[2, 1, 0.5], held_out=[2, 1.5, 1.5])
#: Records of one configuration, by what they show.
OVERFITTING = {
    "overfits": overfitting_records(),
    "scored every five epochs": scored_every_five_epochs(overfitting_records()),
    "two seeds": overfitting_records(seeds=range(2)),
    "one seed": overfitting_records(seeds=[0]),
    "one seed of five": [*FLAT, made_record(seed=4, train=[2, 1, 0.5], held_out=[2, 1.5, 2.5])],
    "stopping costs": overfitting_records(test_at_best={"accuracy": 0.4, "loss": 1}),
    "does not overfit": seeds_of(),
    "one epoch": [made_record(train=[2.0], held_out=[2.0])],
    "not finite": not_finite(),
    "copies": copying_records(0.02, 0.05),
    "copies nothing": copying_records(1.0, 0.05),
    "copying of one seed": copying_records(0.02, 0.05, seeds=range(1)),
    "a wide split": copying_records(1.0, 0.5),  # which is the same for all seeds
    "near a few images": copying_records(0.02, 0.8),
    "no error of the ratio": copying_records(1.0, None),
}
