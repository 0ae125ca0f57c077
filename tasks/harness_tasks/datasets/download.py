"""Download of one file, checked by its hash, with a quick error where there is no internet."""

import threading
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.spec import DownloadProgress

CONNECT_SECONDS = 5.0
#: Name resolution has no time limit of its own, so the first response as a whole has one.
FIRST_ANSWER_SECONDS = 8.0
#: The longest silence in the middle of the transfer.
STALL_SECONDS = 30.0


class _Bar:
    """A progress bar for pooch; also records that the server has responded."""

    def __init__(self, label: str, progress: DownloadProgress) -> None:
        self.answered = threading.Event()
        self.given_up = False
        self._label, self._progress = label, progress
        self._done = self._total = 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        if self.given_up:
            raise DataError("the response came too late")  # a late download would disturb timings
        self._total = total
        self.answered.set()

    def update(self, count: int) -> None:
        self._done = min(self._done + count, self._total or self._done + count)
        self._progress(self._label, self._done, self._total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def download(url: str, known_hash: str, folder: Path, progress: DownloadProgress) -> Path:
    """Download a file into ``folder``; returns its path once ``known_hash``, ``md5:…``, is verified."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    name = url.rsplit("/", 1)[-1]
    bar = _Bar(f"downloading {name}", progress)
    outcome: list[Any] = []

    def retrieve() -> None:
        try:
            downloader = pooch.HTTPDownloader(
                progressbar=bar, chunk_size=2**16, timeout=(CONNECT_SECONDS, STALL_SECONDS)
            )
            outcome.append(pooch.retrieve(url, known_hash, name, folder, downloader=downloader))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            outcome.append(error)
        finally:
            bar.answered.set()

    # The process does not wait for this thread: a name server may never respond.
    thread = threading.Thread(target=retrieve, name="download", daemon=True)
    thread.start()
    if not bar.answered.wait(FIRST_ANSWER_SECONDS):
        bar.given_up = True
        raise DataError(f"{url}: no response within {FIRST_ANSWER_SECONDS:g} s")
    thread.join()
    if isinstance(outcome[0], Exception):
        raise DataError(f"{url} could not be downloaded: {_reason(outcome[0])}") from outcome[0]
    return Path(outcome[0])


def _reason(error: Exception) -> str:
    """Return the original cause, without the layers that requests and urllib3 wrap around it."""
    inner = getattr(error.args[0], "reason", error) if error.args else error
    inner = getattr(inner, "original_error", inner)  # behind a proxy
    return str(inner).rpartition("): ")[-1]
