"""Records of runs that were not made, whose curves, scores and step times are given."""

import datetime
import hashlib
import itertools
import math

import msgspec

from harness.core.certify.certificate import Certificate
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.options import options_with
from harness.core.runs.record import Block, Epoch, Phases, Record, TaskRecord
from harness.layers import Native, NativeArray, NativeModel
from harness.network import Network
from harness.tracing.calls import Stored
from harness_tasks.mlp import MLP
from support.records import make_record

CERTIFIED = Certificate(certified=True)
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
#: Blocks so long that eight of them show that the warm-up has ended.
_BLOCK_SECONDS = 0.1
_counter = itertools.count()


def made_record(
    backend="torch", seed=0, *, step=0.01, accuracy=0.5, train=(2.0, 1.0), held_out=(2.0, 1.5), **changes
):
    """Make a record with an epoch for each pair of losses; accuracies are 1 - loss / 4."""
    epochs = [
        Epoch(
            number,
            10 * number,
            float(number),
            loss,
            {"loss": loss, "accuracy": 1 - loss / 4},
            {"loss": validation, "accuracy": 1 - validation / 4},
        )
        for number, (loss, validation) in enumerate(zip(train, held_out, strict=True), 1)
    ]
    steps = max(10, math.ceil(_BLOCK_SECONDS / step))
    best = min(range(len(held_out)), key=lambda place: held_out[place]) + 1
    number = next(_counter)
    return make_record(
        f"20260101-{number:06d}-000-cnn-{backend}-eager-s{seed}-{number:04x}",
        **{
            "started_at": (START + datetime.timedelta(seconds=number)).isoformat(),
            "backend": backend,
            "seed": seed,
            "certificate": CERTIFIED,
            "framework": {"engine": backend, backend: "1.0"},
            "epochs": epochs,
            "epochs_asked": len(epochs),
            "blocks": [Block(1, 1, 64, 0.5), *[Block(1, steps, 64, steps * step)] * 8],
            "best_epoch": best,
            "test_at_last": {"loss": 1.0, "accuracy": accuracy},
            "test_at_best": {"loss": 0.9, "accuracy": accuracy + 0.02},
            "phases": Phases(
                import_seconds=1.0,
                data_seconds=0.5,
                build_seconds=0.2,
                first_step_seconds=0.5,
                training_seconds=100 * step,
                evaluation_seconds=0.3,
            ),
            **changes,
        },
    )


def seeds_of(backend="torch", seeds=range(3), *, made=made_record, **changes):
    """Make a record of each seed; a change that differs from seed to seed is a function of the seed."""
    return [
        made(
            backend=backend,
            seed=seed,
            **{name: each(seed) if callable(each) else each for name, each in changes.items()},
        )
        for seed in seeds
    ]


def backends(configurations, seeds=range(3), **common):
    """Make a record of each backend and seed; ``configurations`` has the changes of each by its name."""
    each = configurations.items()
    return [record for name, own in each for record in seeds_of(name, seeds, **(common | own))]


def two_configurations(**changes):
    """Make records of JAX twice as fast as torch, accuracies within 0.1 points; ``changes`` are for torch."""
    jax = {"step": lambda seed: 0.005 + seed * 1e-5, "accuracy": lambda seed: 0.6 + seed / 1e3}
    torch = {"accuracy": lambda seed: 0.6005 + seed / 1e3, **changes}
    return backends({"jax": jax, "torch": torch}, range(4))


def made_setting(seed=0, *, batch_size=64, backend="torch", **changes):
    """Make a record whose task has options such as ``optimizer="adam"``; equal options have one description.

    Arguments that :func:`made_record` takes, or fields of a record, are passed on.
    """
    own = {"step", "accuracy", "train", "held_out", "device_asked"}
    own |= {*Record.__struct_fields__, *Configuration.__struct_fields__}
    options = {name: value for name, value in changes.items() if name not in own}
    record = made_record(backend, seed, **{name: value for name, value in changes.items() if name in own})
    description = msgspec.structs.replace(record.task.description, batch_size=batch_size)
    digest = hashlib.sha256(repr((sorted(options.items()), batch_size)).encode()).hexdigest()
    task = msgspec.structs.replace(record.task, options=options, sha256=digest, description=description)
    return msgspec.structs.replace(record, task=task, batch_size=batch_size or 1000)


def made_mlp(*, sha256="0" * 64, epochs=None, dataset=(), **options):
    """Make a record of mlp with ``options``, and with changes of its epochs and of its data set."""
    given = options_with(MLP, options)
    task = MLP.define(given)
    task = msgspec.structs.replace(task, epochs=epochs or task.epochs)
    recorded = TaskRecord("mlp", task.version, msgspec.structs.asdict(given), sha256, task)
    record = made_record(task=recorded, epochs_asked=task.epochs, batch_size=task.batch_size or 0)
    return msgspec.structs.replace(record, dataset=msgspec.structs.replace(record.dataset, **dict(dataset)))


#: That of a model which is written for one framework: there is nothing to compare it with.
ALONE = Certificate(certified=False, reason="the model is written for one framework alone", possible=False)


def made_own(seed=0, *, model="net", backend="torch", arguments=(), options=(), **changes):
    """Make a record of a user's own model: its ``arguments`` besides defaults, further ``options``."""
    given, options = dict(arguments), dict(options) | dict(arguments)
    kernel = NativeArray("kernel", (3072, 10), 0.1, {backend: Stored("kernel")})
    code = (NativeModel(backend, f"/models/{model}.py:make", given),)
    names = tuple(name for name in options if name not in {"learning_rate", "optimizer"})
    layer = Native(code, (kernel,), (10,), options=names)
    record = made_setting(seed, backend=backend, certificate=ALONE, **changes)
    network = Network((32, 32, 3), (layer,))
    description = msgspec.structs.replace(record.task.description, name=model, networks={"model": network})
    digest = hashlib.sha256(repr((model, sorted(options.items()))).encode()).hexdigest()
    task = TaskRecord(model, 1, options, digest, description)
    return msgspec.structs.replace(record, task=task)
