"""One record in full, as text: what was asked, where it ran, its curves and its raw blocks."""

from collections.abc import Iterable, Mapping

from tabulate import tabulate

from harness.runs.record import Epoch, Record
from harness.spec.task import Adversarial


def _section(title: str, rows: Mapping[str, object]) -> str:
    lines = tabulate(list(rows.items()), tablefmt="plain", disable_numparse=True)
    return f"{title}\n" + "\n".join(f"  {line}" for line in lines.splitlines())


def _adversarial_curves(epochs: Iterable[Epoch]) -> str:
    rows = [
        (
            epoch.epoch,
            epoch.steps,
            f"{epoch.training_seconds:.2f}",
            epoch.discriminator_loss,
            epoch.training_loss,
            epoch.train.get("real"),
            epoch.validation.get("real"),
            epoch.validation.get("fake"),
            epoch.train.get("frechet_distance"),
            epoch.validation.get("frechet_distance"),
        )
        for epoch in epochs
    ]
    headers = [
        "epoch",
        "steps",
        "training s",
        "D loss",
        "G loss",
        "D(real train)",
        "D(real val)",
        "D(fake)",
        "Fréchet train",
        "Fréchet val",
    ]
    return tabulate(rows, headers, floatfmt=".4f", disable_numparse=[2])


def _curves(epochs: Iterable[Epoch]) -> str:
    rows = [
        (
            epoch.epoch,
            epoch.steps,
            f"{epoch.training_seconds:.2f}",
            f"{epoch.training_loss:.4f}",
            *(
                " / ".join(_number(scores.get(measure)) for scores in (epoch.train, epoch.validation))
                for measure in ("loss", "accuracy")
            ),
        )
        for epoch in epochs
    ]
    headers = ["epoch", "steps", "s", "minimised", "loss train / val", "acc. train / val"]
    return tabulate(rows, headers, disable_numparse=True)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interference(record: Record) -> str:
    found = record.interference
    if found is None:
        return "not measured"
    return f"{found.others:.2f} of {found.cpus} CPUs, and {found.stolen:.2f} stolen by the hypervisor"


def record_details(record: Record) -> str:
    """Everything in the record that the table of runs leaves out."""
    return "\n\n".join([*_work(record), *_scores_and_surroundings(record), *_course(record)])


def _work(record: Record) -> list[str]:
    """What was asked for, on which data, and the proof that it was that."""
    task, data = record.task, record.dataset
    asked = {
        "description sha256": task.sha256,
        "optimizer": task.description.optimizer,
        "batch size": record.batch_size,
        "epochs asked": record.epochs_asked,
        "max steps": record.max_steps or "none",
        "forward FLOPs a sample": f"{record.forward_flops_per_sample:,}",
    }
    source = {
        "origin": data.origin,
        "fingerprint": data.fingerprint,
        "samples": ", ".join(f"{count:,} {split}" for split, count in data.samples.items()),
        **({"stands in because": data.reason} if data.stands_in_for else {}),
    }
    return [
        _section("Run", {"id": record.id, "started": record.started_at, "command": " ".join(record.command)}),
        _section("Task options", task.options),
        _section("Task", asked),
        _section("Data", source),
        _section("Certificate (float64, against the committed reference)", _proof(record)),
    ]


def _proof(record: Record) -> dict[str, object]:
    certificate = record.certificate
    if certificate is None:
        return {"certified": "no: not asked for"}
    return {
        "certified": "yes" if certificate.certified else f"no: {certificate.reason}",
        "worst relative deviation": certificate.worst,
        f"first losses in {record.precision}, relative deviation": certificate.worst_as_timed,
    }


def _scores_and_surroundings(record: Record) -> list[str]:
    machine = record.machine
    git = f"{machine.git.commit}{' + changes' if machine.git.dirty else ''}" if machine.git else "none"
    described = {
        "cpu": machine.cpu,
        "cores": f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
        f"{machine.allowed_cpus} allowed",
        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "system": f"{machine.os}, {machine.libc}, Python {machine.python}",
        "harness": machine.harness,
        "git": git,
        "threads": record.threads,
        "used by others meanwhile": _interference(record),
    }
    return [
        _section("Test scores after the last epoch", record.test_at_last or {"none": ""}),
        _section("Test scores with the weights of the best epoch", record.test_at_best or {"none": ""}),
        _section("Framework", record.framework),
        _section("Machine", described),
        _section("Worker variables", record.worker_variables),
        _section("Variables inherited from the user", record.inherited_variables or {"none": ""}),
    ]


def _course(record: Record) -> list[str]:
    """How it went: curves, raw times, and the failure where there was one."""
    parts = []
    if record.epochs:
        adversarial = isinstance(record.task.description.objective, Adversarial)
        curves = _adversarial_curves(record.epochs) if adversarial else _curves(record.epochs)
        parts.append(f"Curves (scored in evaluation mode at the end of each epoch)\n{curves}")
    if record.blocks:
        cells = [f"{block.steps}×{block.batch_size}: {block.seconds:.4f}" for block in record.blocks]
        parts.append("Blocks, in order (steps×batch size: seconds)\n  " + ", ".join(cells))
    if failure := record.failure:
        told = {"reason": failure.message, "exit code": failure.exit_code, "signal": failure.signal}
        parts.append(_section("Failure", {key: value for key, value in told.items() if value is not None}))
        if failure.traceback:
            parts.append("Traceback of the worker\n" + failure.traceback.rstrip())
        if failure.last_lines:
            parts.append("Last lines that the worker printed\n" + "\n".join(failure.last_lines))
    return parts
