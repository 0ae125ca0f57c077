"""The errors that users see. Each message says in a line or two what was wrong and what would be right."""

import difflib
import re
from collections.abc import Iterable


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


#: From here on a known name is suggested: ``resnet`` is no typing error of ``forecast`` (0.57).
_LEAST_SIMILARITY = 0.6


def unknown_name(kind: str, name: str, known: Iterable[str], owner: str = "") -> UsageError:
    """A :class:`UsageError` for an unknown name that offers the nearest known one and the whole list.

    ``owner`` is what the name would belong to, such as ``backend torch``.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=_LEAST_SIMILARITY)
    nearest = nearest or [known for known in names if name and _initials(known) == name]
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    listed = ", ".join(names) if names else "none is installed"
    where = f" of {owner}" if owner else ""
    return UsageError(f"unknown {kind} {name!r}{where}.{hint} Known: {listed}.")


def _initials(name: str) -> str:
    """``lr`` of ``learning_rate``; empty for a single word."""
    words = re.split("[-_]", name)
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


class Declined(HarnessError):
    """The backend does not support the request; the message is its reason."""


def interruption(interrupt: KeyboardInterrupt) -> str:
    """``interrupted``, or ``interrupted by SIGTERM`` where a signal other than that of Ctrl-C did it."""
    return " by ".join(["interrupted", *map(str, interrupt.args)])
