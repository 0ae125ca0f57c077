"""The settings that say how a file becomes a data set: ``--set-data NAME=VALUE``."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from harness.core.plugins.options import Value, takes
from harness.errors import UsageError, unknown_name


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a data file, by their names in ``--set-data``."""

    target: str = ""
    """The column of a table that is predicted."""
    drop: str = ""
    """Columns of a table to leave out, separated by commas."""
    image_size: Annotated[str, Meta(pattern=r"^[1-9]\d{0,3}(x[1-9]\d{0,3})?$")] = ""
    """``N`` or ``HEIGHTxWIDTH``, to which pictures are resized."""
    labels: Literal["auto", "classes", "numbers", "tokens"] = "auto"
    """What is predicted; ``auto`` follows from the type of the labels."""
    inputs: Literal["auto", "numbers", "tokens"] = "auto"
    """``auto`` takes integers of more than 8 bits, one row for each sample, for tokens."""
    test: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    """The share of the samples that is test data."""
    shuffle: bool = True
    """Draw the test data, from each class alike; otherwise the last samples are the test data."""
    standardize: Literal["auto", "none", "inputs", "all"] = "auto"
    """Subtract the mean of the training data and divide by its standard deviation; ``all``: numeric targets,
    too. ``auto`` is ``all`` for tables, otherwise ``none``."""

    def given(self) -> dict[str, Value]:
        """Return the settings that differ from their defaults, by name."""
        values: dict[str, Value] = msgspec.to_builtins(self)
        return values


def parse_settings(assignments: Iterable[str]) -> FileSettings:
    """Parse ``NAME=VALUE`` texts as settings of a data file."""
    values: dict[str, Value] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise UsageError(f"--set-data {assignment}: write NAME=VALUE, for example --set-data test=0.3")
        if name in values:
            raise UsageError(f"--set-data {name} is given twice; give it once.")
        values[name] = text
    return settings_of(values)


def settings_of(values: Mapping[str, Value]) -> FileSettings:
    """Return the settings with these values, which may be texts; the others have their defaults."""
    described: Any = msgspec.inspect.type_info(FileSettings)
    kinds = {field.encode_name: field.type for field in described.fields}
    for name, value in values.items():
        if name not in kinds:
            raise unknown_name("setting", name, kinds, owner="--set-data")
        try:
            msgspec.convert({name: value}, FileSettings, strict=False)
        except msgspec.ValidationError as error:
            right = _FORMS.get(name) or takes(kinds[name])
            raise UsageError(f"--set-data {name}={value}: {name} takes {right}.") from error
    return msgspec.convert(values, FileSettings, strict=False)


#: The forms of settings that are texts of a certain form.
_FORMS = {"image_size": "N or HEIGHTxWIDTH, such as 32 or 32x48"}
