"""Removing what is private from records: names of hosts and users, home folders, and values of secrets.

The fields that hold them come first: the host and the process of a machine, the nodes of a cluster,
environment variables by their names. What was found there, and what the environment of this process has, is
then removed from every text of the record: a message may repeat it.
"""

import getpass
import os
import platform
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from harness.sharing.bundle.parts import is_pair, parts_of, variables_among

#: Names of variables whose values are secrets.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|PASSKEY|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|(^|_)(KEY|AUTH|PWD|PAT)$",
    re.IGNORECASE,
)
#: ``PWD`` is the current folder, not a password.
_NOT_SECRET = {"PWD", "OLDPWD"}
#: Shorter values are removed only beside their name: ``1`` and ``true`` occur everywhere.
_SHORTEST_VALUE = 6
_SHORTEST_NAME = 3
#: Names that say nothing about anybody.
_NO_NAMES = {"root", "localhost", "unnamed", ""}
_URL = re.compile(r"(\w+://)(?!git@)[^/\s@]+@")
_HOME = re.compile(r"(?<![\w.~-])(?:(?:/home|/Users)/|[A-Za-z]:\\+Users\\+)([^/\\\s'\":,;()\[\]]+)")
#: Paths and addresses have one of these.
_SEPARATOR = re.compile(r"[/\\]")
#: Texts with one of these characters are sentences, paths or addresses. Others may be words of the harness:
#: an optimizer is named ``adam``, and so may be its user.
_PROSE = re.compile(r"[\s/\\@]|:\d+$")
#: A server that a command names, such as a cluster or a tracker: ``ray://HOST`` or ``HOST:PORT``.
_SERVER = re.compile(r"\w+://(?:[^/\s@]+@)?([\w.-]+)|^([A-Za-z][\w.-]*):\d+$")
HOST, USER, SECRET = "[host]", "[user]", "[secret]"


def is_secret(variable: str) -> bool:
    """Check whether the name of an environment variable is that of a secret."""
    return variable not in _NOT_SECRET and _SECRET.search(variable) is not None


def _path_pattern(path: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.~-]){re.escape(path)}(?![\w-])(?!\.\w)")


def _name_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    every = sorted((each for each in names if _is_name(each)), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, every))})(?!\w)") if every else None


def _is_name(text: str) -> bool:
    return len(text) >= _SHORTEST_NAME and text not in _NO_NAMES


class Found(NamedTuple):
    """A private text in a file of the user's: the line, what it is, and whether it is a secret."""

    line: int
    what: str
    secret: bool


class Private:
    """The private texts of this process and of some records."""

    def __init__(
        self, documents: Iterable[Mapping[str, Any]], variables: Mapping[str, str] = os.environ
    ) -> None:
        """Collect them from ``documents``, decoded records, and from the environment ``variables``."""
        every = list(documents)
        self._secrets = {pair for pair in variables.items() if is_secret(pair[0]) and pair[1]}
        hosts, users = {platform.node()}, {_user(), *map(variables.get, ("USER", "LOGNAME"))}
        self._homes = {str(Path.home()), variables.get("HOME", "")} - {"", "/", "."}
        for document in every:
            hosts |= {*_hosts(document)}
            parts = [*parts_of(document)]
            self._secrets |= {
                (name, value) for name, value in _assignments(parts) if is_secret(name) and value
            }
            users |= {
                match[1]
                for _, text in parts
                if isinstance(text, str) and _SEPARATOR.search(text)
                for match in _HOME.finditer(text)
            }
        hosts |= {host.partition(".")[0] for host in hosts}
        self._longest_first = sorted(self._secrets, key=lambda pair: len(pair[1]), reverse=True)
        self._hosts = _name_pattern(hosts)
        self._users = _name_pattern(filter(None, users))
        self._homes_pattern = [_path_pattern(home) for home in sorted(self._homes, key=len, reverse=True)]

    def removed(self, document: Mapping[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
        """Return a decoded record without private texts.

        ``moved`` are files that the record names, by their paths, with their new paths.
        """
        own = dict(document)
        folder = str(own.get("folder") or "")
        paths = [
            (_path_pattern(path), place)
            for path, place in sorted(moved.items(), key=lambda item: len(item[0]), reverse=True)
        ]
        if folder not in {"", ".", "/"}:
            paths.append((re.compile(_path_pattern(folder).pattern + r"/"), ""))
            paths.append((_path_pattern(folder), "."))
            own["folder"] = "."
        if isinstance(machine := own.get("machine"), dict):
            own["machine"] = {**machine, "host": None}
        if "process" in own:
            own["process"] = None
        if isinstance(attempts := own.get("lost_attempts"), list):
            own["lost_attempts"] = [{**each, "node": HOST} for each in attempts]
        cleaned: dict[str, Any] = self._cleaned(own, paths, {})
        return cleaned

    def _cleaned(
        self, value: Any, paths: list[tuple[re.Pattern[str], str]], known: dict[str, str], key: str = ""
    ) -> Any:
        """Return a part of a record without private texts; ``known`` are texts that are cleaned already."""
        if isinstance(value, str):
            if value not in known:
                cleaned = value
                for pattern, place in paths:
                    cleaned = pattern.sub(place.replace("\\", r"\\"), cleaned)
                known[value] = self.text(cleaned)
            return known[value]
        if isinstance(value, list):
            of_variables = key.endswith("variables")
            return [
                each
                if isinstance(each, int | float)
                else [each[0], SECRET]
                if of_variables and is_pair(each) and is_secret(each[0])
                else self._cleaned(each, paths, known)
                for each in value
            ]
        if isinstance(value, dict):
            hides = key.endswith("variables")
            return {
                self._cleaned(name, paths, known): SECRET
                if hides and isinstance(each, str) and is_secret(name)
                else self._cleaned(each, paths, known, name)
                for name, each in value.items()
            }
        return value

    def text(self, text: str) -> str:
        """Return a text without private texts."""
        for name, value in self._longest_first:
            text = text.replace(f"{name}={value}", f"{name}={SECRET}")
            if len(value) >= _SHORTEST_VALUE:
                text = text.replace(value, SECRET)
        if _SEPARATOR.search(text):  # most texts of a record are names of its fields
            if "://" in text:  # the pattern is slow in long numbers in base64
                text = _URL.sub(rf"\1{SECRET}@", text)
            for pattern in self._homes_pattern:
                text = pattern.sub("~", text)
            text = _HOME.sub("~", text)
        if _PROSE.search(text):
            for names, instead in ((self._hosts, HOST), (self._users, USER)):
                text = names.sub(instead, text) if names else text
        return text

    def found_in(self, content: bytes) -> Iterator[Found]:
        """Yield the private texts in a file of the user's, by lines counted from 1."""
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            for name, value in self._secrets:
                if len(value) >= _SHORTEST_VALUE and value in line:
                    yield Found(number, f"the value of {name}", secret=True)
            if _URL.search(line):
                yield Found(number, "a password or a token in an address", secret=True)
            if _HOME.search(line) or any(pattern.search(line) for pattern in self._homes_pattern):
                yield Found(number, "a home folder", secret=False)
            for names, what in ((self._hosts, "the name of a host"), (self._users, "the name of a user")):
                if names and names.search(line):
                    yield Found(number, what, secret=False)

    def place_of(self, path: str, folder: str) -> str:
        """Return the place in a bundle of a file whose ``path`` a command that ran in ``folder`` has used.

        Files outside the folder lie in ``outside``, without their home folder.
        """
        own = PurePosixPath(posixpath.normpath(PurePosixPath(folder) / path))
        if own.is_relative_to(folder):
            return str(own.relative_to(folder))
        text = self.text(str(own))
        parts = [part for part in PurePosixPath(text).parts if part not in {"/", "~", "..", "."}]
        return str(PurePosixPath("outside", *parts))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the number of the user has no name
        return ""


def _hosts(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield names and identities of hosts that a record has in fields of their own."""
    machine, process = document.get("machine"), document.get("process")
    host = machine.get("host") if isinstance(machine, dict) else None
    if isinstance(host, dict):
        yield from filter(None, (host.get("name"), host.get("id")))
    if isinstance(process, dict):
        yield str(process.get("place", "")).partition(" boot ")[0]
    for attempt in document.get("lost_attempts") or ():
        yield str(attempt.get("node", ""))
    for word in document.get("command") or ():
        yield from (found[1] or found[2] for found in _SERVER.finditer(str(word)))


def _assignments(parts: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the environment variables of a record, and what its command assigns to a name."""
    every = [*parts]
    yield from variables_among(every)
    lines = [text for key, text in every if key == "command" and isinstance(text, str)]
    for word in " ".join(lines).split():  # a configuration such as "torch env.NAME=VALUE" is one argument
        name, _, assigned = word.partition("=")
        yield name.removeprefix("--").removeprefix("env."), assigned
