"""Records of pairs of processes, which duels, gates, timings and bisections share.

Times are in seconds, memory in bytes.
"""

from typing import Annotated, Any

import msgspec

from harness.core.audit.findings import Verification
from harness.core.certify.certificate import Certificate, Losses
from harness.core.machine.quantities import Measured
from harness.core.plugins.configuration import Configuration
from harness.timing.engine.steps.findings import WorkComparison

#: The most pairs of two configurations.
MOST_PAIRS = 40


class ConfigurationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as it ran."""

    label: str
    """Its name in output: backend and mode, with a letter in front if two are named alike."""
    configuration: Configuration
    framework: dict[str, str]
    """The backend's report about itself: engine, versions, build."""
    device: str
    """The device that was used."""
    batch_size: int
    options: dict[str, bool | int | float | str]
    """Options of the task."""
    variables: dict[str, str]
    """Environment variables that its processes were started with."""
    certificate: Certificate | None
    training_flops_per_sample: int


class Difference(msgspec.Struct, frozen=True):
    """A requested difference: its name, and its value for each configuration (None: not set)."""

    name: str
    values: list[str | None]


class BlockRecord(msgspec.Struct, frozen=True):
    """Steady steps of one configuration that were timed together."""

    configuration: int
    """Its index; 0 is the reference."""
    turn: int
    steps: Annotated[int, msgspec.Meta(ge=1)]
    seconds: Annotated[float, msgspec.Meta(ge=1e-12)]  # far below the resolution of any clock
    control_seconds: float
    """Time of the control, a fixed NumPy product, just before the block."""
    others_seconds: float
    """CPU time that other programs and, on a virtual machine, other guests used during the block."""
    disturbed: bool
    """The block and its turn are left out, because a burst of other work fell into it."""


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fresh process of a configuration."""

    import_seconds: float
    build_seconds: float
    first_step_seconds: float
    warm_up_seconds: list[float]
    """Seconds of each block made before step times settled."""
    settled: bool
    """Step times settled before warm-up was cut off."""
    measured: Measured
    """Measurements of the process at its end: its peak memory at least."""
    first_call_steps: int = 0
    """Steps of the first call of each length after the first step, and of the first short last batch, in each
    of which a compiler may run again. No block contains them."""
    first_call_seconds: float = 0.0
    first_losses: Losses = []
    """Losses of the first steps, which are equal in all configurations with the same batches."""
    verification: Verification | None = None
    """The recomputation of the work of its blocks; None if this process was not chosen for it."""

    def __post_init__(self) -> None:
        """Raise ValueError if the peak memory of the process is missing."""
        if "peak_memory_bytes" not in self.measured:
            raise ValueError("a process lacks its peak memory")


class PairRecord(msgspec.Struct, frozen=True):
    """A fresh process of each configuration, and their blocks in the order in which they ran."""

    processes: list[ProcessRecord]
    """One for each configuration, in their order."""
    blocks: list[BlockRecord]
    seconds: float
    """Wall time, including the start of the processes."""
    side_by_side: bool = False
    """The processes imported and built at the same time, each on its own CPUs."""

    def __post_init__(self) -> None:
        """Raise ValueError if a turn lacks the block of a configuration."""
        turns: dict[int, set[int]] = {}
        for block in self.blocks:
            turns.setdefault(block.turn, set()).add(block.configuration)
        if any(covered != turns[self.blocks[0].turn] for covered in turns.values()):
            raise ValueError("its turns are not of the same configurations")


class StepRecord(msgspec.Struct, kw_only=True):
    """A step of the user's own: one factory, or one for each configuration, with their arguments."""

    targets: list[str]
    arguments: list[dict[str, Any]]
    seed: int | None
    """Seed of the generators of Python, NumPy and the frameworks. None: the user's code sets its own."""
    samples: int | None = None
    """Samples of a call, if the user gave their number."""
    work: list[WorkComparison] = []
    """The comparison of the work of each configuration but the reference; empty before it was made."""


def refuse_incomplete(pairs: list[PairRecord], configurations: int) -> None:
    """Raise ValueError if a pair lacks a process or the blocks of a configuration."""
    for number, pair in enumerate(pairs, 1):
        covered = {block.configuration for block in pair.blocks}
        if len(pair.processes) != configurations or covered != set(range(configurations)):
            raise ValueError(f"pair {number} does not cover {configurations} configurations")
