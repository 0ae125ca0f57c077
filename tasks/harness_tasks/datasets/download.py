"""One file from the internet, checked by its md5, with a quick answer where there is no internet."""

import threading
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.spec import DownloadProgress

CONNECT_SECONDS = 5.0
#: Looking up a name has no time limit of its own, so that the first answer as a whole gets one.
FIRST_ANSWER_SECONDS = 8.0
#: The longest silence in the middle of the transfer.
STALL_SECONDS = 30.0


class _Bar:
    """What pooch calls a progress bar; also tells when the server has answered."""

    def __init__(self, what: str, progress: DownloadProgress) -> None:
        self.answered = threading.Event()
        self.given_up = False
        self._what, self._progress = what, progress
        self._done = self._total = 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        if self.given_up:
            raise DataError("the answer came too late")  # or it would be fetched beside what is timed
        self._total = total
        self.answered.set()

    def update(self, count: int) -> None:
        self._done = min(self._done + count, self._total or self._done + count)
        self._progress(self._what, self._done, self._total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def download(url: str, md5: str, folder: Path, progress: DownloadProgress) -> Path:
    """The path of the file in ``folder``, once it is whole and its md5 is right.

    Raises:
        DataError: the server does not answer, breaks off, or sends another file.
    """
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
            outcome.append(pooch.retrieve(url, f"md5:{md5}", name, folder, downloader=downloader))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            outcome.append(error)
        finally:
            bar.answered.set()

    # A thread that the process does not wait for: a name server that never answers cannot hold us up.
    thread = threading.Thread(target=retrieve, name="download", daemon=True)
    thread.start()
    if not bar.answered.wait(FIRST_ANSWER_SECONDS):
        bar.given_up = True
        raise DataError(f"{url}: no answer within {FIRST_ANSWER_SECONDS:g} s")
    thread.join()
    if isinstance(outcome[0], Exception):
        raise DataError(f"{url} could not be downloaded: {_reason(outcome[0])}") from outcome[0]
    return Path(outcome[0])


def _reason(error: Exception) -> str:
    """What went wrong at the bottom, without the layers that requests and urllib3 wrap around it."""
    inner = getattr(error.args[0], "reason", error) if error.args else error
    inner = getattr(inner, "original_error", inner)  # of a proxy
    return str(inner).rpartition("): ")[-1]
