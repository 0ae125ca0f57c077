"""What a plugin provides, checked when it is loaded, so that a mistake is reported in one line."""

import math
import re
from typing import Any

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from harness.spec.backend import Backend
from harness.spec.contract import CONTRACT
from harness.spec.data import DataSource
from harness.spec.task import TaskDefinition

#: What names in records, file names and on the command line are made of.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
#: Modes become parts of file names and of lines.
_MODE = re.compile(r"[\w.+ -]+", re.ASCII)
#: The types that ``--set`` can parse and a record can hold.
_OPTION_TYPES = (
    msgspec.inspect.BoolType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.StrType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.EnumType,
)


def check(plugin: Backend | TaskDefinition | DataSource) -> None:
    """Check a plugin's attributes against the contract.

    Raises:
        ValueError: an attribute is missing or wrong; names it and what is expected.
    """
    has_summary = isinstance(getattr(plugin, "summary", None), str)
    if not has_summary:
        raise ValueError("it has no summary; expected one line of text")
    match plugin:
        case Backend():
            if plugin.contract not in range(1, CONTRACT + 1):
                raise ValueError(f"its contract is {plugin.contract!r}; this harness knows 1 to {CONTRACT}")
            _require_texts(plugin, "modes", "('eager',)", fewest=1)
            for mode in plugin.modes:
                if not _MODE.fullmatch(mode):
                    raise ValueError(f"its mode {mode!a} must be of letters, digits, spaces and . _ + -")
            _check_requirements(plugin)
        case TaskDefinition():
            _require_texts(plugin, "datasets", "('digits',)", fewest=1)
            _check_options(plugin.options)
            for name, preset in plugin.presets.items():
                for amount in ("epochs", "max_steps"):
                    count = getattr(preset, amount)
                    if count is not None and count < 1:
                        raise ValueError(f"its preset {name} has {count} {amount}; expected at least 1")


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
