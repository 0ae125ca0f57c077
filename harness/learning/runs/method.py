"""How a report of runs was made, as text, and cautions that the records themselves give."""

from collections.abc import Sequence

from harness.core.documents.numbers import counted, machine_text
from harness.core.runs.record import Record
from harness.core.runs.summary import disturbance
from harness.learning.runs.findings import Findings

METHOD = """\
Each run is a process of its own. All configurations start from the same weights and see the same batches in \
the same order. A certificate (float64, against a committed reference) shows that they do the same arithmetic.
The step time of a run is the median over its blocks of steps, without the first step and the \
warm-up, which ends by the rule of duels. The clock is read after the device has finished. Configurations \
are compared by their duel, or else by the geometric mean of the ratios of runs with the same seed.
Times of runs are unreliable, and no headline states their ratio, with fewer than three common seeds, where \
other programs used more than 5 % of the CPUs, and where a run ended before its steps had settled.
Intervals are 95 % confidence intervals: Student's t over seeds, for curves at each epoch separately; of \
times and ratios in logarithms, of scores on the scale of the logit or the logarithm, which keeps them \
within the possible values. The interval of the epoch at which overfitting begins holds percentiles over \
resampled seeds, whole curves at a time. Fewer than three seeds have no interval.
Differences of test scores have a second interval, for the population: seeds and test samples are crossed \
random effects, and the error of the mean follows from the mean squares of a two-way analysis of variance \
(Searle, Casella and McCulloch 1992), its degrees of freedom from Satterthwaite (1946). Windows of one text \
or series count in blocks, because neighbours are alike. Verdicts rest on the wider interval.
In a study the intervals of changes are wider, so that all of them hold together at 95 % (Bonferroni). A \
remedy is recommended where the interval of its change of the test score lies above 0. Variants have the \
same number of epochs, and so fewer steps with less data and more with oversampling.
Settings, such as optimizers, are ordered by their validation score after the last epoch. The test score of \
each is compared with that of the first, all at 5 % together (Bonferroni). Comparisons of configurations are \
not adjusted for their number.
Equal: two one-sided t tests on paired seeds reject a difference of the margin or more at 5 % (Schuirmann \
1987), with the errors of both intervals. Different (better or worse): not equal, and the paired t test \
rejects no difference at 5 %, with both. Otherwise undecided.
The gap is training accuracy less validation accuracy (validation loss less training loss). The \
rise of the validation loss above its lowest value is GL of Prechelt (1998).
Overfitting begins at the first epoch after which validation loss stays 5 % above its lowest value while \
training loss stays below its value there. The best epoch is that of the lowest validation loss, for the gan \
that of the lowest Fréchet distance. The test set is never used for model selection.""".splitlines()
_FEW_SEEDS = 5


def caveats(findings: Findings) -> list[str]:
    """State what the records say against taking the figures at face value."""
    records = [run.record for run in findings.runs]
    compared = [
        summary.configuration.runs for group in findings.groups for summary in group.comparison.summaries
    ]
    cautions = _circumstances(records)
    few = sum(len(runs) < _FEW_SEEDS for runs in compared)
    if few:
        subject = f"{counted(few, 'configuration')} {'has' if few == 1 else 'have'}"
        cautions.append(
            f"{subject} fewer than five seeds. Their intervals are wide; that of the epoch at which "
            "overfitting begins is too narrow."
        )
    return list(dict.fromkeys(cautions))


def _circumstances(records: Sequence[Record]) -> list[str]:
    datasets = [record.dataset for record in records]
    cautions = [
        f"{data.name} stands in for {data.stands_in_for}: {data.reason}"
        for data in datasets
        if data.stands_in_for
    ]
    if any(record.machine.git and record.machine.git.dirty for record in records):
        cautions.append("Some runs were made from a checkout with uncommitted changes.")
    if busy := disturbance(records):
        cautions.append(busy)
    versions = {record.machine.harness for record in records}
    if len(versions) > 1:
        cautions.append(f"Runs were made by several versions of the harness: {', '.join(sorted(versions))}.")
    return cautions


def machine_sentence(record: Record) -> str:
    """Describe the machine of a record with its software, in one line."""
    machine = record.machine
    return f"{machine_text(machine)}, Python {machine.python}, harness {machine.harness}"
