"""Names given on the command line, several at once with commas."""

import click


def split_names(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """``a,b c`` and ``--task a,b --task c`` give a, b, c, each once."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))
