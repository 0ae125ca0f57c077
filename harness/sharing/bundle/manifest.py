"""The list of what is in a bundle, and the limits that hold when a bundle is made and when it is opened."""

import re

import msgspec

#: The version of the layout.
FORMAT = 1
MANIFEST = "bundle.json"
README = "README.txt"
PAGE = "page.html"
PAGES = "pages"
RESULTS = "results"
DATA = "data"
#: The most bytes of a bundle with all files unpacked, of its list of files, and the most files.
MOST_BYTES = 2**30
MOST_MANIFEST_BYTES = 2**24
MOST_FILES = 10_000
#: The most bytes of a data file, or of a folder of data.
MOST_DATA_BYTES = 2**26
#: The most bytes that a byte of the bundle may unpack to. Files that compress better are stored as they are.
MOST_RATIO = 100
#: The suffixes of data files. Python would import other files from the folder in which data and code lie.
DATA_SUFFIXES = ("npz", "csv", "parquet", "png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff")
#: The names that files may have.
PLACES = re.compile(
    rf"{README}|{PAGE}|{PAGES}/[^/]+\.html|{RESULTS}/sources/[0-9a-f]{{64}}\.py"
    rf"|{RESULTS}/[^/]+/[^/]+\.(json|png|safetensors|npy|npz)|(?i:{DATA}/.+\.({'|'.join(DATA_SUFFIXES)}))"
)


class File(msgspec.Struct, frozen=True):
    """The size of a file, and the sha256 of its content."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``bundle.json``.

    ``records`` are the names of the files of the records that the bundle was made of; ``others`` are records
    that these are about, such as the runs of a study. ``files`` are all other files of the bundle. The hashes
    find damage; anybody can write others, so that they prove no origin.
    """

    format: int
    harness: str
    records: list[str]
    others: list[str] = []
    files: dict[str, File]
