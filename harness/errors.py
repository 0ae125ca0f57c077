"""The errors that users see. Each message says in a line or two what was wrong and what would be right."""

import difflib
import re
from collections.abc import Iterable, Sequence


class HarnessError(Exception):
    """A problem that the user can act on; the command line prints the message, never a traceback."""

    exit_code = 1


class UsageError(HarnessError):
    """The request cannot be carried out as given."""

    exit_code = 2


class DataError(HarnessError):
    """A data set is missing, broken or not what it claims to be."""


class PluginError(HarnessError):
    """A plugin could not be loaded or broke the contract; names the plugin and its distribution."""

    exit_code = 2


#: From here on a known name is suggested: ``plot`` is no typing error of ``report`` (0.6).
_LEAST_SIMILARITY = 0.65
#: If its first letter differs: ``dnn`` is none of ``cnn`` (0.67), but ``pytorch`` is of ``torch`` (0.83).
_LEAST_SIMILARITY_OF_OTHERS = 0.8
#: A name of so many letters may be the beginning of a known one.
_SHORTEST_BEGINNING = 3


def unknown_name(
    kind: str, name: str, known: Iterable[str], owner: str = "", meant: str | None = None
) -> UsageError:
    """Build a :class:`UsageError` for an unknown name that offers the nearest known name and the whole list.

    ``owner`` is the thing to which the name would belong, such as ``backend torch``. ``meant`` is the known
    name to offer if the caller knows better than the spelling.
    """
    names = sorted(known)
    meant = meant or _nearest(name.lower(), names)
    hint = f" Did you mean {meant!r}?" if meant else ""
    listed = ", ".join(names) if names else "none is installed"
    where = f" of {owner}" if owner else ""
    return UsageError(f"unknown {kind} {name!r}{where}.{hint} Known: {listed}.")


def _nearest(name: str, names: Sequence[str]) -> str | None:
    """Find the known name that is spelled similarly, has these initials, or alone begins like ``name``."""
    for close in difflib.get_close_matches(name, names, cutoff=_LEAST_SIMILARITY):
        similarity = difflib.SequenceMatcher(None, close, name).ratio()
        if close[0] == name[0] or similarity >= _LEAST_SIMILARITY_OF_OTHERS:
            return close
    if abbreviated := [known for known in names if name and _initials(known) == name]:
        return abbreviated[0]
    longer = [known for known in names if known.startswith(name)]
    return longer[0] if len(longer) == 1 and len(name) >= _SHORTEST_BEGINNING else None


def _initials(name: str) -> str:
    """Return the initials of a name, such as ``lr`` for ``learning_rate``; empty for a single word."""
    words = re.split("[-_]", name)
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


class Declined(HarnessError):
    """The backend does not support the request; the message is its reason."""


class LossNotDeclared(Declined):
    """The backend does not declare the loss of the task, so it was not asked."""


def interruption(interrupt: KeyboardInterrupt) -> str:
    """Return ``interrupted``, or ``interrupted by SIGTERM`` for a signal other than that of Ctrl-C."""
    return " by ".join(["interrupted", *map(str, interrupt.args)])


# How a conversation with a worker can fail.


class RequestFailed(HarnessError):
    """A request raised in the worker, which is still alive; ``traceback`` is the worker's."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


class MemoryRanOut(RequestFailed):
    """The request needed more memory than there is."""


class WorkerLost(HarnessError):
    """The worker process ended without being asked to: it exited, or a signal killed it."""

    def __init__(self, message: str, worker_exit_code: int | None, signal_name: str | None) -> None:
        super().__init__(message)
        self.worker_exit_code = worker_exit_code
        self.signal_name = signal_name


class WorkerTimeout(HarnessError):
    """The worker did not answer in time and was killed; ``silent`` if it was taken to hang."""

    def __init__(self, message: str, *, silent: bool) -> None:
        super().__init__(message)
        self.silent = silent


class NoWorkersHere(HarnessError):
    """The machine lacks what every worker needs; what the worker should have run is not at fault."""
