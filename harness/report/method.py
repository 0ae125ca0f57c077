"""How reports are made, and the cautions that the records themselves give."""

from collections.abc import Sequence

from harness.analysis.findings import Findings
from harness.report.mode_words import faster_modes
from harness.report.terminal import disturbance
from harness.runs.record import Record

METHOD = """\
Each run is a process of its own. All configurations start from the same weights and see the same batches in \
the same order. A certificate (float64, against a committed reference) shows that they do the same arithmetic.
The step time of a run is the median over its blocks of steps, without the first step and the \
warm-up, which ends by the rule of duels. The clock is read after the device has finished. Configurations \
are compared by their duel, or else by the geometric mean of the ratios of runs with the same seed.
Times of runs are unreliable, and no headline states their ratio, with fewer than three common seeds, where \
other programs used more than 5 % of the CPUs, where a step time changed by more than half within a run, and \
where a run ended before its steps had settled.
Intervals are 95 % confidence intervals: Student's t over seeds, for curves at each epoch separately; of \
times and ratios in logarithms, of scores on the scale of the logit or the logarithm, which keeps them \
within the possible values. The interval of the epoch at which overfitting begins holds percentiles over \
resampled seeds, whole curves at a time. Fewer than three seeds have no interval.
In a study the intervals of changes are wider, so that all of them hold together at 95 % (Bonferroni). A \
remedy is recommended where the interval of its change of the test score lies above 0. Variants have the \
same number of epochs, and so fewer steps with less data and more with oversampling.
Settings, such as optimizers, are ordered by their validation score after the last epoch. The test score of \
each is compared with that of the first, all at 5 % together (Bonferroni). Comparisons of configurations are \
not adjusted for their number.
Equal: two one-sided t tests on paired seeds reject a difference of the margin or more at 5 % (Schuirmann \
1987). Different (better or worse): not equal, and the paired t test rejects no difference at 5 %. Otherwise \
undecided.
The gap is training accuracy less validation accuracy (validation loss less training loss). GL and PQ are \
Prechelt's (1998), of the validation loss, with strips of 5 epochs.
Overfitting begins at the first epoch after which validation loss stays 5 % above its lowest value while \
training loss stays below its value there. The best epoch is that of the lowest validation loss, for the gan \
that of the lowest Fréchet distance. The test set is never used for model selection.
GFLOP/s count a training step as three forward passes.""".splitlines()
_FEW_SEEDS = 5


def caveats(findings: Findings) -> list[str]:
    """What the records say against taking the figures at face value."""
    records = [run.record for run in findings.runs]
    compared = [
        summary.configuration.runs for group in findings.groups for summary in group.comparison.summaries
    ]
    first = [runs[0].record for runs in compared]
    ran = [(record, record.task.description, record.machine) for record in first]
    cautions = [*_stand_ins(records), *_circumstances(records), *faster_modes(ran)]
    few = sum(len(runs) < _FEW_SEEDS for runs in compared)
    if few:
        subject = "1 configuration has" if few == 1 else f"{few} configurations have"
        cautions.append(
            f"{subject} fewer than five seeds. Their intervals are wide; that of the epoch at which "
            "overfitting begins is too narrow."
        )
    return list(dict.fromkeys(cautions))


def _stand_ins(records: Sequence[Record]) -> list[str]:
    return [
        f"{record.dataset.name} stands in for {record.dataset.stands_in_for}: {record.dataset.reason}"
        for record in records
        if record.dataset.stands_in_for
    ]


def _circumstances(records: Sequence[Record]) -> list[str]:
    cautions = []
    if any(record.machine.git and record.machine.git.dirty for record in records):
        cautions.append("Some runs were made from a checkout with uncommitted changes.")
    if busy := disturbance(records):
        cautions.append(busy)
    versions = {record.machine.harness for record in records}
    if len(versions) > 1:
        cautions.append(f"Runs were made by several versions of the harness: {', '.join(sorted(versions))}.")
    return cautions


def data_sources(findings: Findings) -> list[str]:
    """Each data set with the origin of its bytes, once: ``digits: scikit-learn's digits``."""
    datasets = [run.record.dataset for run in findings.runs]
    return list(dict.fromkeys(f"{data.name}: {data.origin}" for data in datasets if data.origin))


def machines(findings: Findings) -> list[str]:
    """Each machine with its software, once."""
    return list(dict.fromkeys(_machine(run.record) for run in findings.runs))


def _machine(record: Record) -> str:
    machine = record.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    system = f"{machine.os}, {machine.libc}, Python {machine.python}, harness {machine.harness}"
    model = f"{machine.cpu}, {machine.physical_cores} cores, {memory}, {system}"
    return ", ".join(filter(None, [machine.host_text, model]))
