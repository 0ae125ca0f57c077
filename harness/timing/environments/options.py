"""The option ``--step`` of commands that take a step of the user's own in place of a benchmark."""

import click

from harness.errors import UsageError
from harness.timing.engine.asked import parsed
from harness.timing.engine.steps.options import StepOptions
from harness.timing.engine.steps.process import StepTarget, parsed_arguments
from harness.timing.environments.suite import Benchmark

#: ``--step`` of commands that take a step in place of a benchmark.
own_step = click.option(
    "--step",
    metavar="FACTORY",
    help="Step of your own: FILE.py:CALLABLE or package.module:CALLABLE; in quotes with settings, "
    '"bench.py:make_step threads=1".',
)

#: ``--own-file`` of commands that run the steps of commits.
own_file = click.option(
    "--own-file",
    is_flag=True,
    help="All commits run the step's file of the working tree. Default: each runs its own, and one that has "
    "none that of the working tree.",
)


def refuse_step_options(options: StepOptions, instead: str) -> None:
    """Raise UsageError for an option of steps where there is no step, but this ``instead``."""
    if own := options.of_own_steps:
        raise UsageError(f"{own[0]} is for --step; {instead} has its own settings")


def step_benchmark(name: str, options: StepOptions, command: str) -> Benchmark:
    """Return the step of ``--step``, a name with settings, as a benchmark of a suite."""
    (arguments, *others) = parsed_arguments(options.arguments)
    if others:
        raise UsageError(f"{command} takes one value of each argument")
    asked = parsed(name)
    asked.refuse(("precision", "batch_size", "private"), "is for tasks; give --with NAME=VALUE")
    asked.refuse(("python", "variables"), f"is not for {command}, which makes the environments")
    StepTarget(target=asked.name)  # raises for another form
    return Benchmark(
        name="step",
        step=asked.name,
        arguments=arguments,
        samples=options.samples,
        timeout=f"{options.timeout:f}s" if options.timeout else None,
        seed=options.seed,
        device=asked.device or options.device,
        threads=asked.threads or options.threads,
    )
