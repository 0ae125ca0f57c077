"""The process of a step of the user's own: makes the step, calls it, times it.

It is run as a file by the interpreter of a side, which needs no harness: ``python program.py REQUEST_FD
REPLY_FD``. It imports the standard library and files beside it alone, and runs on Python 3.8. Requests and
replies are lines of JSON, whose types are in :mod:`harness.timing.engine.steps.process`. Standard output and
error belong to the user's code.
"""

import contextlib
import importlib
import importlib.util
import inspect
import json
import operator
import os
import random
import resource
import signal
import sys
import time
import traceback

#: No further first call is made once the values of those before, if there are enough, take more bytes.
_MOST_VALUE_BYTES = 1 << 28
_TRACEBACK_CHARACTERS = 20000
_FEWEST_CALLS = 3
#: Requests of calls of the step.
_CALLING = ("FirstCalls", "Block", "SingleCalls")
_HERE = os.path.dirname(os.path.abspath(__file__))


def _beside(name):
    """Execute the file of this name beside this one, as a module whose name is none of the user's."""
    spec = importlib.util.spec_from_file_location("_harness_" + name, os.path.join(_HERE, name + ".py"))
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


search_path, program_frameworks, program_values = map(
    _beside, ("search_path", "program_frameworks", "program_values")
)
WrongInputError = program_values.WrongInputError
_WRONG = (WrongInputError, search_path.ForeignCodeError)


class Step:
    """The user's step, and the requests that it carries out."""

    #: Bound before the user's code, whose tests may replace functions of :mod:`time`.
    _now = staticmethod(time.perf_counter)

    def __init__(self, request):
        self._frameworks = program_frameworks.Frameworks(request["frameworks"])
        self._folders = request["folders"]
        self._frameworks.compute_in_float64(request["float64"])
        if request["directory"]:
            os.chdir(request["directory"])
        self._search_path = search_path.SearchPath(
            request["folders"], request["installed_first"], request["foreign"]
        )
        start = self._now()
        factory = _callable(_module(request), request["name"])
        self.import_seconds = self._now() - start
        seed = request["seed"]
        if seed is not None:
            random.seed(seed)
            if "numpy" in sys.modules:
                sys.modules["numpy"].random.seed(seed)
            self._frameworks.seed(seed)
        start = self._now()
        _check_arguments(factory, request["arguments"], "")
        if request["is_step"]:
            self._step = lambda: factory(**request["arguments"])
        else:
            self._step = factory(**request["arguments"])
        if not callable(self._step):
            kind = type(self._step).__name__
            raise WrongInputError(f"it returns {kind}, and no callable: return the step itself")
        _check_arguments(self._step, {}, "the step is called without arguments: ")
        self.build_seconds = self._now() - start
        self._synchronize = self._frameworks.synchronizer()
        self._values = program_values.Values(self._frameworks)
        #: Calls that came to their end, for errors.
        self.calls = 0

    def described(self):
        return {
            "type": "Made",
            "import_seconds": self.import_seconds,
            "build_seconds": self.build_seconds,
            "versions": _versions(self._frameworks.sources),
            "samples": self._samples(),
        }

    def imported(self):
        return {"type": "Imported", **self._search_path.imported()}

    def _samples(self):
        """Return the samples of a call that the step states; None where it states no whole number."""
        samples = getattr(self._step, "samples", None)
        if samples is None or callable(samples):
            return None
        try:
            number = operator.index(samples)
        except TypeError:
            number = 0
        if number < 1:
            raise WrongInputError(f"the samples of the step are {samples!r}, and no whole number from 1 on")
        return number

    def first_calls(self, count, seconds, file):
        """Write the values of the next calls to ``file``; return their places in it, and the times.

        At least three calls are made. Further ones begin within ``seconds`` of the end of the first, in
        which many frameworks compile, and until the values take :data:`_MOST_VALUE_BYTES`.
        """
        values, taken, start = [], [], self._now()
        with open(file, "wb") as written:
            while len(values) < count:
                spent = self._now() - start > seconds or written.tell() > _MOST_VALUE_BYTES
                if len(values) >= _FEWEST_CALLS and spent:
                    break
                before = self._now()
                value = self._step()
                self._synchronize(value)
                taken.append(self._now() - before)
                self.calls += 1
                values.append(self._values.write(value, written))
                start = start if values[1:] else self._now()
        return {"type": "Called", "values": values, "seconds": taken}

    def state(self, file):
        state = getattr(self._step, "state", None)
        with open(file, "wb") as written:
            return {
                "type": "State",
                "values": self._values.write(state(), written) if callable(state) else {},
            }

    def block(self, steps):
        """Time a block of calls, then read the value of the last one."""
        step, value, made = self._step, None, 0
        start = self._now()
        try:
            for made in range(steps):  # noqa: B007
                value = step()
        except BaseException:
            self.calls += made
            raise
        self._synchronize(value)
        seconds = self._now() - start
        self.calls += steps
        return {"type": "Timed", "seconds": seconds, "values": self._values.sampled(value)}

    def single_calls(self, count, seconds):
        step, synchronize, taken = self._step, self._synchronize, []
        before = self._now()
        until = before + seconds
        while len(taken) < count and before < until:
            synchronize(step())
            after = self._now()
            taken.append(after - before)
            self.calls += 1
            before = after
        return {"type": "Called", "values": [], "seconds": taken}

    def profile(self, calls):
        """Profile a call: see ``program_profile.py`` beside this file, which other processes do not need."""
        profiler = _beside("program_profile")

        def run():
            value, start = None, self._now()
            for _ in range(calls):
                value = self._step()
            self._synchronize(value)
            return self._now() - start

        return {
            "type": "Profiled",
            "profiles": profiler.profiles(run, calls, self._frameworks.profilers(), self._folders),
        }


def _module(request):
    """Import the module of the factory: a file of the side's own, or a module that is found by name."""
    place = request["file"] or request["module"]
    if request["file"] and not os.path.isfile(place):  # Python would wait for the writer of a pipe
        why = "not a file:" if os.path.exists(place) else "there is no file"
        raise WrongInputError(f"{why} {place}")
    try:
        if not request["file"]:
            return importlib.import_module(request["module"])
        name = os.path.splitext(os.path.basename(place))[0]
        spec = importlib.util.spec_from_file_location(name, place)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except ImportError as error:
        missing = _missing(error, request)
        if not missing:
            raise
        raise WrongInputError(missing) from error
    return module


def _missing(error, request):
    """Say where the module is missing that an import did not find: in the side's checkout, or installed.

    Return nothing for another error, such as a name that a module lacks.
    """
    name, is_module = error.name or "", isinstance(error, ModuleNotFoundError)
    if not is_module:  # ``from package import module``
        name = "{}.{}".format(name, getattr(error, "name_from", None))
    file = os.path.join(*name.split(".")) + ".py"
    for folder, original in request["originals"].items():
        shown = os.path.relpath(os.path.join(folder, file), request["checkout"])
        package = os.path.join(original, file[: -len(".py")], "__init__.py")
        if os.path.isfile(os.path.join(original, file)) or os.path.isfile(package):
            return f"it needs {name}: {shown} is in your working tree, but not in the commit: git add it"
    for folder in request["folders"]:
        if is_module and "." in name and os.path.isdir(os.path.join(folder, name.split(".")[0])):
            shown = os.path.relpath(os.path.join(folder, file), request["checkout"])
            where = "is not in the commit" if request["originals"] else "does not exist"
            return f"it needs {name}: {shown} {where}"
    if not is_module:
        return ""
    needed = f"the module {name}" if name == request["module"] else f"it needs {name}, which"
    return f"{needed} is not installed for {sys.executable}"


def _callable(module, name):
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if callable(found):
        return found
    functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
    listed = f" It has {', '.join(sorted(functions)[:8])}." if functions else ""
    raise WrongInputError(f"there is no callable {name!r}.{listed}")


def _check_arguments(function, arguments, before):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        takes = ", ".join(str(each) for each in signature.parameters.values()) or "no arguments"
        raise WrongInputError(f"{before}{error}; it takes {takes}") from error


def _versions(modules):
    found = {"python": "{}.{}.{}".format(*sys.version_info[:3])}
    for name in ["numpy", *modules]:
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            found[name] = version
    return found


def _peak_bytes():
    """Measure as :func:`harness.core.machine.memory.peak_memory_bytes`: without the parent process."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _explained(error, target, step):
    """Say in one line whose fault the error is; ``step`` is the step that was called, if it was."""
    if isinstance(error, _WRONG):
        return f"{target}: {error}"
    what = type(error).__name__ + (f": {error}" if str(error) else "")
    if isinstance(error, SystemExit):
        what = f"sys.exit({error.code})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((_HERE, "<"))]
    call = [f"call {step.calls + 1}"] if step is not None else []
    place = [f"{os.path.basename(own[-1].filename)}, line {own[-1].lineno}"] if own else []
    where = f" ({', '.join([*call, *place])})" if call or place else ""
    return f"{target} raised {what}{where}"


def _fault(error, target, step):
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "type": "Fault",
        "message": _explained(error, target, step)[:2000],
        "traceback": trace[-_TRACEBACK_CHARACTERS:],
        "unsupported": isinstance(error, _WRONG),
        "memory_ran_out": isinstance(error, MemoryError),
    }


def _die_with_parent_and_keep_orphans():
    """Have the kernel end this process with its parent, and give it its orphans, as a worker."""
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(1, signal.SIGKILL)
        prctl(36, 1)


#: The reply to each kind of request but the first.
_ANSWERS = {
    "FirstCalls": lambda step, request: step.first_calls(
        request["count"], request["seconds"], request["file"]
    ),
    "ReadState": lambda step, request: step.state(request["file"]),
    "Block": lambda step, request: step.block(request["steps"]),
    "SingleCalls": lambda step, request: step.single_calls(request["count"], request["seconds"]),
    "ListImports": lambda step, _request: step.imported(),
    "Profile": lambda step, request: step.profile(request["calls"]),
    "MeasureMemory": lambda _step, _request: {"type": "Used", "peak_bytes": _peak_bytes()},
}


def main():
    _die_with_parent_and_keep_orphans()
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != _HERE]
    step, target, process = None, "the step", os.getpid()
    for descriptor in sys.argv[1:3]:
        os.set_inheritable(int(descriptor), False)
    requests, replies = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb", 0)
    sys.argv[1:] = []  # the user's code may read them
    for line in requests:
        request = json.loads(line)
        kind = request["type"]
        try:
            if kind == "Make":
                target = request["target"]
                step = Step(request)
                reply = step.described()
            else:
                reply = _ANSWERS[kind](step, request)
        except BaseException as error:  # whatever the user's code raises belongs in the record
            reply = _fault(error, target, step if kind in _CALLING else None)
        if os.getpid() != process:
            os._exit(1)  # a child that the user's code forked; only its parent may reply
        replies.write(json.dumps(reply, allow_nan=False).encode() + b"\n")
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
