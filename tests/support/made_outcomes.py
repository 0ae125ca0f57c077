"""Records with outcomes of networks and pictures, made up without a training."""

from pathlib import Path

import msgspec
import numpy as np

from harness.core.runs.record import Pictures
from harness.core.runs.store import Store
from harness.core.training.gan_quality import Judge
from harness.core.training.outcome_records import Outcomes, SampledTexts
from harness.core.training.program_scores import (
    epochs_grid,
    first_samples,
    generated,
    image_row,
    neighbours_grid,
    outcomes,
    sample_grid,
)
from harness.spec.data import Samples, Series
from harness_tasks.cnn import CNN
from harness_tasks.forecast import FORECAST
from harness_tasks.gan import GAN
from harness_tasks.lm import LM
from support.made_records import made_record
from support.records import save_runs

CLASSES = ("cat", "dog", "frog")
SERIES = Series("sunspots", "year", scale=40.0, offset=50.0, test_start=1962)


def classified(shape=(8, 8, 3), count=60, seed=0):
    """Return logits that are right more often than not, and the samples."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, len(CLASSES), count)
    inputs = random.random((count, *shape), np.float32)
    logits = random.normal(size=(count, len(CLASSES)))
    logits[np.arange(count), targets] += 1.0
    return logits, Samples(inputs, targets)


def classification_record(store: Store, seed=0, shape=(8, 8, 3), **changes):
    """Save a record of a classification whose test pictures are in the store."""
    logits, test = classified(shape, seed=seed)
    seen = outcomes(CNN.define(CNN.options()), logits, test, CLASSES, None)
    recalls = {f"recall_{label}": row[label] / max(1, sum(row)) for label, row in enumerate(seen.confusion)}
    record = made_record(seed=seed, outcomes=seen, **changes)
    record.test_at_best |= recalls
    if png := image_row(test.inputs[[one.index for one in seen.examples]]):
        record.pictures = Pictures(examples=store.save_beside(record, png, "-examples.png"))
    store.save(record)
    return record


def forecast_record(store: Store, seed=0):
    """Save a record of a forecast whose naive forecast errs more on the test data."""
    task = FORECAST.define(FORECAST.options())
    years = np.arange(40)
    truth = np.sin(years / 11 * 2 * np.pi)
    test = Samples(np.repeat(np.roll(truth, 1)[:, None, None], 22, axis=1), truth[:, None])
    seen = outcomes(task, truth[:, None] * 0.9, test, (), SERIES)
    record = made_record(seed=seed, outcomes=seen)
    record.task = msgspec.structs.replace(record.task, name="forecast", sha256="f" * 64, description=task)
    record.epochs[-1].validation["naive_loss"] = 0.25
    record.test_at_last = record.test_at_best = {"loss": 0.3, "naive_loss": 0.5}
    store.save(record)
    return record


def gan_record(store: Store, seed=0):
    """Save a record of a generator with its three pictures."""
    random = np.random.default_rng(seed)
    fakes = random.random((64, 8, 8, 1))
    record = made_record(seed=seed)
    for epoch in record.epochs:
        for scores in (epoch.train, epoch.validation):
            scores.pop("accuracy")
            scores |= {"generator_loss": 0.7, "real": 0.6, "fake": 0.3, "frechet_distance": 2.0 / epoch.epoch}
    record.task = msgspec.structs.replace(
        record.task, name="gan", sha256="a" * 64, description=GAN.define(GAN.options())
    )
    record.test_at_last = record.test_at_best = {"loss": 0.5, "frechet_distance": 1.0}
    record.samples_file = store.save_beside(record, sample_grid(fakes), ".png")
    real = random.random((2, 40, 8, 8, 1))
    judge = Judge(Samples(real[0], np.zeros(40, np.int64)))
    found = judge.neighbours(real[1], fakes)
    shares = {"generated": 0.4, "held_out": 0.6, "train": 0.9}
    record.outcomes = Outcomes(
        generated=generated(found, shares, judge.references(real[1])),
        generated_at_last=generated(found, shares, None),
    )
    course = epochs_grid([first_samples(fakes), first_samples(1 - fakes)])
    record.pictures = Pictures(
        last_samples=store.save_beside(record, sample_grid(1 - fakes), "-last.png"),
        course=store.save_beside(record, course, "-course.png"),
        course_epochs=[1, 2],
        neighbours=store.save_beside(record, neighbours_grid(fakes, *real, found), "-neighbours.png"),
    )
    store.save(record)
    return record


#: What a careless terminal or page would obey.
HOSTILE = "<b>bold</b>\x1b[31m red \x9b2J \u202e reversed"


def language_record(store: Store, backend="torch", seed=0, text=f"First Citizen:\n{HOSTILE}", scale=1.0):
    """Save a record of a language model that has written three texts; losses are those of two epochs."""
    record = made_record(backend, seed=seed, train=(2.5, 1.7), held_out=(2.4, 1.88 * scale))
    sampled = SampledTexts([text, "To be, or not\n\nto be", "Sir,"], "\n", 0.8)
    record.outcomes = Outcomes(sampled=sampled)
    record.task = msgspec.structs.replace(
        record.task, name="lm", sha256="b" * 64, description=LM.define(LM.options())
    )
    record.dataset = msgspec.structs.replace(record.dataset, name="pydoc")
    loss = (1.9 + 0.001 * seed) * scale
    scores = {"loss": loss, "accuracy": 0.45, "perplexity": 6.69, "bits_per_token": 2.74}
    record.test_at_last, record.test_at_best = scores, dict(scores)
    store.save(record)
    return record


def made_store(folder: Path) -> Store:
    """Make a store with a record of each kind."""
    store = save_runs(folder)
    for seed in range(2):
        classification_record(store, seed)
    forecast_record(store)
    gan_record(store)
    return store
