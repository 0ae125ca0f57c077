"""The suite of a gate: the benchmarks to compare, and how much worse head may be in each."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from harness.core.machine.quantities import growth_limits
from harness.spec.backend import Precision

#: Fewer trainings say nothing about their spread.
FEWEST_SEEDS = 3
#: The limits that are given in points of accuracy, not in per cent.
_IN_POINTS = frozenset({"max_accuracy_loss"})
_Count = Annotated[int, Meta(ge=1)]

Unit = Literal["percent", "points"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse head may be, as shares: 0.05 is 5 %. None: not judged.

    ``max_accuracy_loss`` (0.01 is one point of accuracy; of other scores 1 % of base's) applies where the
    first steps of head differ from base's; without it a difference fails.
    """

    max_slowdown: float | None = 0.05
    max_first_step_slowdown: float | None = 0.5
    growth: dict[str, float | None] = msgspec.field(default_factory=growth_limits)
    """Of measured quantities, by the keys of their limits: ``max_memory_growth``."""
    max_accuracy_loss: float | None = None
    max_speedup: float | None = 0.5
    """A larger saving of time is not believed: the verdict is INVALID."""
    min_speedup: float | None = None
    """A claimed saving of the step time, in place of ``max_slowdown``: PASS where it is proven."""

    @classmethod
    def from_keys(cls, given: Mapping[str, float | None]) -> Self:
        """Return the limits with these in place of the usual ones, by their keys in suites."""
        usual = growth_limits()
        growth = {key: given.get(key, limit) for key, limit in usual.items()}
        return cls(**{key: limit for key, limit in given.items() if key not in usual}, growth=growth)

    def of(self, key: str) -> float | None:
        """Return a limit by its key in suites."""
        limit: float | None = self.growth.get(key) if key in growth_limits() else getattr(self, key)
        return limit


def limit_units() -> dict[str, Unit]:
    """Return the unit in which each limit is written, by its key in suites."""
    fields = [field for field in Limits.__struct_fields__ if field != "growth"]
    return {key: "points" if key in _IN_POINTS else "percent" for key in (*fields, *growth_limits())}


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark. Defaults are those of ``harness run``. ``options`` are a task's, as for ``--set``."""

    name: str
    backend: str = ""
    task: str = ""
    operation: Literal["train", "predict"] = "train"
    """The timed work of a task: training steps, or predictions of ``batch_size`` samples, or else 1."""
    step: str = ""
    """In place of backend and task a step of the user's own, ``FILE.py:CALLABLE`` or a module's."""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict, name="with")
    """Arguments of the step's factory."""
    call: bool = False
    """The callable is the step itself, called with these arguments, and no factory."""
    samples: _Count | None = None
    """Samples of one call of the step."""
    compare_calls: Annotated[int, Meta(ge=3, le=10_000)] = 20
    """The first calls of the step, whose values are compared."""
    values: Literal["equal", "differ"] = "equal"
    tolerance: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Relative, of the step's values. Default: ten times base's own spread, at least rounding."""
    timeout: str | None = None
    """Such as ``30s``: the longest that making the step, or a block of its calls, may take."""
    dataset: str | None = None
    set_data: dict[str, bool | int | float | str] = {}
    """Settings of a data set that is a file, as for ``--set-data``."""
    batch_size: _Count | None = None
    epochs: _Count | None = None
    """Epochs of the trainings that compare quality over seeds."""
    seeds: Annotated[int, Meta(ge=FEWEST_SEEDS)] = 5
    """The largest number of such trainings."""
    seed: Annotated[int, Meta(ge=0, lt=2**31)] | Literal["own"] = 0
    """``own``: a step sets its own seeds."""
    device: str = "auto"
    precision: Precision = "float32"
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    options: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict, name="set")
    limits: Limits = Limits()


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmarks of a file, and the chance that unchanged code fails, over all of them together."""

    file: str
    benchmarks: tuple[Benchmark, ...]
    false_alarms: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    source: str = ""
    """The requirement that pip installs from each checkout for environments made here. Default: ``.[torch]``;
    in a suite of steps alone nothing, and both sides run this interpreter, each with its own checkout."""

    @property
    def has_tasks(self) -> bool:
        """True if any benchmark trains a task, which takes a harness in both environments."""
        return any(not benchmark.step for benchmark in self.benchmarks)


#: The settings of a benchmark that say what runs. The others say how it is measured and judged.
WORK = frozenset(
    {"name", "backend", "task", "operation", "step", "arguments", "call", "dataset", "set_data", "batch_size"}
    | {"device", "precision", "options"}
)
