"""The pytest plugin: command-line options, and the fixture ``harness_benchmark`` on top of pytest-benchmark.

Every pytest loads it in whose environment dl-harness is installed, so it imports next to nothing else
before the fixture is used, and without pytest-benchmark only the use of the fixture fails.
"""

import argparse
import contextlib
import math
import sys

import pytest

from harness.errors import UsageError
from harness.machine.programs import program

_INTERPRETERS = {side: pytest.StashKey[str | None]() for side in ("base", "head")}
_PYTEST_BENCHMARK = ("benchmark", "pytest_benchmark.plugin")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; all are about the interpreters whose training steps are held against each other."""
    group = parser.getgroup("harness", "training steps of deep-learning frameworks (dl-harness)")
    group.addoption(
        "--harness-base-python",
        metavar="PATH",
        help="Hold training steps against those of this interpreter: another environment's bin/python.",
    )
    group.addoption(
        "--harness-head-python",
        metavar="PATH",
        default=sys.executable,
        help="The interpreter whose steps are timed. Default: this one.",
    )
    group.addoption(
        "--harness-gate",
        action="store_true",
        help="Fail a test whose head is worse than base beyond its limits. Needs --harness-base-python.",
    )
    group.addoption(
        "--harness-inconclusive",
        choices=["fail", "pass"],
        default="fail",
        help="What a test comes to where the gate cannot tell; where nothing was measured that can be "
        "believed, it fails. Default: %(default)s.",
    )
    group.addoption(
        "--harness-budget",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="What the gate may spend on a test; it begins no pair after that. Default: %(default)g.",
    )


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot work before anything is collected, and offer the fixture."""
    for side in ("base", "head"):
        config.stash[_INTERPRETERS[side]] = _given(config, side)
    if config.getoption("--harness-gate"):
        _refuse_gate_that_judges_nothing(config)
    if any(map(config.pluginmanager.hasplugin, _PYTEST_BENCHMARK)):
        from harness.pytest_plugin import fixture, outcome

        config.pluginmanager.register(fixture)
        config.pluginmanager.register(outcome)
    else:
        config.pluginmanager.register(_WithoutPytestBenchmark())


def pytest_report_header(config: pytest.Config) -> str | None:
    """That nothing can be found between two sides that are one."""
    base, head = interpreter(config, "base"), interpreter(config, "head") or sys.executable
    if base != head:
        return None
    return f"harness: base and head are the same, {head}: nothing but chance can tell them apart"


def interpreter(config: pytest.Config, side: str) -> str | None:
    """The program that was given for base or head; None where none was."""
    return config.stash[_INTERPRETERS[side]]


def _given(config: pytest.Config, side: str) -> str | None:
    """Looked up before any test can change the folder.

    Raises:
        pytest.UsageError: there is no such program.
    """
    option = f"--harness-{side}-python"
    path = config.getoption(option)
    if path is None:
        return None
    try:
        return program(option, path)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def _refuse_gate_that_judges_nothing(config: pytest.Config) -> None:
    if config.getoption("--harness-base-python") is None:
        raise pytest.UsageError(
            "--harness-gate has nothing to hold against: give --harness-base-python PATH, the bin/python of "
            "a virtual environment with the code of before"
        )
    if not any(map(config.pluginmanager.hasplugin, _PYTEST_BENCHMARK)):
        raise pytest.UsageError(f"--harness-gate {_WithoutPytestBenchmark.needs}")
    if config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "--harness-gate: times of tests that run side by side are worthless; leave xdist out (-n 0)"
        )
    for option, takes_back in (("--benchmark-disable", "--benchmark-enable"), ("--benchmark-skip", None)):
        if config.getoption(option) and not (takes_back and config.getoption(takes_back)):
            raise pytest.UsageError(
                f"--harness-gate would judge nothing with {option}; leave one of them out"
            )


class _WithoutPytestBenchmark:
    """The fixture where pytest-benchmark is not there: it says what is missing to whoever asks for it."""

    needs = "needs pytest-benchmark: pip install 'dl-harness[pytest]'"

    @pytest.fixture
    def harness_benchmark(self) -> None:
        """Needs pytest-benchmark: pip install 'dl-harness[pytest]'."""
        pytest.fail(f"harness_benchmark {self.needs}", pytrace=False)
