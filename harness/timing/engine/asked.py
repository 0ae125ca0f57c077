"""A configuration as it is written on a command line: ``"torch:compile threads=2"``."""

import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from harness.core.machine.arguments import program
from harness.core.machine.cpus import WORKER_CPUS
from harness.core.machine.description import default_threads
from harness.core.plugins.configuration import Configuration
from harness.core.shell.options import MOST_THREADS, PRECISIONS
from harness.errors import UsageError, unknown_name
from harness.spec.backend import DEVICE_PATTERN, Precision

#: Where the settings begin: the name before them, such as the path of a file, may have spaces.
_FIRST_SETTING = re.compile(r"\s+[A-Za-z_][\w.]*=")
_VARIABLE = "env."
#: How the options of DP-SGD begin, which a configuration may have of its own.
_PRIVATE = "dp_"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A backend with its mode, a factory or a model, and its settings; None where the command's hold."""

    name: str
    python: str | None = None
    variables: dict[str, str] = {}
    threads: int | None = None
    precision: Precision | None = None
    device: str | None = None
    batch_size: int | None = None
    private: list[str] = []
    """Options of DP-SGD, as for ``--set``."""

    @property
    def interpreter(self) -> str:
        """The interpreter of its processes."""
        return self.python or sys.executable

    @property
    def settings(self) -> list[str]:
        """The names of the settings that it has of its own."""
        fields = ("python", "variables", "threads", "precision", "device", "batch_size", "private")
        return [field for field in fields if getattr(self, field)]

    def refuse(self, settings: Sequence[str], why: str) -> None:
        """Raise UsageError for the first of these ``settings`` that it has; ``why`` follows its name."""
        for setting in self.settings:
            if setting in settings:
                raise UsageError(f"{self.name}: {setting.replace('variables', 'env')} {why}")

    def configuration(
        self, backend: str, mode: str, device: str, threads: int | None, precision: Precision = "float32"
    ) -> Configuration:
        """Return the configuration; the arguments hold where it has no such setting."""
        return Configuration(
            backend=backend,
            mode=mode,
            device=self.device or device,
            threads=self.threads or threads or default_threads(),
            precision=self.precision or precision,
            python=self.interpreter,
            variables=tuple(self.variables.items()),
        )


def parsed(text: str) -> Asked:
    """Parse a name and settings: ``"jax python=old/bin/python env.XLA_FLAGS='--a --b' threads=2"``."""
    begin = _FIRST_SETTING.search(text)
    if begin is None:
        return Asked(name=text.strip())
    try:
        words = shlex.split(text[begin.start() :])
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}; close the quotation mark") from error
    given: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or (not value and not key.startswith(_VARIABLE)) or key == _VARIABLE:
            raise UsageError(f"{text!r}: write settings as NAME=VALUE, such as threads=2, not {word!r}")
        if key == f"{_VARIABLE}{WORKER_CPUS}":
            raise UsageError(f"{word}: the harness sets this variable; use threads=N")
        if key in given:
            raise UsageError(f"{text!r}: {key} is given twice")
        given[key] = value
    return Asked(
        name=text[: begin.start()].strip(),
        variables={
            key.removeprefix(_VARIABLE): value for key, value in given.items() if key.startswith(_VARIABLE)
        },
        private=[f"{key}={value}" for key, value in given.items() if key.startswith(_PRIVATE)],
        **{
            key: _value(key, value)
            for key, value in given.items()
            if not key.startswith((_VARIABLE, _PRIVATE))
        },
    )


def written(name: str, python: str, variables: Mapping[str, str]) -> str:
    """Return the text of a configuration of these processes, as :func:`parsed` reads it."""
    settings = {"python": python, **{f"{_VARIABLE}{key}": value for key, value in variables.items()}}
    return " ".join([name, *(f"{key}={shlex.quote(value)}" for key, value in settings.items())])


def _value(key: str, text: str) -> Any:
    if key not in _READERS:
        raise unknown_name("setting", key, [*_READERS, f"{_VARIABLE}NAME", f"{_PRIVATE}NAME"])
    try:
        return _READERS[key](text)
    except ValueError as error:
        raise UsageError(f"{key}={text}: {error}") from error


def _whole(most: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if text.isdecimal() else 0
        if number < 1 or (most is not None and number > most):
            raise ValueError("write a whole number from 1 on" + f" to {most}" * (most is not None))
        return number

    return read


def _precision(text: str) -> str:
    if text not in PRECISIONS:
        raise ValueError(f"a precision is one of {', '.join(PRECISIONS)}")
    return text


def _device(text: str) -> str:
    if not re.match(DEVICE_PATTERN, text):
        raise ValueError("write auto, cpu, cuda or cuda:N")
    return text


#: How each setting is read.
_READERS: dict[str, Callable[[str], Any]] = {
    "python": lambda text: program("python", text),
    "threads": _whole(MOST_THREADS),
    "precision": _precision,
    "device": _device,
    "batch_size": _whole(),
}
