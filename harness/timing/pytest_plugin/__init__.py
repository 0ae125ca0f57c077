"""The pytest plugin: command-line options, and the fixture ``harness_benchmark`` on top of pytest-benchmark.

Every pytest in an environment with dl-harness loads it. So it imports almost nothing before the fixture is
used, and without pytest-benchmark only tests that use the fixture fail.
"""

import argparse
import sys
from typing import TYPE_CHECKING

import pytest

from harness.core.machine.arguments import seconds_of
from harness.errors import UsageError
from harness.timing.pytest_plugin.options import (
    BASE_COMMIT,
    INTERPRETERS,
    given_interpreter,
    has_base,
    interpreter,
    project_folder,
)

if TYPE_CHECKING:
    from harness.timing.pytest_plugin.base_commit import BaseCommit

_PYTEST_BENCHMARK = ("benchmark", "pytest_benchmark.plugin")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, which define base and head and when a test fails."""
    group = parser.getgroup("harness", "training steps of deep-learning frameworks (dl-harness)")
    group.addoption(
        "--harness-base",
        metavar="REF",
        help="Compare training steps with those of this commit, branch or tag; head is the working tree. "
        "Steps of your own run this interpreter with the files of either. Default: no comparison.",
    )
    group.addoption(
        "--harness-base-python",
        metavar="PATH",
        help="In place of --harness-base, the bin/python of another environment, whose installed code is "
        "base.",
    )
    group.addoption(
        "--harness-head-python",
        metavar="PATH",
        help="Time training steps of this interpreter. Default: the one that runs pytest. Not with "
        "--harness-base.",
    )
    group.addoption(
        "--harness-gate",
        action="store_true",
        help="Fail a test if head is worse than base beyond its limits. Requires --harness-base or "
        "--harness-base-python.",
    )
    group.addoption(
        "--harness-inconclusive",
        choices=["fail", "pass"],
        default="fail",
        help="Outcome of a test whose verdict is INCONCLUSIVE: more time would decide it. A test with the "
        "verdict INVALID always fails. Default: %(default)s.",
    )
    group.addoption(
        "--harness-budget",
        type=_duration,
        metavar="DURATION",
        help="Limit of the gate of one test, such as 90s or 5m; a bare number is seconds. No pair starts "
        "after it. Default: until it is decided, at most 5 minutes after the first pairs.",
    )


def _duration(text: str) -> float:
    try:
        return seconds_of(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def pytest_configure(config: pytest.Config) -> None:
    """Check the options before anything is collected, and register the fixture."""
    for label, key in INTERPRETERS.items():
        config.stash[key] = given_interpreter(config, label)
    config.stash[BASE_COMMIT] = _base_commit(config)
    if config.getoption("--harness-gate"):
        _refuse_gate_without_results(config)
    if any(map(config.pluginmanager.hasplugin, _PYTEST_BENCHMARK)):
        from harness.timing.pytest_plugin import fixture, summary

        config.pluginmanager.register(fixture)
        config.pluginmanager.register(summary)
    else:
        config.pluginmanager.register(_WithoutPytestBenchmark())


def _base_commit(config: pytest.Config) -> "BaseCommit | None":
    """Return the base of ``--harness-base``, which is closed at the end; None without the option."""
    reference = config.getoption("--harness-base")
    if reference is None:
        return None
    for option in ("--harness-base-python", "--harness-head-python"):
        if config.getoption(option) is not None:
            raise pytest.UsageError(
                f"--harness-base REF and {option} exclude each other: a commit is compared with the working "
                "tree, in this interpreter"
            )
    from harness.timing.pytest_plugin.base_commit import BaseCommit

    base = BaseCommit(reference, project_folder(config))
    config.add_cleanup(base.close)
    return base


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return a caution where base and head are the same interpreter."""
    base, head = interpreter(config, "base"), interpreter(config, "head") or sys.executable
    if base != head:
        return None
    return f"harness: base and head are the same ({head}), so every difference is chance"


def _refuse_gate_without_results(config: pytest.Config) -> None:
    if not has_base(config):
        raise pytest.UsageError(
            "--harness-gate needs a base: add --harness-base REF, a commit, or --harness-base-python PATH, "
            "the bin/python of a virtual environment with the earlier code"
        )
    if not any(map(config.pluginmanager.hasplugin, _PYTEST_BENCHMARK)):
        raise pytest.UsageError(f"--harness-gate {_WithoutPytestBenchmark.needs}")
    if config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "--harness-gate: xdist runs tests in parallel, which distorts times; turn it off (-n 0)"
        )
    for option, takes_back in (("--benchmark-disable", "--benchmark-enable"), ("--benchmark-skip", None)):
        if config.getoption(option) and not (takes_back and config.getoption(takes_back)):
            raise pytest.UsageError(f"--harness-gate has no results with {option}; leave one of them out")


class _WithoutPytestBenchmark:
    """The fixture where pytest-benchmark is not installed: it fails and names the missing package."""

    needs = "needs pytest-benchmark: pip install 'dl-harness[pytest]'"

    @pytest.fixture
    def harness_benchmark(self) -> None:
        """Needs pytest-benchmark: pip install 'dl-harness[pytest]'."""
        pytest.fail(f"harness_benchmark {self.needs}", pytrace=False)
