"""Write the result of a gate into one comment of the pull request, and update it later.

The comment is found by a hidden mark, which names the workflow, the job and the suite. Whatever fails here is
a notice: the verdict is the exit code of the gate.
"""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

#: GitHub refuses a comment of more characters.
_MOST_CHARACTERS = 65_536
_PER_PAGE = 100
_TIMEOUT_SECONDS = 30


def _call(method: str, path: str, content: object = None) -> Any:
    """Call GitHub's API and return its answer."""
    request = urllib.request.Request(  # noqa: S310  the address is the runner's
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/issues/{path}",
        method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "User-Agent": "harness-gate",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def _earlier(number: int, mark: str) -> int | None:
    """Return the comment of an earlier run; one that a person wrote is none, whatever it begins with."""
    page = 1
    while True:
        comments = _call("GET", f"{number}/comments?per_page={_PER_PAGE}&page={page}")
        for comment in comments:
            if comment["user"]["type"] == "Bot" and comment["body"].startswith(mark):
                return int(comment["id"])
        if len(comments) < _PER_PAGE:
            return None
        page += 1


def _body(mark: str, result: str) -> str:
    """Return the text of the comment: the mark, the result, and a link to the run."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    end = f"\n[The whole result]({server}/{repository}/actions/runs/{run}), with a page and the record.\n"
    room = _MOST_CHARACTERS - len(mark) - len(end) - len("\n\n…\n\n</details>\n")
    if len(result) > room:
        result = result[:room].rpartition("\n")[0] + "\n\n…\n\n</details>\n"
    return f"{mark}\n{result}{end}"


def main() -> None:
    """Write the comment of the pull request that started the workflow, if one did."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number, result = event.get("pull_request", {}).get("number"), Path(os.environ["RESULT"])
    if number is None or not result.is_file():
        return
    names = ("GITHUB_WORKFLOW", "GITHUB_JOB", "SUITE")
    # No text of a name can end the mark.
    identity = json.dumps([os.environ.get(name, "") for name in names]).replace("-", "\\u002d")
    mark = f"<!-- harness gate {identity} -->"
    body = {"body": _body(mark, result.read_text(encoding="utf-8"))}
    try:
        earlier = _earlier(number, mark)
        if earlier is None:
            _call("POST", f"{number}/comments", body)
        else:
            _call("PATCH", f"comments/{earlier}", body)
    except (OSError, ValueError) as error:
        status = error.code if isinstance(error, urllib.error.HTTPError) else None
        hint = ": give the job the permission pull-requests: write" if status in {403, 404} else ""
        print(f"::notice title=harness gate::no comment was written ({error}){hint}")


if __name__ == "__main__":
    main()
