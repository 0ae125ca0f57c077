"""The frameworks of a step's process, through the hooks that backends offer for them.

``program.py`` executes this file in the process of the user's step, so it imports the standard library alone
and runs on Python 3.8.
"""

import importlib.util
import sys


class Frameworks:
    """Hooks of backends for the frameworks that the user's code has imported."""

    def __init__(self, sources):
        self.sources, self._made = sources, {}

    def _hooks(self, name, of=None):
        for module, source in self.sources.items():
            if module not in sys.modules or of not in {None, module}:
                continue
            if module not in self._made:
                self._made[module] = {}
                exec(compile(source, f"<{module} hooks>", "exec"), self._made[module])
            if name in self._made[module]:
                yield self._made[module][name]

    def seed(self, seed):
        for hook in self._hooks("seed"):
            hook(seed)

    def synchronizer(self):
        """Return a function that waits until the value of a step is computed."""
        hooks = list(self._hooks("synchronize"))
        if not hooks:
            return lambda _value: None
        if len(hooks) == 1:
            return hooks[0]
        return lambda value: [hook(value) for hook in hooks]

    def profilers(self):
        """Return the profilers of the frameworks, by their modules."""
        return {module: hook for module in self.sources for hook in self._hooks("profile", module)}

    def compute_in_float64(self, modules):
        """Have these frameworks compute in float64, from their import on, with the user's code as it is."""
        sys.meta_path.insert(0, _Importing(dict.fromkeys(modules, self._widen)))

    def _widen(self, module):
        hooks = list(self._hooks("compute_in_float64", module))
        if not hooks:
            raise RuntimeError(f"{module} has no way to compute in float64")
        for hook in hooks:
            hook()

    def array(self, value):
        """Return a framework's array as one of NumPy; other values unchanged."""
        for hook in self._hooks("array"):
            value = hook(value)
        return value


class _Importing:
    """A finder of modules that calls a function with the name of a module right after its import."""

    def __init__(self, functions):
        self._functions = functions

    def find_spec(self, name, _path=None, _target=None):
        function = self._functions.pop(name, None)
        spec = None if function is None else importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                function(name)

            spec.loader.exec_module = exec_module
        return spec
