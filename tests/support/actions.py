"""Runners of CI systems: the steps of an action of GitHub and the scripts of a job of GitLab, as they stand.

``python -m pip`` is recorded and not run: the interpreter of the tests has all that it would install. The
``harness`` that the steps call is that of the tests, too.
"""

import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from support.command import script

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_INPUT = re.compile(r"\$\[\[ inputs\.(\w+) \]\]")
#: The command by which GitHub runs ``shell: bash``.
_BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]


@dataclass
class Ran:
    """What is left of the steps: the exit code of the one that failed, outputs, summary and log."""

    code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""
    used: list[str] = field(default_factory=list)
    installed: list[list[str]] = field(default_factory=list)


def run_action(action: Path, work: Path, environment: dict[str, str], event: dict, **inputs: str) -> Ran:
    """Run the steps of a composite action of GitHub in a clone. Hyphens in names of inputs are underscores.

    Expressions are names, comparisons with a text, and ``&&``; others, and unknown names, are errors.
    Steps that use another action are listed and not run.
    """
    document = yaml.safe_load((action / "action.yml").read_text())
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() <= document["inputs"].keys()
    values = {name: each.get("default", "") for name, each in document["inputs"].items()} | given
    temporary = _temporary(work)
    (temporary / "event.json").write_text(json.dumps(event))
    summary = temporary / "summary"
    summary.touch()
    environment = environment | {
        "PATH": _path(temporary),
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(action),
        "GITHUB_EVENT_PATH": str(temporary / "event.json"),
        "GITHUB_WORKSPACE": str(work),
        "RUNNER_TEMP": str(temporary),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    context = {"inputs": values, "github": {"token": "the-token"}, "steps": {}}
    ran = Ran()
    for step in document["runs"]["steps"]:
        if ran.code or not _is_true(step.get("if", "true"), context):
            continue
        if "uses" in step:
            ran.used.append(step["uses"])
            continue
        assert step["shell"] == "bash"
        assert not _EXPRESSION.search(step["run"]), "an input would be run as a command"
        output = temporary / "output"
        output.write_text("")
        shown = {name: filled(text, context) for name, text in step.get("env", {}).items()}
        (temporary / "step.sh").write_text(step["run"])
        done = subprocess.run(
            [*_BASH, temporary / "step.sh"],
            cwd=work,
            env=environment | shown | {"GITHUB_OUTPUT": str(output)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        ran.code, ran.log = done.returncode, ran.log + done.stdout
        pairs = (line.partition("=") for line in output.read_text().splitlines())
        context["steps"][step.get("id", "")] = {"outputs": {name: value for name, _, value in pairs}}
    ran.outputs = {name: filled(each["value"], context) for name, each in document.get("outputs", {}).items()}
    ran.summary = summary.read_text()
    ran.installed = _installed(temporary)
    return ran


def run_job(
    template: Path, name: str, work: Path, environment: dict[str, str], shell: str = "bash", **inputs: str
) -> Ran:
    """Run the script of a job of a template for GitLab in a clone, all of it in one shell."""
    header, jobs = yaml.safe_load_all(template.read_text())
    given = {key: each.get("default") for key, each in header["spec"]["inputs"].items()} | inputs
    assert None not in given.values(), "an input without default is missing"
    job, temporary = jobs[name], _temporary(work)
    lines = [line for line in job["script"] if not _INPUT.search(line)]
    assert lines == job["script"], "an input would be run as a command"
    (temporary / "script.sh").write_text("\n".join(["set -e", *lines]))
    variables = {
        key: _INPUT.sub(lambda match: given[match[1]], text) for key, text in job["variables"].items()
    }
    done = subprocess.run(
        [shell, temporary / "script.sh"],
        cwd=work,
        env=environment | {"CI_PROJECT_DIR": str(work), **variables, "PATH": _path(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ran(done.returncode, log=done.stdout, installed=_installed(temporary))


def _temporary(work: Path) -> Path:
    """Make a folder for one run beside the clone, with the programs that stand in for others."""
    temporary = work.parent / f"temp-{len([*work.parent.glob('temp-*')])}"
    (temporary / "bin").mkdir(parents=True)
    record = f'printf "%s\\n" "$*" >> "{temporary}/pip"; exit'
    run = f'exec {sys.executable} "$@"'
    script(temporary / "bin" / "python", f'case "$*" in "-P -m pip "*) {record} ;; esac\n{run}')
    script(temporary / "bin" / "python3", run)
    script(temporary / "bin" / "harness", f'exec {sys.executable} -P -m harness "$@"')
    return temporary


def _path(temporary: Path) -> str:
    return f"{temporary / 'bin'}{os.pathsep}{os.environ['PATH']}"


def _installed(temporary: Path) -> list[list[str]]:
    with contextlib.suppress(FileNotFoundError):
        return [line.split()[4:] for line in (temporary / "pip").read_text().splitlines()]
    return []


def filled(text: str, context: dict) -> str:
    """Replace the expressions of a text by their values."""
    return _EXPRESSION.sub(lambda match: _value(match[1], context), text)


def _is_true(condition: str, context: dict) -> bool:
    for part in condition.split(" && "):
        left, sign, right = (
            (each.strip() for each in re.split("(==|!=)", part)) if "=" in part else (part, "", "")
        )
        if sign and (_value(left, context) == _value(right, context)) != (sign == "=="):
            return False
        assert sign or left == "true"
    return True


def _value(name: str, context: dict) -> str:
    """Return the value of a name such as ``steps.gate.outputs.verdict``, or of a text in quotes.

    Raises:
        KeyError: it has none.
    """
    if name.startswith("'"):
        return name.strip("'")
    found: Any = context
    for part in name.split("."):
        found = found[part]
    return found


@contextlib.contextmanager
def github_api(refused: int = 0):
    """Yield a stand-in for the part of GitHub's API that has the comments of a pull request, and its address.

    ``comments`` are those of pull request 7. With ``refused``, writing is answered by this status.
    """
    comments: list[dict] = []
    calls: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status, document):
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def handle_call(self):
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            address = urlsplit(self.path)
            calls.append((self.command, address.path))
            root = "/repos/me/project/issues"
            own = address.path == f"{root}/7/comments"
            if self.headers["Authorization"] != "Bearer the-token":
                self.answer(401, {})
            elif self.command == "GET" and own:
                query = parse_qs(address.query)
                page, size = int(query["page"][0]), int(query["per_page"][0])
                self.answer(200, comments[(page - 1) * size : page * size])
            elif refused:
                self.answer(refused, {"message": "Resource not accessible by integration"})
            elif self.command == "POST" and own:
                comments.append({"id": len(comments), "user": {"type": "Bot"}, **json.loads(content)})
                self.answer(201, comments[-1])
            elif self.command == "PATCH" and address.path.startswith(f"{root}/comments/"):
                comment = comments[int(address.path.rpartition("/")[2])]
                comment.update(json.loads(content))
                self.answer(200, comment)
            else:
                self.answer(404, {})

        do_GET = do_POST = do_PATCH = handle_call  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.comments, server.calls = comments, calls
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield server
        server.shutdown()
