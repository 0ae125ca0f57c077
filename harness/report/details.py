"""One record in full, as text: what was requested, where it ran, its curves and its raw blocks."""

from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from harness.analysis.conditions import evaluation_text
from harness.audit.words import clock_sums, verified_work
from harness.report.escaping import with_lines
from harness.report.numbers import NOTHING, significant
from harness.report.sampled_words import sampling
from harness.runs.record import Epoch, Record
from harness.spec.task import Adversarial

#: Runs of more epochs are thinned to every tenth.
_MOST_EPOCHS = 20
_EVERY = 10
_ALL = "all of them: --format json"


def record_details(record: Record) -> str:
    """Everything in the record that the table of runs omits."""
    return "\n\n".join([*_work(record), *_scores_and_machine(record), *_course(record), *_texts(record)])


def _section(title: str, rows: Mapping[str, object]) -> str:
    lines = tabulate(list(rows.items()), tablefmt="plain", disable_numparse=True)
    return f"{title}\n" + "\n".join(f"  {line}" for line in lines.splitlines())


def _work(record: Record) -> list[str]:
    """What was requested, on which data, and the certificate."""
    task, data = record.task, record.dataset
    requested = {
        "description sha256": task.sha256,
        "optimizer": task.description.optimizer,
        "batch size": record.batch_size,
        "epochs requested": record.epochs_asked,
        "max steps": record.max_steps or "none",
        "scores": evaluation_text(record.evaluation),
        "forward FLOPs per sample": f"{record.forward_flops_per_sample:,}",
    }
    source = {
        "origin": data.origin,
        "fingerprint": data.fingerprint,
        "samples": ", ".join(f"{count:,} {split}" for split, count in data.samples.items()),
        **({"stands in because": data.reason} if data.stands_in_for else {}),
    }
    command = " ".join(["harness", *record.command])
    return [
        _section("Run", {"id": record.id, "started": record.started_at, "command": command}),
        _section("Task options", task.options),
        _section("Task", requested),
        _section("Data", source),
        _section("Certificate (float64, against the committed reference)", _certificate(record)),
        *_proofs_of_run(record),
    ]


def _certificate(record: Record) -> dict[str, object]:
    certificate = record.certificate
    if certificate is None:
        return {"not certified": "no certificate was requested"}
    return {
        **({} if certificate.certified else {"not certified": certificate.reason}),
        "worst relative deviation": _deviation(certificate.worst),
        f"first losses in {record.configuration.precision}, relative deviation": _deviation(
            certificate.worst_as_timed
        ),
        **({"cases": ", ".join(certificate.cases)} if certificate.cases else {}),
    }


def _proofs_of_run(record: Record) -> list[str]:
    """What was tested of this run itself; nothing if it ended before."""
    proofs = {}
    if record.verification is not None:
        proofs["timed work"] = verified_work(record.verification)
    if record.clock is not None:
        proofs["clock"] = clock_sums(record.clock)
    return [_section("Proofs of this run", proofs)] if proofs else []


def _deviation(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1e}"


def _scores_and_machine(record: Record) -> list[str]:
    machine = record.machine
    git = f"{machine.git.commit}{' + changes' if machine.git.dirty else ''}" if machine.git else "none"
    described = {
        "host": machine.host_text or NOTHING,
        "cpu": machine.cpu,
        "cores": f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
        f"{machine.allowed_cpus} allowed",
        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "system": f"{machine.os}, {machine.libc}, Python {machine.python}",
        "harness": machine.harness,
        "git": git,
        "threads": record.configuration.threads,
        **_load(record),
        **_lost_nodes(record),
    }
    return [
        _section("Test scores after the last epoch", record.test_at_last or {"none": ""}),
        _section("Test scores with the weights of the best epoch", record.test_at_best or {"none": ""}),
        _section("Framework", record.framework),
        _section("Machine", described),
        _section("Environment variables set for the worker", record.worker_variables),
        _section("Environment variables inherited from the user", record.inherited_variables or {"none": ""}),
    ]


def _load(record: Record) -> dict[str, str]:
    """The load of other programs during training; nothing where the system does not report it."""
    load = record.interference
    if load is None:
        return {}
    unreliable = ": the times of this run are unreliable" if load.disturbs else ""
    others = f"{load.others:.2f} of {load.cpus} CPUs{unreliable}"
    return {"used by other programs": others, "steal time": f"{load.stolen:.2f} CPUs taken by the hypervisor"}


def _lost_nodes(record: Record) -> dict[str, str]:
    """The nodes of a cluster that were lost while they executed the run before."""
    lost = [f"{each.node} after {each.epochs} epochs: {each.reason}" for each in record.lost_attempts]
    return {"nodes lost before": "; ".join(lost)} if lost else {}


def _course(record: Record) -> list[str]:
    """Curves, raw times, and the failure if there is one."""
    parts = []
    if record.epochs:
        adversarial = isinstance(record.task.description.objective, Adversarial)
        shown = _shown_epochs(record)
        curves = _adversarial_curves(shown) if adversarial else _curves(shown)
        left_out = f"; {_ALL}" if len(shown) < len(record.epochs) else ""
        parts.append(f"Curves (scored in evaluation mode at the end of the epoch{left_out})\n{curves}")
    if record.blocks:
        parts.append(f"Blocks ({_ALL})\n  {_blocks(record)}")
    if failure := record.failure:
        facts = {"reason": failure.message, "exit code": failure.exit_code, "signal": failure.signal}
        parts.append(_section("Failure", {name: fact for name, fact in facts.items() if fact is not None}))
        if failure.traceback:
            parts.append("Traceback of the worker\n" + failure.traceback.rstrip())
        if failure.last_lines:
            parts.append("Last lines that the worker printed\n" + "\n".join(failure.last_lines))
    return parts


def _texts(record: Record) -> list[str]:
    """What a language model wrote."""
    sampled = record.outcomes.sampled if record.outcomes else None
    if sampled is None:
        return []
    title = f"Sampled texts, with the weights of the best epoch. {sampling(sampled)}"
    return ["\n\n".join([title, *(_indented(with_lines(text)) for text in sampled.texts)])]


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}".rstrip() for line in text.split("\n"))


def _shown_epochs(record: Record) -> list[Epoch]:
    """Every epoch, or of more than 20 every tenth, the best and the last."""
    epochs = record.epochs
    if len(epochs) <= _MOST_EPOCHS:
        return epochs
    kept = {record.best_epoch, epochs[-1].epoch}
    return [epoch for epoch in epochs if epoch.epoch % _EVERY == 0 or epoch.epoch in kept]


def _blocks(record: Record) -> str:
    """``12 blocks of 1 to 150 steps, 0.004 to 2.01 s, 24.1 s in total``."""
    steps = sorted({block.steps for block in record.blocks})
    seconds = [block.seconds for block in record.blocks]
    count = f"{len(seconds)} block{'s' * (len(seconds) != 1)}"
    lengths = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    times = f"{significant(min(seconds))} to {significant(max(seconds))} s"
    return f"{count} of {lengths} steps, {times}, {significant(sum(seconds))} s in total"


def _curves(epochs: Iterable[Epoch]) -> str:
    rows = [
        [
            str(epoch.epoch),
            str(epoch.steps),
            f"{epoch.training_seconds:.2f}",
            f"{epoch.training_loss:.4f}",
            *(
                " / ".join(_number(scores.get(key)) for scores in (epoch.train, epoch.validation))
                for key in ("loss", "accuracy")
            ),
        ]
        for epoch in epochs
    ]
    return _table(["epoch", "steps", "s", "minimised", "loss train / val", "acc. train / val"], rows)


def _adversarial_curves(epochs: Iterable[Epoch]) -> str:
    headers = ["epoch", "steps", "s", "D loss", "G loss", "D(real train)", "D(real val)", "D(fake)"]
    headers += ["Fréchet train", "Fréchet val"]
    rows = [
        [
            str(epoch.epoch),
            str(epoch.steps),
            f"{epoch.training_seconds:.2f}",
            _number(epoch.discriminator_loss),
            _number(epoch.training_loss),
            _number(epoch.train.get("real")),
            _number(epoch.validation.get("real")),
            _number(epoch.validation.get("fake")),
            _number(epoch.train.get("frechet_distance")),
            _number(epoch.validation.get("frechet_distance")),
        ]
        for epoch in epochs
    ]
    return _table(headers, rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, headers, disable_numparse=True)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"
