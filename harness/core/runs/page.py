"""Single runs: a record in full, and the row of a run in a list."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from harness.core.audit.words import verified_work
from harness.core.documents.document import Document, Facts, Node, Paragraph, Passage, table_of
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import NOTHING, busy_mark, counted, percent, significant
from harness.core.machine.quantities import shown
from harness.core.plugins import registry
from harness.core.plugins.options import value_text
from harness.core.runs.extensions import AfterTraining, facts_of
from harness.core.runs.record import Epoch, Record, generalization_gap, step_time
from harness.core.runs.words import (
    certificate_cell,
    evaluation_text,
    framework_text,
    making_text,
    test_score,
)
from harness.core.training.measures import Scores
from harness.core.training.outcome_records import Generated, SampledTexts
from harness.errors import HarnessError
from harness.spec.task import Adversarial, communicated_bytes

#: Runs of more epochs are thinned to every tenth.
_MOST_EPOCHS = 20
_EVERY = 10
_ALL = "all of them: --format json"


def record_document(record: Record, works: Sequence[AfterTraining] = ()) -> Document:
    """Show everything in the record, the results first.

    ``works`` know how to show the results of work after the training.
    """
    parts = (
        _work(record),
        _after_training(record, works),
        _scores_and_machine(record),
        _course(record),
        _generated(record),
    )
    return Document("run", record.id, [Facts(_in_full(record)), *(node for part in parts for node in part)])


def _work(record: Record) -> list[Node]:
    """Show the request, the data, the certificate and the proofs."""
    task, data = record.task, record.dataset
    requested = {
        "description sha256": task.sha256,
        "optimizer": task.description.optimizer,
        "batch size": record.batch_text,
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
    proofs = {"timed work": record.verification and verified_work(record.verification)}
    command = " ".join(["harness", *record.command])
    return [
        _facts("Run", {"id": record.id, "started": record.started_at, "command": command}),
        _facts("Task options", task.options),
        _facts("Task", requested),
        _facts("Data", source),
        _facts("Certificate (float64, against the committed reference)", _certificate(record)),
        _known_facts("Proofs of this run", proofs),
    ]


def _after_training(record: Record, works: Sequence[AfterTraining]) -> Iterator[Node]:
    """Show the facts of each work after the training, and work that has failed."""
    for work in works:
        yield _known_facts(work.title, facts_of(work, record))
    failed = {name: entry.failure for name, entry in record.extensions.items() if entry.failure}
    yield _known_facts("Failed after the training", failed)


def _certificate(record: Record) -> dict[str, object]:
    certificate = record.certificate
    if certificate is None:
        return {"not certified": "no certificate was requested"}
    return {
        **({} if certificate.certified else {"not certified": certificate.reason}),
        "worst relative deviation": _number(certificate.worst, ".1e"),
        f"first losses in {record.configuration.precision}, relative deviation": _number(
            certificate.worst_as_timed, ".1e"
        ),
        **({"cases": ", ".join(certificate.cases)} if certificate.cases else {}),
    }


def _scores_and_machine(record: Record) -> list[Node]:
    machine = record.machine
    git = f"{machine.git.commit}{' + changes' if machine.git.dirty else ''}" if machine.git else "none"
    described = {
        "host": machine.host or NOTHING,
        "cpu": machine.cpu,
        "cores": f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
        f"{machine.allowed_cpus} allowed",
        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "system": f"{machine.os}, {machine.libc}, Python {machine.python}",
        "harness": machine.harness,
        "git": git,
        "threads": record.configuration.threads,
        **_load(record),
    }
    lost = [f"{each.node} after {each.epochs} epochs: {each.reason}" for each in record.lost_attempts]
    described |= {"nodes lost before": "; ".join(lost)} if lost else {}
    return [
        _facts("Test scores after the last epoch", record.test_at_last or {"none": ""}),
        _facts("Test scores with the weights of the best epoch", record.test_at_best or {"none": ""}),
        _facts("Framework", record.framework),
        _facts("Machine", described),
        _facts("Environment variables set for the worker", record.worker_variables),
        _facts("Environment variables inherited from the user", record.inherited_variables or {"none": ""}),
    ]


def _load(record: Record) -> dict[str, str]:
    """Return the load of other programs during training; nothing if the system does not report it."""
    load = record.interference
    if load is None:
        return {}
    unreliable = ": the times of this run are unreliable" if load.disturbs else ""
    return {"used by other programs": f"{load.others:.2f} of {load.cpus} CPUs{unreliable}"}


def _course(record: Record) -> Iterator[Node]:
    """Yield the curves, the blocks, and the failure if there is one."""
    adversarial = isinstance(record.task.description.objective, Adversarial)
    rows = [_scored(epoch, adversarial=adversarial) for epoch in _shown_epochs(record)]
    if record.judged_seconds is None:
        for each in rows:
            del each["s"]
    left_out = f"; {_ALL}" if len(rows) < len(record.epochs) else ""
    title = f"Curves (scored in evaluation mode at the end of the epoch{left_out})"
    yield table_of(rows, title, announced=True)
    if record.blocks and record.judged_seconds is not None:
        yield _lines(f"Blocks ({_ALL})", f"  {_blocks(record)}")
    if failure := record.failure:
        facts = {"reason": failure.message, "exit code": failure.exit_code, "signal": failure.signal}
        yield _known_facts("Failure", facts)
        if failure.traceback:
            yield _lines("Traceback of the worker", failure.traceback.rstrip())
        if failure.last_lines:
            yield _lines("Last lines that the worker printed", "\n".join(failure.last_lines))


def _generated(record: Record) -> Iterator[Node]:
    """Yield the distances of a generator's images to real ones, and the texts of a language model."""
    seen = record.outcomes
    if seen is None:
        return
    for epoch, generated in {"best": seen.generated, "last": seen.generated_at_last}.items():
        if generated is not None:
            yield Facts(_nearness(generated), f"Generated test pictures, {epoch} epoch")
    if (sampled := seen.sampled) is not None:
        title = "Sampled texts, with the weights of the best epoch"
        yield Passage("texts", sampling(sampled), sampled.texts, title)


def _nearness(generated: Generated) -> dict[str, str]:
    """Return medians of distances to the nearest real images, and the shares that are called real."""
    median = {
        "generated to training": generated.generated_to_train,
        "generated to held-out": generated.generated_to_held_out,
        "held-out to training": generated.held_out_to_train,
    }
    distances = (
        f"{significant(values[len(values) // 2])} {name}" for name, values in median.items() if values
    )
    names = {"generated": "generated", "held_out": "held-out", "train": "training"}
    shares = (f"{percent(share)} of {names[name]}" for name, share in generated.called_real.items())
    references = {
        "noise": generated.frechet_of_noise,
        "training pictures": generated.frechet_of_training_images,
    }
    validation = (f"{_number(value, '.4g')} of {name}" for name, value in references.items())
    ratio = f"{_number(generated.distance_ratio, '.3g')} (z = {generated.copying_z:+.1f})"
    return {
        "median distance to the nearest": ", ".join(distances),
        "distance ratio": f"{ratio}; below 1: nearer to training pictures than new ones are",
        "called real": ", ".join(shares),
        "Fréchet distance to validation pictures": ", ".join(validation),
    }


def sampling(sampled: SampledTexts) -> str:
    """Describe how texts were sampled: ``Continued from a line end at temperature 0.8``."""
    start = "a line end" if sampled.start == "\n" else repr(sampled.start)
    return f"Continued from {start} at temperature {sampled.temperature:g}"


def _facts(title: str, facts: Mapping[str, object]) -> Facts:
    return Facts(facts or {"none": ""}, title)


def _known_facts(title: str, facts: Mapping[str, object]) -> Facts:
    return Facts({name: fact for name, fact in facts.items() if fact is not None}, title)


def _lines(title: str, text: str) -> Paragraph:
    return Paragraph(f"{title}\n{text}", "lines")


def _shown_epochs(record: Record) -> list[Epoch]:
    """Return every epoch; of more than 20, every tenth, the best and the last."""
    epochs = record.epochs
    if len(epochs) <= _MOST_EPOCHS:
        return epochs
    kept = {record.best_epoch, epochs[-1].epoch}
    return [epoch for epoch in epochs if epoch.epoch % _EVERY == 0 or epoch.epoch in kept]


def _blocks(record: Record) -> str:
    """Summarise the blocks: ``12 blocks of 1 to 150 steps, 0.004 to 2.01 s, 24.1 s in total``."""
    steps = sorted({block.steps for block in record.blocks})
    seconds = [block.seconds for block in record.blocks]
    count = counted(len(seconds), "block")
    lengths = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    times = f"{significant(min(seconds))} to {significant(max(seconds))} s"
    return f"{count} of {lengths} steps, {times}, {significant(sum(seconds))} s in total"


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _scored(epoch: Epoch, *, adversarial: bool) -> dict[str, str]:
    """Return an epoch as a row of the curves, by column."""
    train, validation = epoch.train, epoch.validation
    row = {"epoch": str(epoch.epoch), "steps": str(epoch.steps), "s": f"{epoch.training_seconds:.2f}"}
    if not adversarial:
        losses, accuracies = (
            " / ".join(_number(split.get(key), ".4f") for split in (train, validation))
            for key in ("loss", "accuracy")
        )
        minimised = f"{epoch.training_loss:.4f}"
        return {**row, "minimised": minimised, "loss train / val": losses, "acc. train / val": accuracies}
    numbers = {
        "D loss": epoch.discriminator_loss,
        "G loss": epoch.training_loss,
        "D(real train)": train.get("real"),
        "D(real val)": validation.get("real"),
        "D(fake)": validation.get("fake"),
        "Fréchet train": train.get("frechet_distance"),
        "Fréchet val": validation.get("frechet_distance"),
    }
    return row | {name: _number(number, ".4f") for name, number in numbers.items()}


_FINGERPRINT_DIGITS = 12
_ORIGIN_WIDTH = 24


def _both_scores(scores: Scores | None) -> str:
    if scores is None:
        return NOTHING
    return f"{_number(scores.get('accuracy'), '.4f')} / {_number(scores['loss'], '.4f')}"


def _of_clients(record: Record) -> str:
    """Return the drift of clients in the last round of federated averaging, and the MiB sent in all."""
    if record.task.description.federated is None or not record.epochs:
        return NOTHING
    last = record.epochs[-1]
    sent = last.epoch * communicated_bytes(record.task.description) / 2**20
    return f"{_number(last.train.get('client_drift'), '.3g')}, {sent:,.3g}"


def _further(record: Record) -> str:
    """List test scores of the best epoch other than loss, accuracy and the recall of each class."""
    scores = record.test_at_best or {}
    shown = [
        f"{name.replace('_', ' ')} {_number(value, '.4g')}"
        for name, value in scores.items()
        if name not in ("loss", "accuracy") and not name.removeprefix("recall_").isdigit()
    ]
    seen = record.outcomes.calibration if record.outcomes else None
    shown += [f"expected calibration error {seen.expected_error:.4f}"] if seen else []
    return "\n".join(shown) or NOTHING


def _in_full(record: Record) -> dict[str, str]:
    """Return the results of a run and what it is of, by name."""
    task, data, configuration = record.task, record.dataset, record.configuration
    judged = {} if record.judged_seconds is None else msgspec.structs.asdict(record.judged_seconds)
    last = record.epochs[-1] if record.epochs else None
    step = step_time(record)
    started = (_number(judged.get(f"{phase}_seconds"), ".2f") for phase in ("import", "build"))
    certified = certificate_cell(record)
    best = f"{record.best_epoch} of {last.epoch}" if record.best_epoch and last else NOTHING
    times = {
        "import, build (s)": ", ".join(started),
        "first step (s)": _number(judged.get("first_step_seconds"), ".3f"),
        "step (ms)": _number(step and step * 1e3, ".3g"),
        "samples/s": _number(step and record.batch_size / step, ",.0f"),
        "training, first step included (s)": _number(judged.get("training_seconds"), ".1f"),
        "scoring (s)": _number(judged.get("evaluation_seconds"), ".1f"),
    }
    return {
        "backend": configuration.label,
        "framework": framework_text(configuration.backend, record.framework),
        "task, version": f"{task.name} v{task.version}",
        "data": f"{data.name} (for {data.stands_in_for})" if data.stands_in_for else data.name,
        "data fingerprint": (data.fingerprint or NOTHING)[:_FINGERPRINT_DIGITS],
        "data origin": textwrap.fill(data.origin or NOTHING, _ORIGIN_WIDTH),
        "device, precision": f"{record.device or configuration.device}, {configuration.precision}",
        "seed": str(record.seed),
        "status": "lost: the harness was killed" if record.status == "lost" else record.status,
        # The reason for ``no`` is below the table.
        "certified": {"yes": "✓", "without dropout": "✓ without dropout"}.get(certified, certified),
        "parameters": f"{record.parameters:,}",
        "steps": f"{sum(block.steps for block in record.blocks):,}",
        **{name: busy_mark(text, disturbed=record.disturbed) for name, text in times.items()},
        "train accuracy / loss": _both_scores(last.train if last else None),
        "validation accuracy / loss": _both_scores(last.validation if last else None),
        "test accuracy / loss, last epoch": _both_scores(record.test_at_last),
        "test accuracy / loss, best epoch": _both_scores(record.test_at_best),
        "further test scores, best epoch": _further(record),
        "client drift, MiB sent": _of_clients(record),
        "gap (train - validation acc.)": _number(generalization_gap(record), "+.4f"),
        "best epoch (on validation)": best,
        **{quantity.heading: quantity.text(record.measured) for quantity in shown([record.measured])},
        **({"process": making_text(record.making)} if record.making else {}),
    }


def row(record: Record) -> Listed:
    """Return the row of a run in a list of results."""
    if record.status != "ok":
        return Listed(record.task.name, _settings(record), record.status)
    parts = [test_score(record)]
    if seconds := step_time(record):
        step = f"step {significant(1e3 * seconds)} ms"
        parts.append(busy_mark(step, disturbed=record.disturbed))
    outcome = ", ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    return Listed(record.task.name, _settings(record), outcome)


def _settings(record: Record) -> str:
    """Return ``torch:eager seed 0, optimizer=adam``, with the options that are not the task's defaults."""
    options = record.task.options
    try:
        defaults = msgspec.structs.asdict(registry.task(record.task.name).options())
    except HarnessError:
        defaults = options  # a task that is no longer installed
    changed = [
        f"{name}={value_text(value)}" for name, value in options.items() if defaults.get(name) != value
    ]
    return ", ".join([f"{record.configuration.label} seed {record.seed}", *changed])
