"""Checks of plugins when they are loaded, so that a mistake is reported in one line."""

import math
import re
from typing import Any

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from harness.core.machine.encoding import recorded
from harness.spec.backend import Backend
from harness.spec.data import DataSource
from harness.spec.study import StudyKind
from harness.spec.task import LOSSES, TaskDefinition

#: Names in records, file names and on the command line.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
#: Modes become parts of file names and of lines.
_MODE = re.compile(r"[\w.+ -]+", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Variables of everything that a process uses, not of compilations alone.
_NO_CACHES = {"HOME", "PATH", "PYTHONPATH", "TMPDIR", "XDG_CACHE_HOME"}
#: The types that ``--set`` can parse and a record can hold.
_OPTION_TYPES = (
    msgspec.inspect.BoolType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.StrType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.EnumType,
)


def check(plugin: Backend | TaskDefinition | DataSource | StudyKind) -> None:
    """Check a plugin's attributes against the contract."""
    has_summary = isinstance(getattr(plugin, "summary", None), str)
    if not has_summary:
        raise ValueError("it has no summary; expected one line of text")
    match plugin:
        case Backend():
            _check_backend(plugin)
        case TaskDefinition():
            _require_texts(plugin, "datasets", "('digits',)", fewest=1)
            _check_options(plugin.options)
            for name, preset in plugin.presets.items():
                for amount in ("epochs", "max_steps"):
                    count = getattr(preset, amount)
                    if count is not None and count < 1:
                        raise ValueError(f"its preset {name} has {count} {amount}; expected at least 1")
        case StudyKind():
            # It becomes part of the record, which is read back.
            recorded(plugin, StudyKind)


def _check_backend(backend: Backend) -> None:
    _require_texts(backend, "modes", "('eager',)", fewest=1)
    for mode in backend.modes:
        if not _MODE.fullmatch(mode):
            raise ValueError(f"its mode {mode!a} must be of letters, digits, spaces and . _ + -")
    _check_requirements(backend)
    _require_texts(backend, "losses", f"{LOSSES}")
    if unknown := [loss for loss in backend.losses if loss not in LOSSES]:
        raise ValueError(f"its losses name {unknown[0]!a}; known: {', '.join(LOSSES)}")
    _require_texts(backend, "compilation_caches", "('TRITON_CACHE_DIR',)")
    for variable in backend.compilation_caches:
        if not _VARIABLE.fullmatch(variable) or variable in _NO_CACHES:
            raise ValueError(f"its compilation_caches name {variable!a}, which is no variable of a cache")


def _require_texts(plugin: object, name: str, example: str, *, fewest: int = 0) -> None:
    texts: Any = getattr(plugin, name, None)
    # A plain string is a tuple whose comma was forgotten.
    listed = isinstance(texts, tuple | list) and all(isinstance(text, str) for text in texts)
    if not listed or len(texts) < fewest:
        raise ValueError(f"its {name} are {texts!r}; expected a tuple such as {example}")


def _check_requirements(backend: Backend) -> None:
    _require_texts(backend, "requires", "('torch>=2.6',)")
    for text in backend.requires:
        try:
            Requirement(text)
        except InvalidRequirement:
            raise ValueError(f"it requires {text!r}; expected a requirement such as 'torch>=2.6'") from None


def _check_options(options: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(options):
        if not _recordable(msgspec.inspect.type_info(field.type)):
            raise ValueError(
                f"its option {field.name} is of type {field.type}; expected bool, int, float, str or a "
                "Literal of these"
            )
    try:
        defaults = msgspec.structs.asdict(options())
        msgspec.convert(defaults, options)
    except (TypeError, msgspec.ValidationError) as error:
        raise ValueError(f"the defaults of its options are invalid: {error}") from error
    for name, value in defaults.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the default of its option {name} is {value}; expected a finite number")


def _recordable(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _recordable(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return all(map(_recordable, kind.types))
    return isinstance(kind, _OPTION_TYPES) and None not in getattr(kind, "values", ())
