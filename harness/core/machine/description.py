"""A description of this machine, read from the operating system."""

import contextlib
import functools
import hashlib
import platform
import secrets
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec
import platformdirs

from harness.core.machine.cpus import allowed_cpus, usable_cpus
from harness.core.machine.files import replace_file, system_text

_ID_BYTES = 6


@functools.cache
def this_host() -> str | None:
    """Return the identity of this host, from a random number that is stored at the first call.

    Two machines of one model have equal descriptions but different times. Nodes of a cluster may share the
    folder with the number, so their names enter the identity, which does not reveal them. None if the user's
    state folder cannot be written.
    """
    path = Path(platformdirs.user_state_dir("dl-harness")) / "host-id"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, f"{secrets.token_hex(_ID_BYTES)}\n".encode())
        stored = path.read_text("ascii").strip()  # another process may have been the last to write it
        return hashlib.sha256(f"{stored} {platform.node()}".encode()).hexdigest()[: 2 * _ID_BYTES]
    return None


class GitState(msgspec.Struct, frozen=True):
    """The commit checked out in the current folder, and whether files differ from it (None: unknown)."""

    commit: str
    dirty: bool | None


class Machine(msgspec.Struct, frozen=True):
    """A machine. ``allowed_cpus`` counts the logical CPUs that this process may use; memory is the total."""

    cpu: str
    physical_cores: int
    logical_cpus: int
    allowed_cpus: int
    memory_bytes: int
    os: str
    libc: str
    python: str
    harness: str
    git: GitState | None
    host: str | None = None
    """Which machine of its model it is: 12 digits, which do not reveal its name; None where not known."""
    instruction_sets: list[str] = []
    """Vector instructions of the CPU, by which libraries choose how they sum; empty where not known."""

    @property
    def model_text(self) -> str:
        """The part of the description that must be equal for times to be compared."""
        return f"{self.cpu}, {self.physical_cores} cores, {self.allowed_cpus} CPUs allowed"


def cpu_model() -> str:
    """Return the processor's name as its manufacturer writes it, or the architecture if it is unknown."""
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    lines = system_text(Path("/proc/cpuinfo")).splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()


#: Beginnings of the names of vector instructions, as Linux lists them.
_VECTORS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")


def instruction_sets() -> list[str]:
    """Return the vector instructions of the CPU, sorted; empty where the system does not list them."""
    lines = system_text(Path("/proc/cpuinfo")).splitlines()
    flags = [line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))]
    return sorted({flag for flag in (flags or [[]])[0] if flag.startswith(_VECTORS)})


def _output(*command: str) -> str | None:
    """Return the stripped output of a command; None if it fails or does not exist."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def git_state() -> GitState | None:
    """Return the commit of the current folder; None outside a repository."""
    commit = _output("git", "rev-parse", "HEAD")
    if not commit:
        return None
    changes = _output("git", "status", "--porcelain", "--untracked-files=no")
    return GitState(commit, dirty=None if changes is None else bool(changes))


def describe_machine() -> Machine:
    """Describe the present state of this machine."""
    import psutil  # imported late: commands that only read records do not need it

    return Machine(
        cpu=cpu_model(),
        physical_cores=psutil.cpu_count(logical=False) or 0,
        logical_cpus=psutil.cpu_count() or 0,
        allowed_cpus=len(allowed_cpus()),
        memory_bytes=psutil.virtual_memory().total,
        os=f"{platform.system()} {platform.release()}",
        libc=" ".join(platform.libc_ver()).strip(),
        python=platform.python_version(),
        harness=metadata.version("dl-harness"),
        git=git_state(),
        host=this_host(),
        instruction_sets=instruction_sets(),
    )


def default_threads() -> int:
    """Count the physical cores that this process may use within its container's quota."""
    import psutil

    cores = psutil.cpu_count(logical=False) or usable_cpus()
    return min(cores, usable_cpus())


_DEVICES = Path("/dev")


def nvidia_gpus(devices: Path = _DEVICES) -> int:
    """Count the NVIDIA GPUs of the machine, those that the environment hides included."""
    return len(list(devices.glob("nvidia[0-9]*")))
