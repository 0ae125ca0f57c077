"""A process of a step of the user's own, seen from the harness: its requests and replies."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.core.plugins import registry
from harness.core.worker import protocol
from harness.core.worker.session import SILENCE_LIMIT_SECONDS, Session
from harness.errors import PluginError, UsageError, WorkerTimeout
from harness.timing.engine.steps import search_path
from harness.timing.engine.steps.profiles import StepProfile
from harness.tracing.user_code import is_file, split_target

_R = TypeVar("_R", bound=msgspec.Struct)
_PROGRAM = Path(__file__).with_name("program.py")


class Foreign(msgspec.Struct, frozen=True):
    """A checkout, by its ``top``, whose code a process must not run, beside the file of the factory.

    ``remedy`` continues the sentence that names a file which it would import.
    """

    top: str
    remedy: str


class StepTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The factory of a step, ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, and its arguments.

    A file is relative to ``folder``, the checkout of a side, from which modules are imported too: before
    those that are installed, or after them (``installed_first``). ``code_folder`` has the file if it is
    another checkout's. ``working_tree`` is the user's, where ``folder`` has the files of a commit. ``seed``
    None: the user's code sets its own. ``is_step``: the callable is the step itself, not its factory.
    """

    target: str
    arguments: dict[str, Any] = {}
    folder: str = "."
    code_folder: str | None = None
    working_tree: str | None = None
    installed_first: bool = False
    foreign: Foreign | None = None
    directory: str = ""
    """The working directory of the process. Default: that of the harness."""
    seed: int | None = 0
    is_step: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a target of another form."""
        split_target(self.target)

    @property
    def file(self) -> Path | None:
        """The file; None for a module."""
        place, _ = split_target(self.target)
        return (Path(self.code_folder or self.folder) / place).resolve() if is_file(self.target) else None

    @property
    def lacks_file(self) -> bool:
        """Whether the file is another checkout's because this one has none."""
        return self.code_folder is not None and not msgspec.structs.replace(self, code_folder=None).has_file

    @property
    def has_file(self) -> bool:
        """Whether there is the file."""
        return self.file is not None and self.file.is_file()

    @property
    def content(self) -> bytes | None:
        """The content of the file; None where there is none that can be read."""
        try:
            return self.file.read_bytes() if self.file is not None and self.file.is_file() else None
        except OSError:
            return None

    @property
    def short_name(self) -> str:
        """The target for the names of files."""
        return re.sub(r"[^A-Za-z0-9]+", ".", self.target)[-40:].strip(".")

    def request(self, float64: Iterable[str] = ()) -> "Make":
        """Return the first request to its process; ``float64`` are the frameworks to compute in float64."""
        place, name = split_target(self.target)
        folder, file = Path(self.folder).resolve(), self.file
        beside = [] if file is None else [(folder / place).parent]
        paths = [*beside, folder, folder / "src"]
        own = None if self.working_tree is None else Path(self.working_tree).resolve()
        originals = (
            {} if own is None else {str(path): str(own / os.path.relpath(path, folder)) for path in paths}
        )
        return Make(
            target=self.target,
            name=name,
            file=None if file is None else str(file),
            module=place,
            folders=list(dict.fromkeys(str(path) for path in paths if path.is_dir())),
            checkout=str(folder),
            originals=originals,
            installed_first=self.installed_first,
            foreign=self.foreign,
            directory=self.directory,
            arguments=self.arguments,
            seed=self.seed,
            frameworks=framework_hooks(),
            is_step=self.is_step,
            float64=[*float64],
        )


class Make(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Import the factory, set the seeds, and call it. The first request."""

    target: str
    name: str
    file: str | None
    module: str
    folders: list[str]
    checkout: str
    originals: dict[str, str]
    """For the folders of a commit's checkout, their places in the user's working tree; else empty."""
    installed_first: bool
    foreign: Foreign | None
    directory: str
    arguments: dict[str, Any]
    seed: int | None
    frameworks: dict[str, str]
    """For each module of a framework, the text of the file of hooks that a backend offers."""
    is_step: bool
    float64: list[str]
    """The modules of frameworks that compute in float64 from their import on."""


class Made(msgspec.Struct, frozen=True, tag=True):
    """The step is made."""

    import_seconds: float
    build_seconds: float
    versions: dict[str, str]
    samples: int | None


class Place(msgspec.Struct, frozen=True):
    """The place of an array in a file of values, in C order; ``dtype`` as NumPy writes it."""

    shape: list[int]
    dtype: str
    offset: int


class FirstCalls(msgspec.Struct, frozen=True, tag=True):
    """Call the step ``count`` times and write the values to ``file``.

    After three calls, for at most ``seconds`` after the first.
    """

    count: int
    seconds: float
    file: str


class Called(msgspec.Struct, frozen=True, tag=True):
    """The places of the values and the duration of each call."""

    values: list[dict[str, Place]]
    seconds: list[float]


class ReadState(msgspec.Struct, frozen=True, tag=True):
    """Call the step's ``state()``, if it has one, and write its values to ``file``."""

    file: str


class State(msgspec.Struct, frozen=True, tag=True):
    """The places of the values that ``state()`` returned."""

    values: dict[str, Place]


class Block(msgspec.Struct, frozen=True, tag=True):
    """Call the step ``steps`` times and wait for its value, as one timed block."""

    steps: int


class Sample(msgspec.Struct, frozen=True):
    """An array that a call returned: the digest of its numbers, and some of them in hexadecimal bytes.

    Of a large array, the digest is of a part of the numbers.
    """

    shape: list[int]
    dtype: str
    digest: str
    numbers: str


class Timed(msgspec.Struct, frozen=True, tag=True):
    """The duration of a block, and the arrays that its last call returned, by their names."""

    seconds: float
    values: dict[str, Sample]


class SingleCalls(msgspec.Struct, frozen=True, tag=True):
    """Call the step ``count`` times, for ``seconds`` at most, and time each call."""

    count: int
    seconds: float


class Profile(msgspec.Struct, frozen=True, tag=True):
    """Call the step ``calls`` times under each profiler that there is."""

    calls: int


class Profiled(msgspec.Struct, frozen=True, tag=True):
    """The time of a call by operation, by each profiler."""

    profiles: list[StepProfile]


class ListImports(msgspec.Struct, frozen=True, tag=True):
    """List the files of the modules that the process has imported."""


class Imported(msgspec.Struct, frozen=True, tag=True):
    """The files that a process imported, without symbolic links.

    ``installed`` ones lie in folders of packages or of Python's library.
    """

    own: list[str]
    installed: list[str]


class MeasureMemory(msgspec.Struct, frozen=True, tag=True):
    """Report the peak memory of the process."""


class Used(msgspec.Struct, frozen=True, tag=True):
    """The peak memory of the process."""

    peak_bytes: int


class StepSession(Session):
    """The session of a step's process."""

    program = (str(_PROGRAM),)
    replies = Made | Called | State | Timed | Profiled | Imported | Used | protocol.Fault

    def __init__(
        self,
        variables: Mapping[str, str],
        deadline_seconds: float,
        python: str,
        cpus: Iterable[int] | None,
        silence_seconds: float | None,
    ) -> None:
        """Start the process: see :class:`harness.core.worker.session.Session`."""
        self._silence_seconds = SILENCE_LIMIT_SECONDS if silence_seconds is None else silence_seconds
        super().__init__(variables, deadline_seconds, python, cpus, silence_seconds)

    def receive(self, expected: type[_R]) -> _R:
        """Receive a reply; a timeout says whether the factory or the step hangs."""
        try:
            return super().receive(expected)
        except WorkerTimeout as error:
            if not error.silent:
                raise
            what = "the factory" if issubclass(expected, Made) else "the step"
            raise WorkerTimeout(
                f"{what} did not return within {self._silence_seconds:g} s, and its process was "
                "killed (--timeout DURATION, or timeout in a suite, sets this limit)",
                silent=True,
            ) from None


def framework_hooks() -> dict[str, str]:
    """Return the hooks that the installed backends offer, by the module of their framework."""
    found = {}
    for name in registry.names("backend"):
        try:
            backend = registry.backend(name)
        except PluginError:
            continue  # a broken plugin costs its own framework's seed alone
        if backend.step_hooks is not None:
            module, file = backend.step_hooks
            found[module] = Path(file).read_text("utf-8")
    return found


def parsed_arguments(texts: Iterable[str]) -> list[dict[str, Any]]:
    """Parse ``NAME=VALUE`` texts as arguments; ``NAME=A,B`` makes a set of arguments for each value."""
    every: list[dict[str, Any]] = [{}]
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--with {text}: write NAME=VALUE, such as --with batch_size=64")
        parsed = _values(values)
        if len(parsed) > 1 < len(every):
            raise UsageError(f"--with {text}: only one argument may have several values")
        if len(parsed) > 1:
            every = [{**every[0], name: value} for value in parsed]
        else:
            every = [{**arguments, name: parsed[0]} for arguments in every]
    return every


def _values(text: str) -> list[Any]:
    try:
        return [json.loads(text)]  # a list in brackets is one value
    except ValueError:
        parts = [part.strip() for part in text.split(",")]
    return [_value(part) for part in parts]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def is_this_interpreter(python: str) -> bool:
    """Check that a path is that of the running interpreter, in the same virtual environment."""
    places = [(Path(path).parent.resolve(), Path(path).resolve()) for path in (python, sys.executable)]
    return places[0] == places[1]


def own_files(imported: Imported, target: StepTarget) -> list[str]:
    """Return the files that a side imported from its own checkout, beside that of the factory."""
    folder = Path(target.folder).resolve()
    return [file for file in imported.own if Path(file).is_relative_to(folder) and Path(file) != target.file]


def refuse_foreign_code(label: str, imported: Imported, target: StepTarget) -> None:
    """Raise UsageError if a process imported code of the checkout that is foreign to it."""
    foreign = target.foreign
    for file in imported.own:
        if foreign is not None and Path(file) != target.file and search_path.is_part_of(file, foreign.top):
            place = Path(file).relative_to(foreign.top)
            raise UsageError(f"{label}: {target.target}: it imports {place}{foreign.remedy}")
