"""What of a folder's recordings ``hac batch decompress`` has made: to code them once more loses quality."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from hac_cli.batch.job import DECOMPRESS
from hac_cli.batch.manifest import NAME, Record, read
from hac_cli.batch.storage import Folder

DECODED = ("its output {} exists, and what is here was decoded, as the manifest beside it says: coded once more it "
           "would lose quality; do so with -f, or leave it with --skip-existing")  # fmt: skip


class Decoded:
    """Outputs and their sizes, in a temporary database as those of ``Plan``, by the manifest that lies beside them."""

    def __init__(self, folder: Folder) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE outputs (name BLOB PRIMARY KEY, bytes INT) WITHOUT ROWID")
        self._database.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?)", _outputs(_records(folder)))

    def holds(self, name: str, size: int) -> bool:
        """Whether a recording is one of them, and as it was."""
        query = "SELECT 1 FROM outputs WHERE name = ? AND bytes = ?"
        return self._database.execute(query, (os.fsencode(name), size)).fetchone() is not None


def _records(folder: Folder) -> Iterator[Record]:
    if folder.find(NAME):
        with folder.reading(NAME) as path:
            yield from read(Path(path))


def _outputs(records: Iterable[Record]) -> Iterator[tuple[bytes, int]]:
    decoding = False
    for record in records:
        if record.get("event") == "run":
            decoding = (record.get("settings") or {}).get("command") == DECOMPRESS
        elif decoding and record.get("event") == "done":
            yield os.fsencode(record.get("output") or ""), record.get("output_bytes") or 0
