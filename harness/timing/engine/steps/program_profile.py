"""The profiles of a step: by the profilers of frameworks, and by Python's own.

The process of a step, ``program.py`` beside this file, executes this file when it is asked for a profile. So
it imports the standard library alone and runs on Python 3.8.
"""

import contextlib
import cProfile
import json
import os

#: Operations of a profile that are reported: so many of the most time that none of weight is missing.
_REPORTED = 3000
_HERE = os.path.dirname(os.path.abspath(__file__))
#: The files whose functions call the step; they are no part of it.
_HARNESS = (os.path.join(_HERE, "program.py"), os.path.join(_HERE, "program_profile.py"))


def profiles(run, calls, profilers, folders):
    """Profile ``run``, which makes ``calls`` calls of the step and returns their seconds.

    ``profilers`` are those of frameworks, by their modules. Python's comes after them; it also gives the
    user's own functions, in files below ``folders``, with all that they call, which come first. Only one
    profiler is active at a time, and calls under a profiler take longer than others.
    """
    seconds = [0.0]

    def timed():
        seconds[0] = run()

    found = []
    for module, hook in profilers.items():
        totals = _self_times(hook(timed) or [])
        if totals:
            found.append(_profile(module, calls, seconds[0], totals))
    watched = cProfile.Profile()
    watched.runcall(timed)
    alone, inclusive = _functions(watched, _own_places(folders))
    own = _profile("Python", calls, seconds[0], inclusive, inclusive=True)
    return [own, *found, _profile("Python", calls, seconds[0], alone)]


def _profile(profiler, calls, seconds, totals, inclusive=False):
    """Return a profile from ``totals``: for each operation the number of its calls, and the seconds in it."""
    largest = sorted(totals.items(), key=lambda item: -item[1][1])[:_REPORTED]
    return {
        "profiler": profiler,
        "inclusive": inclusive,
        "step_seconds": seconds / calls,
        "operations": [
            {"name": name, "calls": count / calls, "seconds": spent / calls}
            for name, (count, spent) in largest
        ],
    }


def _self_times(events):
    """Return the totals of events ``(lane, name, start, seconds)``; events of a lane are nested.

    An event without a name is no operation: it only takes its time from the event that encloses it.
    """
    totals = {}
    lanes = {}
    for lane, name, start, seconds in events:
        lanes.setdefault(lane, []).append((start, -seconds, name))
    for lane in lanes.values():
        open_events = []
        for start, negative, name in sorted(lane, key=lambda event: event[:2]):
            while open_events and open_events[-1][0] <= start:
                open_events.pop()
            if open_events:
                open_events[-1][1][1] += negative
            total = totals.setdefault(name, [0, 0.0]) if name else [0, 0.0]
            total[0] += 1
            total[1] -= negative
            open_events.append((start - negative, total))
    return totals


def _functions(watched, own):
    """Return the totals of the functions that Python's profiler saw, by name and file.

    The first are of all functions alone. The second are of the functions in files below the folders ``own``,
    with all that they call; where several of a file have one name, they are numbered in order of their lines.
    """
    alone, of_own = {}, {}
    for entry in watched.getstats():
        if isinstance(entry.code, str):  # not written in Python
            name, file = entry.code, ""
        else:
            name, file = getattr(entry.code, "co_qualname", entry.code.co_name), entry.code.co_filename
        if os.path.abspath(file) in _HARNESS or file.endswith(" hooks>") or "_lsprof" in name:
            continue
        own_file = _own_file(file, own)
        folder, base = os.path.split(file)
        # Checkouts of base and head lie in folders of different names.
        short = own_file or os.path.join(os.path.basename(folder), base)
        place = " ({})".format(short) if file else ""
        total = alone.setdefault(name + place, [0, 0.0])
        total[0] += entry.callcount
        total[1] += entry.inlinetime
        if own_file:
            lines = of_own.setdefault((name, place), {})
            total = lines.setdefault(entry.code.co_firstlineno, [0, 0.0])
            total[0] += entry.callcount
            total[1] += entry.totaltime
    inclusive = {
        (name if number == 1 else "{} #{}".format(name, number)) + place: total
        for (name, place), lines in of_own.items()
        for number, (_, total) in enumerate(sorted(lines.items()), 1)
    }
    return alone, inclusive


def _own_places(folders):
    """Return ``folders`` with those of editable installations, and the paths installed from local files."""
    from importlib import metadata  # takes long to import, and only profiles need it
    from urllib.parse import unquote, urlsplit

    installed = []
    for package in metadata.distributions():
        with contextlib.suppress(Exception):  # a damaged package is not the user's own
            origin = json.loads(package.read_text("direct_url.json") or "{}")
            address = urlsplit(origin.get("url", ""))
            if address.scheme != "file":
                continue
            if origin.get("dir_info", {}).get("editable"):
                folders = [*folders, unquote(address.path)]
            else:
                tops = {file.parts[0] for file in package.files or () if file.suffix == ".py"}
                installed += [os.path.realpath(str(package.locate_file(top))) for top in tops]
    return [os.path.realpath(folder) for folder in folders], installed


def _own_file(file, own):
    """Return the path of a file of the user's own, below its folder; empty for any other.

    ``own`` is of :func:`_own_places`. Environments below the folders are not the user's own.
    """
    if not os.path.isabs(file):  # as that of code made at run time
        return ""
    folders, installed = own
    file = os.path.realpath(file)
    if any(os.sep + part + os.sep in file for part in ("site-packages", "dist-packages")):
        places = [(path, os.path.dirname(path)) for path in installed]
    else:
        places = [(folder, folder) for folder in folders]
    above = [top for path, top in places if file == path or file.startswith(path.rstrip(os.sep) + os.sep)]
    return os.path.relpath(file, min(above, key=len)) if above else ""
