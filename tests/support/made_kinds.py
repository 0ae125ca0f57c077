"""A study of every included kind, of made-up records that have what each of its parts draws."""

import dataclasses

import msgspec
import numpy as np

from harness.core.runs.record import Extension
from harness.core.training.program_scores import outcomes
from harness.core.training.scoring import Rows, packed
from harness.learning.privacy.record import MEMBERSHIP, PRIVACY, MemberScores, PrivacyClaim
from harness.learning.study.record import Study, Trial, Variant
from harness.weights.explain.record import EXPLANATIONS, ExplainedNetwork, MapsOfMethod
from harness_tasks.cnn import CNN
from harness_tasks.studies import STUDIES as KINDS
from support.made_outcomes import CLASSES, classified, gan_record
from support.made_records import made_record
from support.made_runs import study_findings_of
from support.records import save_runs

_TASK = CNN.define(CNN.options())
_SEEDS = range(2)
_LOSSES = (2.0, 1.2, 0.8)
#: Values of every tuned option in the trials of a variant, the best first.
_TRIED = (0.1, 0.02, 0.005)
#: The included variants of privacy from this place on are trained with DP-SGD.
_FIRST_PRIVATE = 3


def made_kind(name, folder):
    """Return the finding of a study of this kind, whose pictures are in the results folder."""
    kind, store = KINDS[name], save_runs(folder)
    variants, trials, records = [], [], []
    generator = gan_record(store) if name == "memorisation" else None
    for number, each in enumerate(kind.variants):
        tried = [[f"{range_.option}={value}" for range_ in each.ranges] for value in _TRIED if each.ranges]
        trials += [Trial(each.name, own, "9" * 64, 60.0 - place) for place, own in enumerate(tried)]
        found = [*each.assignments, *(tried[0] if tried else [])]
        made = [_made(generator, number, seed) for seed in _SEEDS]
        variants.append(Variant(each.name, found, f"{number:064x}", made[0].epochs_asked))
        for record in made:
            record.task = msgspec.structs.replace(record.task, sha256=variants[-1].description)
        records += made
    first = records[0]
    study = Study(
        kind=kind,
        task=first.task.name,
        dataset=first.dataset.name,
        epochs=first.epochs_asked,
        max_steps=None,
        precision="float32",
        threads=first.configuration.threads,
        variants=variants,
        trials=trials,
        target=60.0 if kind.reference == "best" else None,
        tuned_on=first.configuration.label if trials else msgspec.UNSET,
    )
    (finding,) = study_findings_of(*records, studies=[study])
    return dataclasses.replace(finding, results=folder)


def _made(generator, number, seed):
    """Make a record like that of the generator, or else of a classification."""
    if generator is None:
        return _classification(number, seed)
    scores = {name: value + number + 0.1 * seed for name, value in generator.test_at_best.items()}
    name = f"{generator.id}-{number}-{seed}"
    return msgspec.structs.replace(generator, id=name, seed=seed, test_at_best=scores)


def _classification(number, seed):
    """Make a record whose loss rises with its number, with the results of work after the training."""
    factor = 1 + 0.1 * number + 0.01 * seed
    logits, test = classified(seed=seed + 10 * number)
    seen = outcomes(_TASK, logits, test, CLASSES, None)
    record = made_record(
        seed=seed,
        train=_LOSSES,
        held_out=[factor * loss for loss in _LOSSES],
        accuracy=0.8 - 0.02 * number + 0.001 * seed,
        outcomes=seen,
        extensions=_extensions(number, seed),
    )
    recalls = {f"recall_{label}": row[label] / sum(row) for label, row in enumerate(seen.confusion)}
    for scores in (record.test_at_best, record.test_at_last):
        scores |= {"loss": factor, "balanced_accuracy": np.mean([*recalls.values()]).item(), **recalls}
    record.test_samples_at_last = record.test_samples_at_best = _scores(1.0, seed)
    samples = {"train": 1600 >> number, "validation": 100, "test": 100}
    record.dataset = msgspec.structs.replace(record.dataset, samples=samples)
    return record


def _scores(scale, seed):
    losses = scale * np.random.default_rng(seed).exponential(size=100)
    return packed(Rows(losses, (losses < 1.0).astype(float)))


def _extensions(number, seed):
    maps = MapsOfMethod(np.arange(4, dtype="<u2").tobytes(), [1.0, 0.5], [0.0, 0.5], [("dense", 0.1)])
    results = {
        EXPLANATIONS: ExplainedNetwork(2, 2, {"integrated gradients": maps}, [1.0, 0.8], [0.0, 0.3]),
        MEMBERSHIP: MemberScores(_scores(0.8, seed + 1)),
    }
    if number >= _FIRST_PRIVATE:
        results[PRIVACY] = PrivacyClaim(8.0 / number, 9.0 / number, 1e-5, number / 4, 1.0, 0.05, 60, 1000)
    return {name: Extension(msgspec.to_builtins(each)) for name, each in results.items()}
