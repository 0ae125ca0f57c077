"""The commands of the guides run in the order of the page, made short by options that come last."""

import pytest
from support.pages import blocks, commands

PAGES = [
    "docs/tutorial/first-comparison.md",
    "README.md",
    "docs/how-to/install.md",
    "docs/how-to/get-data.md",
    "docs/how-to/choose-a-framework.md",
    "docs/how-to/show-overfitting.md",
    "docs/how-to/read-results-in-a-notebook.md",
]
#: Longer than README, tutorial and the rest together: grids and studies.
LONG = ("docs/how-to/choose-a-framework.md", "docs/how-to/show-overfitting.md")
#: At least so many commands of the pages are run.
FEWEST_RUN = 20
ONE_STEP = ["--max-steps", "1", "--seeds", "1", "--no-certify", "--quiet"]
VALUED = {"--max-steps", "--seeds", "--trials"}
SHORTENED = {
    "run": ONE_STEP,
    "study": [*ONE_STEP, "--trials", "1"],
}
#: Words of commands that need a download, a GPU, a compiler, another environment or a quiet minute. Tests of
#: the blocks parse these too.
NOT_RUN = {"fetch", "import", "cifar10", "gate", "history", "duel", "doctor", "--preset", "COMMAND"}


@pytest.fixture(scope="module")
def session(harness_in, tmp_path_factory):
    """One folder for all pages, and the commands that ran in it."""
    return harness_in(tmp_path_factory.mktemp("guides")), set()


def calls_of(page):
    """The arguments of each call of harness on a page."""
    shown = [words for block in blocks(page, "sh") for words in commands(block)]
    return [tuple(words[1:]) for words in shown if words[0].endswith("harness")]


def shortened(arguments):
    """The arguments with the options that make them short in the place of the page's own."""
    added = SHORTENED.get(arguments[0], [])
    given = [place for place, word in enumerate(arguments) if word in added and word.startswith("--")]
    left_out = {place + more for place in given for more in range(1 + (arguments[place] in VALUED))}
    return [*(word for place, word in enumerate(arguments) if place not in left_out), *added]


def test_every_page_has_commands_and_most_of_them_run():
    calls = {page: calls_of(page) for page in PAGES}
    assert all(calls.values())
    run = [arguments for each in calls.values() for arguments in each if not NOT_RUN & set(arguments)]
    assert len(run) >= FEWEST_RUN


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.long if page in LONG else pytest.mark.slow) for page in PAGES],
)
def test_the_commands_of_a_page_run(session, page):
    harness, ran = session
    for arguments in calls_of(page):
        if arguments in ran or NOT_RUN & set(arguments):
            continue
        done = harness(*shortened(arguments))
        assert done.returncode == 0, f"harness {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        ran.add(arguments)
