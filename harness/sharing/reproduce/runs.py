"""Repetition of runs: the recorded training again, from its description, and its quality compared."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.core.audit.budgets import ROUNDING
from harness.core.certify.certificate import Losses
from harness.core.documents.kinds import RecordKind
from harness.core.documents.numbers import first_of
from harness.core.machine.description import nvidia_gpus
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.plugins import kept_data, registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.files import plugin_files
from harness.core.plugins.installation import installation
from harness.core.plugins.loading import Kind
from harness.core.plugins.sources import models_of
from harness.core.runs.identity import data_fingerprint
from harness.core.runs.losses import losses_beside
from harness.core.runs.record import DatasetRecord, Record
from harness.core.runs.request import TRIAL_SEED, RunRequest
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.shell.execution import conclude, run_sequence
from harness.core.shell.executors import AskedJobs, this_machine, unjudged
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.core.worker.saved_state import save_nearby
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError
from harness.sharing.reproduce.quality import Compared, Trained, compare, judge_group
from harness.sharing.reproduce.repetition import (
    Agreement,
    Pair,
    Place,
    Repetition,
    Stored,
    machine_facts,
)
from harness.spec.description import description_sha256

#: Ingredients of a run's identity that are shown where they differ, after the machine and the data.
_INGREDIENTS = (
    "plugin's source",
    "models' source",
    "plugin",
    "task",
    "task description",
    "task options",
    "inherited variables",
)
_MOST_NAMED = 3


class RunRepetition(Repetition[Record]):
    """Runs are repeated from their descriptions: the recorded command may have asked for many of them."""

    def refusal(self, record: Record) -> str:
        """See :meth:`Repetition.refusal`; a study's tuning is not repeated either."""
        if record.seed == TRIAL_SEED:
            return "a study tries settings in it"
        is_reduced = record.status == "ok" and not record.blocks and not record.first_losses
        return "the record has no losses to compare" if is_reduced else super().refusal(record)

    def lacking(self, stored: Stored[Record]) -> Iterator[str]:
        """See :meth:`Repetition.lacking`."""
        record = stored.record
        yield from lacking_backend(record.configuration.backend, record.configuration.mode)
        yield from lacking_device(record.device)
        yield from lacking_code(models_of(record.task.description))
        yield from lacking_data(record.dataset)

    def facts(self, stored: Stored[Record]) -> Mapping[str, str]:
        """See :meth:`Repetition.facts`."""
        record = stored.record
        return {
            **record.framework,
            **machine_facts(record.machine),
            "threads": str(record.configuration.threads),
            "device": record.device or "",
            "data": data_text(record.dataset),
            **{name: _short(record.identity.get(name, "")) for name in _INGREDIENTS},
            # The identity is of the paths that the model had there, which a bundle replaces.
            "task description": description_sha256(record.task.description)[:12],
        }

    def repeat(
        self, records: Sequence[Stored[Record]], kind: RecordKind[Record], place: Place
    ) -> list[Stored[Record]]:
        """See :meth:`Repetition.repeat`; runs that the folder has already are not made again."""
        del kind
        store = Store(place.results)
        store.prepare()
        wanted = [request_of(stored.record) for stored in records]
        made: dict[bytes, Record] = {}
        for certify in (True, False):
            requests = {
                _key(request): request
                for request, stored in zip(wanted, records, strict=True)
                if _is_certified(stored.record) is certify
            }
            executed = _executed([*requests.values()], store, place, certify=certify)
            made |= {_key(record): record for record in executed}
        if lost := [
            stored.record.id
            for request, stored in zip(wanted, records, strict=True)
            if _key(request) not in made
        ]:
            raise HarnessError(f"{first_of(lost, _MOST_NAMED)}: not repeated, the backend declines the task")
        mine = [made[_key(request)] for request in wanted]
        return [Stored(record, store.folder / f"{record.id}.json") for record in mine]

    def agreement(self, theirs: Stored[Record], mine: Stored[Record]) -> Agreement:
        """See :meth:`Repetition.agreement`."""
        return self.agreements([Pair(theirs, mine)])[0]

    def agreements(self, pairs: Sequence[Pair[Record]]) -> list[Agreement]:
        """See :meth:`Repetition.agreements`: the seeds of a configuration are judged together."""
        compared = [_compared(pair) for pair in pairs]
        groups: dict[bytes, list[int]] = {}
        for index, pair in enumerate(pairs):
            groups.setdefault(_key(pair.theirs.record, of_seed=False), []).append(index)
        agreements: dict[int, Agreement] = {}
        for group in groups.values():
            judged = judge_group([compared[index] for index in group])
            agreements |= zip(group, judged, strict=True)
        return [agreements[index] for index in range(len(pairs))]


REPETITION = RunRepetition()


def _is_known(kind: Kind, name: str) -> bool:
    """Check that an installed package, or a file given by --plugin, has the plugin of this name."""
    in_files = (registry.from_file(path, kind, name) for path in plugin_files())
    return name in registry.names(kind) or any(plugin is not None for plugin in in_files)


def lacking_backend(backend: str, mode: str) -> Iterator[str]:
    """Yield why a backend or its mode cannot be used here."""
    if not _is_known("backend", backend):
        yield f"backend {backend} is not known; install its package, or name its file with --plugin"
        return
    state = installation(backend)
    if state.state != "installed":
        yield f"backend {backend} is {state.state}: {state.detail}"
    elif mode not in registry.backend(backend).modes:
        yield f"backend {backend} has no mode {mode}; modes: {', '.join(registry.backend(backend).modes)}"


def lacking_device(device: str | None) -> Iterator[str]:
    """Yield that there is no such device."""
    if device is not None and device.startswith("cuda") and not nvidia_gpus():
        yield f"device {device}: this machine has no NVIDIA GPU"


def lacking_data(dataset: DatasetRecord) -> Iterator[str]:
    """Yield why the recorded data cannot be had here; the data of a file are read."""
    if not dataset.name or dataset.fingerprint is None:
        return
    if dataset.file is not None:
        yield from _lacking_file(dataset)
        return
    if kept_data.source(dataset.name) is None and not _is_known("dataset", dataset.name):
        yield f"data set {dataset.name} is not known; install its package, or name its file with --plugin"
        return
    present = data_fingerprint(dataset.name)
    if present is None:
        yield f"data set {dataset.name} cannot be read: harness data fetch {dataset.name}"
    elif present != dataset.fingerprint:
        yield _changed(f"data set {dataset.name}", dataset.fingerprint, present)


def _lacking_file(dataset: DatasetRecord) -> Iterator[str]:
    from harness.core.data_files.providing import provide_again
    from harness.core.data_files.reading import read_data_file
    from harness.core.data_files.settings import settings_of

    file, fingerprint = dataset.file, dataset.fingerprint or ""
    assert file is not None  # noqa: S101  the caller has checked it
    path = Path(file.path).expanduser()
    if not path.exists():
        if kept_data.is_kept(fingerprint):
            kept_data.announce(dataset.name, fingerprint, file)
        else:
            yield f"data file {path} does not exist"
        return
    try:
        present = read_data_file(path, settings_of(file.settings)).dataset.fingerprint
        if present != fingerprint:
            yield _changed(f"data file {path}", fingerprint, present)
            return
        provide_again(dataset.name, fingerprint, file)
    except HarnessError as error:
        yield f"data file {path} cannot be used: {error}"


def data_text(dataset: DatasetRecord) -> str:
    """Name a data set with the beginning of its fingerprint."""
    return f"{dataset.name} {(dataset.fingerprint or '')[:12]}"


def _changed(name: str, there: str, here: str) -> str:
    return f"{name} has other content: fingerprint {there[:12]} there, {here[:12]} here"


def lacking_code(targets: Iterable[str]) -> Iterator[str]:
    """Yield that files of the user's own code, which ``targets`` name, do not exist here."""
    places = dict.fromkeys(target.rpartition(":")[0] for target in targets)
    if missing := [
        place for place in places if place.endswith(".py") and not Path(place).expanduser().is_file()
    ]:
        yield f"the user's own code: {first_of(missing, _MOST_NAMED)} does not exist"


def _short(text: str) -> str:
    """Shorten a checksum, of which twelve digits suffice to see that it differs."""
    is_checksum = len(text) == 64 and set(text) <= set("0123456789abcdef")  # noqa: PLR2004  sha256
    return text[:12] if is_checksum else text


def request_of(record: Record) -> RunRequest:
    """Return the request of the run of a record, for the interpreter of this process."""
    asked = record.configuration
    return RunRequest(
        configuration=Configuration(
            asked.backend, asked.mode, asked.device, asked.threads, asked.precision, variables=asked.variables
        ),
        task=record.task.description,
        options=record.task.options,
        dataset=DatasetRecord(
            record.dataset.name,
            stands_in_for=record.dataset.stands_in_for,
            reason=record.dataset.reason,
            file=record.dataset.file,
        ),
        seed=record.seed,
        max_steps=record.max_steps,
        evaluation=record.evaluation,
        command=record.command,
    )


def _is_certified(record: Record) -> bool:
    """Check that the run had a certificate, which can be made here."""
    has_one = record.certificate is not None and record.certificate.certified
    return has_one and _is_known("task", record.task.name)


def _key(run: Record | RunRequest, *, of_seed: bool = True) -> bytes:
    """Return a key of a run, equal for a record and its repetition, whatever interpreter made them.

    Without ``of_seed`` runs of other seeds have the same key.
    """
    asked = run.configuration
    task = run.task.description if isinstance(run, Record) else run.task
    facts = (asked.backend, asked.mode, asked.device, asked.threads, asked.precision, asked.variables)
    seed = run.seed if of_seed else None
    return msgspec.json.encode((facts, task, run.dataset.name, seed, run.max_steps, run.evaluation))


def _executed(requests: Sequence[RunRequest], store: Store, place: Place, *, certify: bool) -> list[Record]:
    if not requests:
        return []
    asked = [request.configuration for request in requests]
    with this_machine(
        AskedJobs.of(place.jobs, [each.threads for each in asked], asked[0].device)
    ) as executor:
        shared = SharedRuns(unjudged(requests, executor), store, certify=certify)
        records = run_sequence(shared, store, executor, quiet=place.quiet, certify=certify)
        conclude(executor, store, records, quiet=place.quiet)
    if any(record.status == "interrupted" for record in records):
        raise KeyboardInterrupt
    return records


def _compared(pair: Pair[Record]) -> tuple[Trained, Trained, Compared]:
    theirs, mine = (
        Trained(stored.record, losses_beside(stored.record, stored.path))
        for stored in (pair.theirs, pair.mine)
    )
    return theirs, mine, compare(theirs, mine, functools.partial(_nearby, mine))


def _nearby(mine: Trained, equal: int) -> tuple[Losses, Losses] | str:
    """Repeat a training twice from weights that are moved by one rounding after ``equal`` steps.

    Return the losses of both from there, or why it cannot be done.
    """
    record, steps = mine.record, len(mine.known_losses)
    request, folder = request_of(record), GuardedFolder("rounding")
    plan = request.plan
    order = BatchOrder.of_task(plan.task, record.dataset.samples["train"], plan.seed)
    before, after = ([count for _, count in order.calls(*ends)] for ends in ((0, equal), (equal, steps)))
    reached, moved = folder.path / "reached.npz", folder.path / "moved.npz"
    losses: list[Losses] = []
    try:
        with Session(record.worker_variables) as session:
            Conversation(session, record.configuration.backend, plan.threads).build(plan, record.dataset.name)
            _replayed(session, 0, before)
            saved = session.call(protocol.SaveState(str(reached)), protocol.StateSaved)
            if equal and not saved.complete:
                return "the backend does not hand out its state"
            for _ in range(2):
                save_nearby(reached, moved, ROUNDING[plan.precision].epsilon)
                if not saved.complete:  # the state of a new program is its initial weights
                    session.call(protocol.Rebuild(), protocol.Done)
                session.call(protocol.Replay(equal, [], str(moved), saved.complete), protocol.Trained)
                losses.append(_replayed(session, equal, after))
    except (HarnessError, OSError) as error:
        return str(error)
    finally:
        folder.close()
    return losses[0], losses[1]


def _replayed(session: Session, step: int, calls: Sequence[int]) -> Losses:
    """Make the steps from ``step`` on, a request for each call: a long training is no long silence."""
    losses: Losses = []
    for count in calls:
        replay = protocol.Replay(step + len(losses), [count], None, complete=True)
        losses += session.call(replay, protocol.Trained).losses
    return losses
