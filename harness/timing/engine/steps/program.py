"""The process of a step of the user's own: makes the step, calls it, times it.

It is run as a file by the interpreter of a side, which needs no harness: ``python program.py REQUEST_FD
REPLY_FD``. It imports the standard library and ``search_path.py`` alone, and runs on Python 3.8. Requests
and replies are lines of JSON, whose types are in :mod:`harness.timing.engine.steps.process`. Standard output
and error belong to the user's code.
"""

import collections
import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import itertools
import json
import operator
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback

#: No further first call is made once the values of those before, if there are enough, take more bytes.
_MOST_VALUE_BYTES = 1 << 28
_TRACEBACK_CHARACTERS = 20000
_FEWEST_CALLS = 3
#: Values of the calls of a block that are kept until they were compared: so many bytes, of one call at least.
_KEPT_BYTES, _LEAST_VALUE_BYTES = 1 << 20, 32
#: Of a larger array every n-th number is compared, from a random one on; about so many are sent.
_COMPARED_NUMBERS, _SENT_NUMBERS = 1 << 15, 64
#: A buffer that a step writes again is met within so many calls.
_LONGEST_RING = 64
#: Requests of calls of the step.
_CALLING = ("FirstCalls", "Block", "SingleCalls")
_HERE = os.path.dirname(os.path.abspath(__file__))


def _search_path():
    """Return the module ``search_path.py``, under a name that is no module of the user's."""
    spec = importlib.util.spec_from_file_location(
        "_harness_search_path", os.path.join(_HERE, "search_path.py")
    )
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


search_path = _search_path()


class WrongInputError(Exception):
    """The request cannot be carried out as given. The target and a colon stand before the message."""


class OtherTypeError(TypeError):
    """A later call returned a value of another type than the first."""


_WRONG = (WrongInputError, search_path.ForeignCodeError)


class _Frameworks:
    """Hooks of backends for the frameworks that the user's code has imported."""

    def __init__(self, sources):
        self._sources, self._made = sources, {}
        self._types = set()

    def _hooks(self, name, of=None):
        for module, source in self._sources.items():
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
        return {module: hook for module in self._sources for hook in self._hooks("profile", module)}

    def compute_in_float64(self, modules):
        """Have these frameworks compute in float64, from their import on, with the user's code as it is."""
        sys.meta_path.insert(0, _Importing(dict.fromkeys(modules, self._widen)))

    def _widen(self, module):
        hooks = list(self._hooks("compute_in_float64", module))
        if not hooks:
            raise WrongInputError(f"{module} cannot be told to compute in float64")
        for hook in hooks:
            hook()

    def array(self, value):
        """Return a framework's array as one of NumPy; other values unchanged."""
        for hook in self._hooks("array"):
            value = hook(value)
        return value

    def light(self, value):
        """Return an array without what it holds beside its numbers, such as a graph."""
        for hook in self._hooks("light"):
            value = hook(value)
        return value

    def note_types(self):
        """Take note of the types of NumPy and of the frameworks, all of which are imported."""
        self._types = {bool, int, float, complex}
        if "numpy" in sys.modules:
            numpy = sys.modules["numpy"]
            self._types |= {numpy.ndarray, *numpy.sctypeDict.values()} - {numpy.object_}
        for types in self._hooks("types"):
            self._types.update(types())

    def is_computed(self, value):
        """Check that reading a value computes nothing: all types are Python's, NumPy's or a framework's own.

        A subclass, an array of objects or an object with ``__array__`` may compute its numbers when they are
        read. Of frameworks whose hooks name no types, all arrays pass that these convert.
        """
        kind = type(value)
        if kind is dict:
            return all(map(self.is_computed, value.values()))
        if kind in (list, tuple):
            return all(map(self.is_computed, value))
        if value is None or isinstance(value, (dict, list, tuple)):
            return value is None
        if kind in self._types:
            return getattr(getattr(value, "dtype", None), "kind", "") != "O"
        unnamed = [module for module in self._sources if not list(self._hooks("types", module))]
        return any(hook(value) is not value for module in unnamed for hook in self._hooks("array", module))


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


class Step:
    """The user's step, and the requests that it carries out."""

    #: Bound before the user's code, which may replace it in modules, such as :mod:`time`.
    _now = staticmethod(time.perf_counter)

    def __init__(self, request):
        self._frameworks, self._folders = _Frameworks(request["frameworks"]), request["folders"]
        self._frameworks.compute_in_float64(request["float64"])
        if request["directory"]:
            os.chdir(request["directory"])
        self._search_path = search_path.SearchPath(
            request["folders"], request["installed_first"], request["foreign"], request["started_ns"]
        )
        start = self._now()
        factory = _callable(_module(request, self._search_path), request["name"])
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
        #: The values of the last calls, the number of the call after them, and what is done to a value before
        #: it is kept; None: nothing.
        self._kept, self._after, self._take = collections.deque(), 1, None
        self._most_kept = None
        #: Calls that came to their end, for errors.
        self.calls = 0

    def described(self):
        return {
            "type": "Made",
            "import_seconds": self.import_seconds,
            "build_seconds": self.build_seconds,
            "versions": _versions(self._frameworks._sources),
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
                values.append(self._write(value, written))
                start = start if values[1:] else self._now()
        return {"type": "Called", "values": values, "seconds": taken}

    def state(self, file):
        state = getattr(self._step, "state", None)
        with open(file, "wb") as written:
            return {"type": "State", "values": self._write(state(), written) if callable(state) else {}}

    def block(self, steps, keep):
        """Time a block of calls; ``keep`` their values for :meth:`returned`, as far as they fit.

        A value is only referred to, so the time of a call is that without ``keep``. One whose numbers might
        be computed later, when they are read, is read at once: that is part of the time.
        """
        step, times, take = self._step, itertools.repeat(None, steps), self._take
        self._kept = kept = collections.deque(maxlen=self._most_kept if keep and self._most_kept else 1)
        append = kept.append
        start = self._now()
        try:
            if take is None or not keep:
                for _ in times:
                    append(step())
            else:
                for _ in times:
                    append(take(step()))
        except BaseException:
            self.calls += steps - operator.length_hint(times) - 1
            raise
        self._synchronize(kept[-1])
        seconds = self._now() - start
        self.calls += steps
        if keep and self._most_kept is None:
            self._choose_kept(kept[-1])
        return {"type": "Timed", "seconds": seconds, "kept": len(kept) * keep}

    def _choose_kept(self, value):
        """Choose by the first value how many are kept, and what is done to each before."""
        self._frameworks.note_types()
        if not self._frameworks.is_computed(value):
            self._take = self._read
            self._kept[-1] = value = self._read(value)
            self._frameworks.note_types()  # NumPy may be new
        elif any(self._frameworks.light(part) is not part for _, part in _parts(value)):
            self._take = self._lightened
        size = sys.getsizeof(value) if isinstance(value, (dict, list, tuple)) else 0
        size += sum(getattr(part, "nbytes", 0) or sys.getsizeof(part) for _, part in _parts(value))
        self._most_kept = max(1, _KEPT_BYTES // max(size, _LEAST_VALUE_BYTES))

    def _read(self, value):
        """Return the arrays and numbers of a value by their names, as NumPy has them."""
        return {name: _as_array(self._frameworks.array(part)) for name, part in _parts(value)}

    def _lightened(self, value):
        if type(value) is dict:
            return {key: self._lightened(part) for key, part in value.items()}
        if type(value) in (list, tuple):
            return [self._lightened(part) for part in value]
        return self._frameworks.light(value)

    def returned(self, calls, start):
        """Return the values of these calls of the last block, as far as they were kept and are still theirs.

        A step may return a buffer that a later call writes again. Of a large array every n-th number counts,
        from one on that ``start`` chooses.
        """
        kept, values = list(self._kept), []
        before = self.calls - len(kept)
        for call in calls:
            place = call - before - 1
            if not 0 <= place < len(kept) or _is_overwritten(kept, place):
                continue
            if not self._frameworks.is_computed(kept[place]):
                raise OtherTypeError(f"call {call} returned values of other types than the first call")
            try:
                values.append({"call": call, "values": self._sampled(kept[place], start)})
            except Exception:
                if call == self.calls:  # a framework may have given away what is older
                    raise
        self._kept = collections.deque()
        return {"type": "Returned", "values": values}

    def _sampled(self, value, start):
        found = {}
        for name, part in _parts(value):
            array = self._frameworks.array(part)
            piece = _piece(array, _COMPARED_NUMBERS, start)
            _, dtype, numbers = _plain(piece)
            found[name] = {
                "shape": list(getattr(array, "shape", ())),
                "dtype": dtype,
                "digest": hashlib.blake2b(numbers, digest_size=16).hexdigest(),
                "numbers": _plain(_piece(piece, _SENT_NUMBERS, start))[2].hex(),
            }
        return found

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
        file = os.path.join(_HERE, "program_profile.py")
        spec = importlib.util.spec_from_file_location("program_profile", file)
        profiler = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(profiler)

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

    def _write(self, value, file):
        """Write the arrays of a value; return ``{name: place}``, empty where it returns nothing."""
        places = {}
        for name, part in _parts(value):
            shape, dtype, numbers = _plain(self._frameworks.array(part))
            places[name] = {"shape": shape, "dtype": dtype, "offset": file.tell()}
            file.write(numbers)
        return places


def _parts(value, name=""):
    """Yield the name and the value of each part of a value that is neither a dict nor a list."""
    if value is None:
        return
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        yield name, value
        return
    for key, part in parts:
        yield from _parts(part, "{}.{}".format(name, key) if name else str(key))


def _as_array(value):
    if type(value) in (bool, int, float):
        return value
    shape, dtype, numbers = _plain(value)
    import numpy as np

    return np.frombuffer(numbers, dtype).reshape(shape)


def _piece(array, most, start):
    """Return about every n-th number of an array, ``most`` at least if it has as many."""
    size = getattr(array, "size", 1)
    every = size // most if isinstance(size, int) else 1
    return array if every <= 1 else array.reshape(-1)[start % every :: every]


def _is_overwritten(kept, place):
    """Check that a later value of ``kept`` has the buffer of the value at ``place``."""
    own = _buffers(kept[place])
    later = [*kept[place + 1 : place + 1 + _LONGEST_RING], *kept[place + 1 :][-1:]]
    return bool(own) and any(own & _buffers(value) for value in later)


def _buffers(value):
    """Return where the arrays of a value lie, as far as they can be written again."""
    found = set()
    for _, part in _parts(value):
        if hasattr(part, "data_ptr"):
            found.add(part.data_ptr())
        elif type(part).__name__ == "ndarray" and part.size:
            found.add(part.__array_interface__["data"][0])
        elif type(part).__module__ not in {"builtins", "numpy"}:
            found.add(id(part))
    return found


def _plain(value):
    """Return shape, type and bytes of an array or number; types that NumPy lacks become float64."""
    try:
        if isinstance(value, (bool, int, float)):
            return [], "<f8", struct.pack("<d", value)
        import numpy as np

        array = np.asarray(value)
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
            array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    except Exception as error:
        kind = type(value).__name__
        raise WrongInputError(
            f"the step returns {kind}, which is no number or array ({error}): return a number, an array, or "
            "a dict of them"
        ) from error
    return list(np.shape(value)), array.dtype.str, array.tobytes()


def _module(request, search_path):
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
        search_path.forget_new_bytecode(spec)
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
    "Block": lambda step, request: step.block(request["steps"], request["keep"]),
    "ReadCalls": lambda step, request: step.returned(request["calls"], request["start"]),
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
