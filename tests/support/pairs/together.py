"""Many steps in one process, each with seeds of its own, so that importing a framework is paid once."""

import traceback


def together(make, seed):
    """Return a factory of a step that calls ``make(**arguments)()`` for each of several arguments.

    ``seed(number)`` sets all generators. A step that fails is printed and returns nothing from then on.
    """

    def make_steps(steps):
        calls, made = [0], {}

        def attempted(name, number, function):
            seed(number)
            try:
                return function()
            except Exception:  # noqa: BLE001  such as types that do not mix
                print(f"{name} failed:\n{traceback.format_exc()}", flush=True)
                made.pop(name, None)
                return {}

        for name, arguments in steps.items():
            made[name] = None
            made[name] = attempted(name, 0, lambda arguments=arguments: make(**arguments))
        made = {name: step for name, step in made.items() if step}

        def step():
            calls[0] += 1
            return {name: attempted(name, calls[0], made[name]) for name in [*made]}

        step.state = lambda: {name: attempted(name, 0, made[name].state) for name in [*made]}
        return step

    return make_steps
