"""What of a folder's recordings ``hac batch decompress`` has made: to code them once more loses quality."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from hac_cli.batch.job import COMPRESS, DECOMPRESS, Settings
from hac_cli.batch.manifest import NAME, Record, read
from hac_cli.batch.storage import Folder, open_folder

DECODED = ("its output {} exists, and what is here was decoded, as the manifest beside it says: coded once more it "
           "would lose quality; do so with -f, or leave it with --skip-existing")  # fmt: skip


class Decoded:
    """Their names and sizes, in a table of a plan's database, by the manifest that lies beside them. None where nothing
    is to be compressed."""

    def __init__(self, database: sqlite3.Connection, settings: Settings) -> None:
        self._database = database
        database.execute("CREATE TABLE decoded (name BLOB PRIMARY KEY, bytes INT) WITHOUT ROWID")
        if settings.command == COMPRESS:
            outputs = _outputs(_records(open_folder(settings.source)))
            database.executemany("INSERT OR REPLACE INTO decoded VALUES (?, ?)", outputs)

    def holds(self, name: str, size: int) -> bool:
        """Whether a recording is one of them, and as it was."""
        query = "SELECT 1 FROM decoded WHERE name = ? AND bytes = ?"
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
