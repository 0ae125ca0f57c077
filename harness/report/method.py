"""How it was measured and what to beware of: the sentences that end every report."""

from harness.analysis.findings import Findings
from harness.report.terminal import disturbance
from harness.runs.record import Record

METHOD = """\
Every run is a process of its own. All sides start from the same weights and see the same batches in the \
same order; a certificate (float64, against a committed reference) says that they do the same arithmetic.
A step is the median over a run's blocks of about two seconds, less the first step; the device has \
finished when the clock is read. Sides are compared by the geometric mean of the ratios of runs with the \
same seed.
Intervals are at 95 %: Student's t over seeds, of curves at each epoch by itself; of the epoch at which \
overfitting begins, percentiles over resampled seeds, whole curves at a time. From a single seed no interval \
is made.
Of a study the intervals of what remedies change are wider, so that all of them hold together at 95 % \
(Bonferroni). A remedy is recommended where that of its change of the test score lies above 0. Nothing \
else is adjusted for the number of comparisons. Variants have the same epochs, and so fewer steps with less \
data, more with oversampling.
Equal: two one-sided t tests on paired seeds reject a difference of the margin or more at 5 % (Schuirmann \
1987). Different: not equal, and the paired t test rejects no difference at 5 %. Otherwise it cannot be told.
The gap is training less validation accuracy (of losses the other way round). GL and PQ are Prechelt's \
(1998), of the validation loss, with strips of 5 epochs.
Overfitting begins at the first epoch from which on validation loss stays 5 % above its lowest value while \
training loss stays below what it was there. The best epoch is that of lowest validation loss, of the gan \
that of lowest Fréchet distance; test data chose nothing.
GFLOP/s count a training step as three forward passes.""".splitlines()
_FEW_SEEDS = 5
_OF_FEW_SEEDS = "Their intervals are wide, and that of where overfitting begins is too narrow."


def caveats(findings: Findings) -> list[str]:
    """What the records themselves say against taking the figures at face value."""
    records = [run.record for run in findings.runs]
    told = [
        f"{record.dataset.name} stands in for {record.dataset.stands_in_for}: {record.dataset.reason}"
        for record in records
        if record.dataset.stands_in_for
    ]
    told += [f"{r.dataset.name}: {r.dataset.origin}" for r in records if "lossy" in (r.dataset.origin or "")]
    if any(record.machine.git and record.machine.git.dirty for record in records):
        told.append("Some runs were made from a checkout with uncommitted changes.")
    if busy := disturbance(records):
        told.append(busy)
    versions = {record.machine.harness for record in records}
    if len(versions) > 1:
        told.append(f"Runs are of several versions of the harness: {', '.join(sorted(versions))}.")
    few = sum(len(side.side.runs) < _FEW_SEEDS for one in findings.sections for side in one.comparison.sides)
    if few:
        told.append(f"Sides with fewer than five seeds: {few}. {_OF_FEW_SEEDS}")
    return list(dict.fromkeys(told))


def machines(findings: Findings) -> list[str]:
    """Each machine with its software, once."""
    return list(dict.fromkeys(_machine(run.record) for run in findings.runs))


def _machine(record: Record) -> str:
    machine = record.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    system = f"{machine.os}, {machine.libc}, Python {machine.python}, harness {machine.harness}"
    return f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {system}"
