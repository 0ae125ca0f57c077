"""What names mean to the plugins of a side's own interpreter: asked there, for this one may have others."""

from collections.abc import Mapping

from harness.duel.timed_worker import blaming, session_of
from harness.worker import protocol

#: A side must have said by then what names mean to it.
DEFINE_LIMIT_SECONDS = 300.0


def defined_by(
    label: str, python: str, variables: Mapping[str, str], names: protocol.Define
) -> protocol.Defined:
    """The task, its options and the mode as that interpreter understands them.

    Raises:
        ConfigurationFailed: the names mean nothing there, or a plugin cannot be loaded.
    """
    session = session_of(label, variables, DEFINE_LIMIT_SECONDS, python)
    try:
        with blaming(label, session):
            return session.call(names, protocol.Defined)
    finally:
        session.kill_and_close()
