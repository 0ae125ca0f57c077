"""Work after a training: operations of features on a trained network, once nothing is timed any more.

A run's request names the work that applies to it (:func:`with_work`). The worker of the run carries it out
after the proofs of time and work, and the results are entries of :attr:`Record.extensions`. Work that fails
leaves the reason there; the run keeps its status.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import msgspec

from harness.core.plugins.faults import explain
from harness.core.runs.record import Extension, Record
from harness.errors import Declined, HarnessError
from harness.spec.task import Task

if TYPE_CHECKING:
    from harness.core.runs.request import RunRequest
    from harness.core.worker.session import Session


class AfterTraining:
    """Work after a training. A feature derives a class from it, and registers an object of the class.

    The module of this object is imported by commands that list or print records, so it imports NumPy and
    other large libraries within its functions.
    """

    name: str
    """The key of its result in the record; for work that is asked for, the name by which a request asks."""
    title: str
    """The heading of its facts on the page of a run."""
    phase: str
    """A word for the progress display, such as ``explaining``."""
    operation: str
    """``package.module:NAME`` of ``function(worker, arguments)``, which a worker calls.

    See :meth:`harness.core.worker.session.Session.operate`.
    """
    in_every_run: bool = True
    """False for work that a request must ask for by its name."""

    def applies(self, task: Task) -> bool:
        """Check whether there is anything to do after a training of this task."""
        raise NotImplementedError

    def require(self, task: Task) -> None:
        """Check, before anything runs, that all that the work needs is installed."""

    def arguments(self, record: Record, last_state: Path) -> Mapping[str, object] | None:
        """Return the arguments of the operation, or None if this run has nothing to work on.

        ``last_state`` is a file of :mod:`harness.core.worker.saved_state`, the state after the last step. The
        worker's program has trained on since.
        """
        raise NotImplementedError

    def facts(self, record: Record) -> dict[str, object]:
        """Return the facts that the page of a run shows, by name; a fact that is None is left out."""
        return {}

    def remarks(self, record: Record) -> Iterable[str]:
        """Return sentences for the end of ``harness run``."""
        return ()


def with_work(requests: "Iterable[RunRequest]", places: Iterable[str]) -> "list[RunRequest]":
    """Return the requests, each with the work that applies to it.

    ``places`` name :class:`AfterTraining` objects as ``package.module:NAME``.
    """
    works: dict[str, AfterTraining] = {place: resolve_name(place) for place in places}
    return [
        msgspec.structs.replace(request, after_training=tuple(_applying(works, request)))
        for request in requests
    ]


def _applying(works: Mapping[str, AfterTraining], request: "RunRequest") -> Iterator[str]:
    for place, work in works.items():
        if not work.in_every_run and work.name not in request.asks_for:
            continue
        try:
            applies = work.applies(request.task)
            if applies:
                work.require(request.task)
        except HarnessError:
            raise
        except Exception:  # noqa: BLE001  it is raised again, and recorded, after the training
            applies = True
        if applies:
            yield place


def work_of(request: "RunRequest") -> list[AfterTraining]:
    """Import the work that a request names."""
    return [resolve_name(place) for place in request.after_training]


def carry_out(work: AfterTraining, record: Record, session: "Session", last_state: Path) -> Extension | None:
    """Carry out work in the worker of a run; None if the run has nothing to work on."""
    try:
        if not work.applies(record.task.description):
            return None
        arguments = work.arguments(record, last_state)
        if arguments is None:
            return None
        return Extension(session.operate(work.operation, arguments, Any))
    except Declined as error:
        if not work.in_every_run:
            raise
        return Extension(failure=str(error))
    except HarnessError as error:
        return Extension(failure=str(error))
    except Exception as error:  # noqa: BLE001  work of a third party must not lose the run
        return Extension(failure=explain(error))


def facts_of(work: AfterTraining, record: Record) -> dict[str, object]:
    """Return the facts of work that the page of a run shows, or why there are none."""
    try:
        return work.facts(record)
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001  work of a third party must not hide the run
        return {work.name: explain(error)}


def remarks_of(work: AfterTraining, record: Record) -> list[str]:
    """Return the sentences of work for the end of ``harness run``, or why there are none."""
    try:
        return list(work.remarks(record))
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001  work of a third party must not hide the run
        return [f"{work.title}: {explain(error)}"]
