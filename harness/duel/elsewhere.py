"""The meaning of names in another interpreter, whose plugins may differ: a worker there resolves them."""

from collections.abc import Mapping

from harness.duel.timed_worker import blaming, session_of
from harness.worker import protocol

#: Time limit of the worker's answer.
DEFINE_LIMIT_SECONDS = 300.0


def defined_by(
    label: str, python: str, variables: Mapping[str, str], names: protocol.Define
) -> protocol.Defined:
    """The task, its options and the mode as that interpreter defines them.

    Raises:
        ConfigurationFailed: a name is unknown there, or a plugin cannot be loaded.
    """
    session = session_of(label, variables, DEFINE_LIMIT_SECONDS, python)
    try:
        with blaming(label, session):
            return session.call(names, protocol.Defined)
    finally:
        session.kill_and_close()
