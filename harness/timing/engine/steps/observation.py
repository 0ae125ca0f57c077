"""Processes that make the first calls of a step, and write the values that it returns to files.

One more process of a side may have other rounding, or compute in float64, with the user's code as it is.
"""

import contextlib
import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness.errors import HarnessError
from harness.timing.engine.steps.deviations import Array, Arrays, Observed
from harness.timing.engine.steps.own import OwnStep, blaming_user
from harness.timing.engine.steps.process import (
    Called,
    FirstCalls,
    Imported,
    ListImports,
    Made,
    Place,
    ReadState,
    State,
    StepSession,
)

#: Fewer calls of a slow step are compared: those within this time. Further processes make as many.
_FIRST_CALLS_SECONDS, _FURTHER_SECONDS = 15.0, 60.0
#: Variables by which libraries compute with older instructions: sums are then added in another order, and
#: nothing else differs. They hold for PyTorch, oneDNN, MKL, OpenBLAS, XLA and the functions of NumPy.
_OTHER_INSTRUCTIONS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    # The names before NumPy 2.4, and those from then on; NumPy ignores the others.
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX X86_V3 X86_V4",
}


class Process(NamedTuple):
    """One process of a step: as it is, with other rounding, or with these frameworks computing in float64."""

    workload: OwnStep
    other_rounding: bool = False
    float64: Sequence[str] = ()

    def variables(self) -> dict[str, str]:
        """Return the variables that it gets in addition to those of the user's shell."""
        own = self.workload.worker_variables(quiet=True)
        if not self.other_rounding:
            return own
        flags = own.get("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))
        flags = f"{flags} {_OTHER_INSTRUCTIONS['XLA_FLAGS']}".strip()
        # The instructions of TensorFlow's own operations are fixed; it divides sums among its threads.
        threads = str(self.workload.configuration.threads + 1)
        return {**own, **_OTHER_INSTRUCTIONS, "XLA_FLAGS": flags, "TF_NUM_INTRAOP_THREADS": threads}


def observe(processes: Sequence[Process], calls: int, folder: Path) -> list[Observed]:
    """Make the first calls in each of ``processes``, all at the same time; their values lie in ``folder``."""
    found = _side_by_side(processes, FirstCalls(calls, _FIRST_CALLS_SECONDS, ""), folder, raising=True)
    return [each for each in found if each is not None]


def observe_if_possible(processes: Sequence[Process], calls: int, folder: Path) -> list[Observed | None]:
    """Observe as :func:`observe` does; None where a process fails, as with types that do not mix."""
    return _side_by_side(processes, FirstCalls(calls, _FURTHER_SECONDS, ""), folder, raising=False)


def _side_by_side(
    processes: Sequence[Process], asked: FirstCalls, folder: Path, *, raising: bool
) -> list[Observed | None]:
    """Observe processes that work at the same time: each has its next request while another is waited for."""
    found: dict[int, Observed | None] = {}
    with contextlib.ExitStack() as stack:
        started = [(process, _started(process, stack)) for process in processes]
        observing = [_observing(*each, asked, folder) for each in started]
        while len(found) < len(observing):
            for number, each in enumerate(observing):
                if number not in found:
                    try:
                        next(each)
                    except StopIteration as ended:
                        found[number] = ended.value
                    except HarnessError:
                        if raising:
                            raise
                        found[number] = None
    return [found[number] for number in range(len(observing))]


def _started(process: Process, stack: contextlib.ExitStack) -> StepSession:
    workload = process.workload
    session = workload.session(process.variables())
    stack.callback(session.kill_and_close)
    with blaming_user(workload.label, session):
        session.send(workload.target.request(process.float64))
    return session


def _observing(
    process: Process, session: StepSession, asked: FirstCalls, folder: Path
) -> Generator[None, None, Observed]:
    """Return the values of a process that makes its step; yield when the next request was sent."""
    with blaming_user(process.workload.label, session):
        made = session.receive(Made)
        own = Path(tempfile.mkdtemp(dir=folder))
        values, state = own / "calls", own / "state"
        session.send(msgspec.structs.replace(asked, file=str(values)))
        yield
        called = session.receive(Called).values
        session.send(ReadState(str(state)))
        yield
        ended = session.receive(State).values
        session.send(ListImports())
        yield
        imported = session.receive(Imported)
        (after,) = _read(state, [ended])
        return Observed(made, _read(values, called), after, imported)


def _read(file: Path, places: Sequence[Mapping[str, Place]]) -> list[Arrays]:
    """Return the arrays of a file, which is mapped once: only the parts that are looked at are read."""
    content = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.empty(0, np.uint8)
    return [{name: _array(content, place) for name, place in each.items()} for each in places]


def _array(content: Array, place: Place) -> Array:
    return np.ndarray(tuple(place.shape), place.dtype, content.data, place.offset)
