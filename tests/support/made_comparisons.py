"""Comparisons of every kind: their verdicts are asserted as findings, their sentences are in snapshots."""

import msgspec

from harness.core.certify.certificate import Certificate
from harness.core.machine.usage import Interference
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Block
from harness.core.stats.estimate import Estimate
from harness_tasks.forecast import FORECAST
from support.made_duels import stored_duel
from support.made_records import backends, made_record, made_setting, seeds_of, two_configurations
from support.made_runs import compared
from support.records import MACHINE

BUSY = Interference(cpus=2, others=1.7, seconds=60.0)
CALM = Interference(cpus=2, others=0.02, seconds=60.0)
_FOUR = range(4)


def of_steps(steps, seeds=_FOUR, **changes):
    """The comparison of backends with these step times."""
    return compared(*backends({name: {"step": step} for name, step in steps.items()}, seeds, **changes))


def of_one_seed(*curves, accuracies=(0.236, 0.2361, 0.2362)):
    """Three configurations with one seed and these held-out losses; accuracies are 1 - loss / 4."""
    each = zip(("jax", "keras", "torch"), curves, accuracies, strict=True)
    own = {name: {"held_out": held_out, "accuracy": accuracy} for name, held_out, accuracy in each}
    return compared(*backends(own, range(1)))


def forecasts():
    """Errors of three configurations, which are equal within margins that are relative."""
    task = msgspec.structs.replace(made_record().task, description=FORECAST.define(FORECAST.options()))

    def error(mean):
        return {"test_at_last": lambda seed: {"loss": mean + seed / 1e3}}

    own = {
        name: {"step": 0.01 * place, **error(0.49 + place / 100)}
        for place, name in enumerate(("jax", "torch", "keras"), 1)
    }
    return compared(*backends(own, task=task))


# With a duel.


def made_duel(ratio, verdict="slower", first="jax", second="torch", **changes):
    """A duel under the conditions of the runs: ``second`` took ``ratio`` times as long as ``first``."""
    record, duel = two_configurations()[0], stored_duel()
    certificate = changes.pop("certificate", Certificate(certified=True))
    own = record.configuration
    configurations = [
        msgspec.structs.replace(
            duel.configurations[0],
            label=f"{name}:eager",
            configuration=Configuration(name, "eager", "cpu", own.threads, own.precision, "python"),
            framework={"engine": name, name: "1.0"},
            device=record.device,
            batch_size=record.batch_size,
            variables=record.worker_variables | {"HARNESS_PADDING": "x"},
            certificate=certificate,
        )
        for name in (first, second)
    ]
    result = msgspec.structs.replace(
        duel.results[0],
        configuration=f"{second}:eager",
        reference=f"{first}:eager",
        verdict=verdict,
        pairs=8,
        ratio=Estimate(ratio, ratio * 0.99, ratio * 1.01, 8),
        p_value=0.0078,
        pairs_wanted=changes.pop("wanted", None),
    )
    fields = {
        "id": "duel",
        "started_at": "2026-01-02T00:00:00+00:00",
        "task": record.task,
        "dataset": record.dataset,
        "machine": MACHINE,
        "margin": 0.02,
        "configurations": configurations,
        "results": [result],
    }
    return stored_duel(**fields | changes)


def with_duels(*duels, keras=False, **changes):
    """JAX twice as fast as torch in runs, keras slower still, and what the duels say."""
    others = seeds_of("keras", _FOUR, step=0.02) if keras else []
    return compared(*two_configurations(**changes), *others, duels=duels)


JAX_TO_TORCH = made_duel(0.8, "faster")
TORCH_TO_KERAS = made_duel(0.9, "faster", "torch", "keras")

# With times that are not reliable.


def eighteen_times(seeds=range(3), **changes):
    """JAX 18 times as fast as torch; ``changes`` are of torch's record with seed 0."""
    fast, slow = seeds_of("jax", seeds, step=0.005), seeds_of("torch", seeds[1:], step=0.09)
    return compared(*fast, made_record("torch", step=0.09, **changes), *slow)


def changing(*factors):
    """Blocks of 0.9 s whose steps take these factors as long."""
    first, *others = made_record(step=0.09).blocks
    blocks = zip(others * 2, factors, strict=False)
    return [first, *(msgspec.structs.replace(each, seconds=each.seconds * factor) for each, factor in blocks)]


# Of settings.

#: Test accuracy, and validation losses after each epoch, of which accuracies are 1 - loss / 4.
CURVES = {
    "adam": (0.70, (2.0, 1.2, 1.0)),
    "rmsprop": (0.702, (2.0, 1.4, 1.1)),
    "sgd": (0.60, (3.0, 2.0, 1.6)),
    "gd": (0.30, (3.5, 3.4, 3.1)),
}
_NOISE = {0: 0.0, 1: 0.0004, 2: -0.0004}


def setting_records(*names, seeds=range(3), **changes):
    """Records of optimizers: scores move by two points from seed to seed, differences by a tenth."""
    return [
        made_setting(
            seed,
            optimizer=name,
            accuracy=CURVES[name][0] + seed / 50 + _NOISE.get(seed, 0) * len(name),
            held_out=CURVES[name][1],
            train=CURVES[name][1],
            **changes,
        )
        for name in names
        for seed in seeds
    ]


#: The differences of sgd are -1 point on average, with a standard deviation of about two.
_MOVED = {"adam": (0, 0, 0), "sgd": (-0.03, -0.01, 0.01), "gd": (-0.4, -0.4, -0.41)}
UNDECIDED_SETTINGS = [
    made_setting(seed, optimizer=name, accuracy=0.6 + by[seed], held_out=(loss,), train=(loss,))
    for (name, by), loss in zip(_MOVED.items(), (1.0, 1.1, 1.2), strict=True)
    for seed in range(3)
]
_UNSCORED = {"test_at_last": None, "test_at_best": None, "best_epoch": None, "epochs": []}


def of_optimizers(accuracies, **changes):
    """Records of these optimizers, whose accuracies rise by a point from seed to seed."""
    return [
        record
        for name, accuracy in accuracies.items()
        for record in seeds_of(
            made=made_setting, optimizer=name, accuracy=lambda seed, own=accuracy: own + seed / 100, **changes
        )
    ]


#: Records of settings, by what there is to say about them.
SETTINGS = {
    "four": setting_records(*CURVES),
    "one misses the target": setting_records("adam", "sgd", "gd"),
    "no certificate": setting_records("adam", "sgd", certificate=None),
    "one seed": setting_records("adam", "sgd", seeds=[0]),
    "undecided": UNDECIDED_SETTINGS,
    "no scores": of_optimizers({"adam": 0.5, "sgd": 0.5}, **_UNSCORED),
    "no validation": of_optimizers({"adam": 0.5, "sgd": 0.6}, epochs=[]),
    "many": [
        record
        for rate in range(1, 8)
        for record in seeds_of(made=made_setting, learning_rate=rate, held_out=(2.0, 1.0))
    ],
}
_FIRST_STEP = [Block(1, 1, 64, 0.5)]
_LOSSES = {
    name: {"first_losses": [[2.3], [2.1], *losses]}
    for name, losses in (("torch", [[2.0], [1.9]]), ("jax", [[2.05], [1.95]]))
}
_STEPS = (0.009, 0.011, 0.010, 0.012)

#: Comparisons of configurations and of settings, by what there is to say about them.
COMPARISONS = {
    "equal": lambda: compared(*two_configurations()),
    "another margin": lambda: compared(*two_configurations(), margin=2.5),
    "three": lambda: compared(
        *backends({"keras": {"step": 0.03, "accuracy": 0.9}, "jax": {"step": 0.005}, "torch": {}}, _FOUR)
    ),
    "six": lambda: of_steps({f"b{number}": 0.001 * (number + 1) for number in range(6)}),
    "alone": lambda: of_steps({"jax": 0.01}, range(3)),
    "not certified": lambda: of_steps({"jax": 0.01, "torch": 0.01}, certificate=None),
    "other work": lambda: compared(*backends(_LOSSES)),
    "one seed": lambda: of_steps({"jax": 0.005, "torch": 0.01}, range(1)),
    "one seed, other scores": lambda: compared(
        *backends({"jax": {"step": 0.005}, "torch": {"accuracy": 0.46}}, range(1))
    ),
    "no common seed": lambda: compared(made_record("jax", 0), made_record("torch", 1)),
    "no steady step": lambda: of_steps({"jax": 0.01, "torch": 0.01}, range(1), blocks=_FIRST_STEP),
    "wide intervals": lambda: compared(
        *backends({"jax": {"step": _STEPS.__getitem__}, "torch": {"step": _STEPS[::-1].__getitem__}}, _FOUR)
    ),
    "relative margins": forecasts,
    "other scores": lambda: of_one_seed(*[(2.0, 1.5)] * 3, accuracies=(0.23, 0.25, 0.23)),
    "duel": lambda: with_duels(made_duel(3.0)),
    "duel that reverses": lambda: with_duels(made_duel(0.5, "faster")),
    "duels that reverse twice": lambda: with_duels(
        JAX_TO_TORCH, TORCH_TO_KERAS, made_duel(0.9, "faster", "jax", "keras"), keras=True
    ),
    "duels in a circle": lambda: with_duels(
        JAX_TO_TORCH, TORCH_TO_KERAS, made_duel(0.7, "faster", "keras", "jax"), keras=True
    ),
    # The verdict may come from an early look, and the later interval hold 1.
    "duel: slower": lambda: with_duels(made_duel(1.005)),
    "duel: same": lambda: with_duels(made_duel(1.001, "same", margin=0.005)),
    "duel: undecided": lambda: with_duels(made_duel(1.005, "undecided")),
    "duel of a busy machine": lambda: with_duels(made_duel(3.0), interference=BUSY),
    "quiet": lambda: eighteen_times(interference=CALM),
    "few runs": lambda: eighteen_times(range(2)),
    "busy": lambda: eighteen_times(interference=BUSY),
    "not settled": lambda: eighteen_times(blocks=changing(1, 0.9)),
    "one busy run": lambda: eighteen_times(range(1), interference=BUSY),
} | {f"settings: {name}": lambda own=records: compared(*own) for name, records in SETTINGS.items()}
