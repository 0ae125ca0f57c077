"""A description of this machine, read from the operating system."""

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec

from harness.machine.cpus import allowed_cpus, usable_cpus
from harness.machine.host import Host, this_host


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
    host: Host | None = None
    """Which machine of its model it is; None in records of earlier versions."""

    @property
    def host_text(self) -> str:
        """``alpha (3f2a1c09d4e7)``; empty where it is not recorded."""
        return "" if self.host is None else self.host.text

    @property
    def model_text(self) -> str:
        """The part of the description that must be equal for times to be compared."""
        return f"{self.cpu}, {self.physical_cores} cores, {self.allowed_cpus} CPUs allowed"


def cpu_model() -> str:
    """The processor's name as its manufacturer writes it, or the architecture where that is unknown."""
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()


def _output(*command: str) -> str | None:
    """The stripped output of a command; None if it fails or does not exist."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def git_state() -> GitState | None:
    """The commit of the current folder; None outside a repository."""
    commit = _output("git", "rev-parse", "HEAD")
    if not commit:
        return None
    changes = _output("git", "status", "--porcelain", "--untracked-files=no")
    return GitState(commit, dirty=None if changes is None else bool(changes))


def describe_machine() -> Machine:
    """Describe this machine as it is now."""
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
    )


def default_threads() -> int:
    """One thread for each physical core that this process may use within its container's quota."""
    import psutil

    cores = psutil.cpu_count(logical=False) or usable_cpus()
    return min(cores, usable_cpus())
