"""Certificates, cached for as long as everything is the same that they depend on.

That is the reference, the harness's and the backend's code, the framework's versions, the mode, the
device and the threads. What another interpreter has installed is not known here, so its certificates
are made anew each time.
"""

import hashlib
import os
import sys
from pathlib import Path

import msgspec
import platformdirs

from harness import plugins
from harness.certify import Examiner, Side, check, reference_of
from harness.errors import HarnessError
from harness.installation import installed_version
from harness.parity import TOLERANCE, Finding
from harness.record import Certificate
from harness.spec import TaskDefinition


def certificate(examiner: Examiner, definition: TaskDefinition) -> Certificate:
    """The certificate of the examiner's side for a task; never raises for a fault.

    The examiner is asked only for what the cache does not hold.
    """
    here = examiner.side.python == sys.executable
    try:
        path = _cache_path(examiner.side, definition)
        if here and path.is_file():
            return msgspec.json.decode(path.read_bytes(), type=Certificate)
        made = _certificate(check(examiner, definition))
    except (HarnessError, msgspec.MsgspecError, OSError) as error:
        return Certificate(certified=False, reason=str(error))
    if here:
        _store(path, made)
    return made


def _certificate(findings: list[Finding]) -> Certificate:
    failed = [finding for finding in findings if not finding.passed]
    exact = [finding.worst for finding in findings if finding.tolerance == TOLERANCE]
    as_timed = [finding.worst for finding in findings if finding.tolerance != TOLERANCE]
    return Certificate(
        certified=not failed,
        reason=f"case {failed[0].case!r}: {failed[0].words}" if failed else "",
        worst=max(exact),
        worst_as_timed=max(as_timed, default=None),
    )


def _store(path: Path, made: Certificate) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(msgspec.json.encode(made))
        temporary.replace(path)
    except OSError:
        pass  # a cache that cannot be written only costs time


def _cache_path(side: Side, definition: TaskDefinition) -> Path:
    """The file of this certificate, named by a hash of all that it depends on."""
    reference_of(definition)
    assert definition.reference is not None  # noqa: S101  reference_of has seen to it
    digest = hashlib.sha256(msgspec.json.encode(side))
    digest.update(definition.reference.read_bytes())
    for requirement in plugins.backend(side.backend).requires:
        digest.update(installed_version(requirement).encode())
    for source in [*sorted(Path(__file__).parent.rglob("*.py")), *_sources_of(side.backend)]:
        digest.update(source.read_bytes())
    cache = os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness")
    return Path(cache) / "certificates" / f"{digest.hexdigest()[:32]}.json"


def _sources_of(backend: str) -> list[Path]:
    """The files of the plugin's code: its package's, or the one module that it is."""
    module = sys.modules[type(plugins.backend(backend)).__module__.partition(".")[0]]
    file = Path(module.__file__ or "")
    return sorted(file.parent.rglob("*.py")) if hasattr(module, "__path__") else [file]
