"""Records with which ``harness run`` ends."""

from pathlib import Path

import msgspec

from harness.core.certify.certificate import Certificate
from harness.core.machine.usage import Interference
from harness.core.runs.record import DatasetRecord, Failure
from harness_tasks.forecast import FORECAST
from support.made_records import made_record, made_setting, seeds_of
from support.records import reconfigured

FOLDER = Path("results") / "runs"


def failed(backend="torch", message="the worker process exited with code 7", **changes):
    nothing = {"test_at_last": None, "blocks": [], "epochs": [], "status": "failed"}
    failure = Failure(message, last_lines=list("abcdefg"))
    return made_record(backend, failure=failure, **(nothing | changes))


GRID = [
    record
    for name in ("adam", "sgd")
    for rate in (0.1, 0.2)
    for record in seeds_of(made=made_setting, optimizer=name, learning_rate=rate, accuracy=0.5 + rate)
]
FORECASTS = msgspec.structs.replace(
    made_record().task, name="forecast", description=FORECAST.define(FORECAST.options())
)
#: Records of runs that are not compared, by what there is to say about them.
ALONE = {
    "one": [made_record(step=0.012, accuracy=0.942)],
    "seeds": seeds_of(
        seeds=range(4), accuracy=lambda seed: 0.97 + seed / 100, step=lambda seed: 0.01 + seed / 1e3
    ),
    "seeds, two": seeds_of(seeds=range(2), interference=Interference(cpus=2, others=1.5, seconds=60.0)),
    "seeds, one failed": [*seeds_of(seeds=range(3)), failed(seed=3)],
    "seeds, two tasks": [
        *seeds_of(),
        *seeds_of(task=FORECASTS, test_at_last=lambda seed: {"loss": 0.5 + seed / 50}),
    ],
    "one of two failed": [made_record(), failed(seed=1)],
    "none succeeded": [failed(name, "no memory") for name in ("torch", "keras")],
    "what limits the result": [
        made_record(
            certificate=Certificate(certified=False, reason="case 'sgd': the loss differs"),
            interference=Interference(cpus=2, others=1.5, seconds=60.0),
            dataset=DatasetRecord("digits", "f" * 64, stands_in_for="cifar10", reason="no network"),
        )
    ],
}
#: Records of several configurations or settings of a task.
COMPARED = {
    "two backends": [
        made_record(backend, seed, step=step)
        for seed in (0, 1)
        for backend, step in (("keras", 0.03), ("torch", 0.01))
    ],
    "a grid": GRID,
    "a grid on two backends": [*GRID, *(reconfigured(record, backend="jax") for record in GRID)],
}
