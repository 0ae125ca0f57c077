"""Worker processes whose errors name their configuration, and the meaning of names in another interpreter."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

from harness.core.worker import protocol
from harness.core.worker.session import Session
from harness.errors import HarnessError, NoWorkersHere

#: Time limit of a worker that defines a task.
_DEFINE_LIMIT_SECONDS = 300.0


class ConfigurationFailed(HarnessError):
    """A process failed or could not start; ``label`` names its workload, ``reason`` omits the label."""

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"{label}: {reason}")
        self.label = label
        self.reason = reason


@contextlib.contextmanager
def blaming(label: str, session: Session | None = None) -> Iterator[None]:
    """Raise errors from inside as errors of the workload ``label``, with the last lines of its output.

    Without a ``session`` the errors are those of starting a worker.
    """
    try:
        yield
    except (ConfigurationFailed, NoWorkersHere):
        raise
    except HarnessError as error:
        reason = str(error) if session is None else session.with_last_lines(error)
        raise ConfigurationFailed(label, reason) from error


def session_of(
    label: str,
    variables: Mapping[str, str],
    limit_seconds: float,
    python: str,
    cpus: Iterable[int] | None = None,
) -> Session:
    """Start a worker; raise :class:`ConfigurationFailed` if its interpreter cannot be started."""
    with blaming(label):
        return Session(variables, limit_seconds, python, cpus)


_S = TypeVar("_S", bound=Session)


@contextlib.contextmanager
def ending(
    label: str, session: _S, blame: Callable[[str, Session], AbstractContextManager[None]] = blaming
) -> Iterator[_S]:
    """Yield a session and end its process afterwards.

    Errors are those of its workload; see :func:`blaming`.
    """
    try:
        with blame(label, session):
            yield session
    finally:
        session.kill_and_close()


def defined_by(
    label: str, python: str, variables: Mapping[str, str], names: protocol.Define
) -> protocol.Defined:
    """Return the task, its options and the mode as another interpreter defines them."""
    with ending(label, session_of(label, variables, _DEFINE_LIMIT_SECONDS, python)) as session:
        return session.call(names, protocol.Defined)
