"""The identity of a host: a random id kept in the user's state folder, and the host's name.

Two machines of one model have equal descriptions but different times. Nothing is derived from hardware or
accounts; deleting the file gives the machine a new identity.
"""

import contextlib
import functools
import platform
import secrets
from pathlib import Path

import msgspec
import platformdirs

from harness.machine.files import replace_file

_ID_BYTES = 6
_UNNAMED = "unnamed"


class Host(msgspec.Struct, frozen=True):
    """A host. Both fields count: nodes of a cluster may share the folder that holds the id."""

    name: str
    id: str | None
    """None: the user's state folder is not writable."""

    @property
    def text(self) -> str:
        """``alpha (3f2a1c09d4e7)``."""
        return self.name if self.id is None else f"{self.name} ({self.id})"


@functools.cache
def this_host() -> Host:
    """The identity of this host, which is made and stored when it is first asked for."""
    return Host(platform.node() or _UNNAMED, _stored_id())


def _stored_id() -> str | None:
    path = Path(platformdirs.user_state_dir("dl-harness")) / "host-id"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, f"{secrets.token_hex(_ID_BYTES)}\n".encode())
        return path.read_text("ascii").strip() or None  # another process may have been the last to write it
    return None
