"""What earlier runs of a batch have done, as their manifest tells."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from typing import Any

from hac_cli.batch.job import Settings
from hac_cli.batch.manifest import Record, same_folder
from hac_cli.errors import UsageError

_pack, _unpack = os.fsencode, os.fsdecode
_TABLES = """
CREATE TABLE earlier (name BLOB, member BLOB, target BLOB, size INT, stamp TEXT, digest TEXT, warned INT);
CREATE TABLE outputs (target BLOB PRIMARY KEY, bytes INT, digest TEXT, complete INT, due INT) WITHOUT ROWID;
"""


class History:
    """Two tables of a plan's database: ``earlier``, inputs and what became of them, and ``outputs``."""

    def __init__(self, database: sqlite3.Connection, settings: Settings) -> None:
        self._database, self._settings = database, settings
        database.executescript(_TABLES)
        # what an output was made of is what has made it last; a recording is in one shard
        key = "name, member" if settings.shard_format else "target"
        database.execute(f"CREATE UNIQUE INDEX last ON earlier ({key})")

    def remember(self, records: Iterable[Record], inside: bool) -> None:
        """Takes in a manifest, which lies ``inside`` the target folder, wherever that has gone since, or is one of many
        batches. What was made with other settings has to be made again; what was made from another source is not this
        batch's own.

        Raises UsageError if that would mix shards of several settings or sources.
        """
        here = own = current = False
        wanted = self._settings.fingerprint()
        for record in records:
            event = record.get("event")
            if event == "run":
                here = inside or same_folder(record.get("target"), self._settings.target)
                own = here and same_folder(record.get("source"), self._settings.source)
                current = own and record.get("settings") == wanted
                if here and not current and "shards" in (record.get("kind"), self._settings.kind):
                    raise UsageError("holds the outputs of another source, other settings or models, which tokens "
                                     "in shards are not mixed with; name another folder",
                                     self._settings.target)  # fmt: skip
            elif event == "start" and here:
                self._remember_start([(_pack(output),) for output in record.get("outputs", ())], own)
            elif own and event in ("done", "failed", "unchanged"):
                self._remember_outcome(record, current)

    def _remember_start(self, targets: list[tuple[bytes]], own: bool) -> None:
        if own:
            query = ("INSERT INTO outputs VALUES (?, NULL, NULL, 0, NULL) "
                     "ON CONFLICT (target) DO UPDATE SET complete = 0, due = NULL")  # fmt: skip
        else:
            query = "DELETE FROM outputs WHERE target = ?"
        self._database.executemany(query, targets)

    def _remember_outcome(self, record: Record, current: bool) -> None:
        key = tuple(_pack(record.get(field) or "") for field in ("input", "member", "output"))
        size, stamp = record.get("input_bytes") if current else -1, record.get("input_stamp", "")  # -1: to be replaced
        if record["event"] == "done":
            facts = size, stamp, record.get("input_digest") if current else None, "warning" in record
            self._database.execute("INSERT OR REPLACE INTO earlier VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, *facts))
        elif record["event"] == "unchanged":  # what it was made of, and with which warning, stays
            self._update("size = ?, stamp = ?", size, stamp, *key)
        else:  # what was there before still is, if nothing was written
            written = "output_bytes" in record and not self._settings.shard_format
            self._update("size = -1, warned = 1, digest = NULL" if written else "size = -1", *key)
        # a shard is complete with the last of its recordings: what was torn off behind one may be of others in it
        due = "coalesce(due, ?) - 1"
        self._database.execute(f"UPDATE outputs SET due = {due}, complete = {due} <= 0 WHERE target = ?",
                               (*[record.get("together") or 1] * 2, key[2]))  # fmt: skip
        query = ("UPDATE outputs SET bytes = coalesce(?, bytes), digest = coalesce(?, digest) "
                 "WHERE target = ? AND complete")  # fmt: skip
        self._database.execute(query, (record.get("output_bytes"), record.get("digest"), key[2]))

    def _update(self, change: str, *values: Any) -> None:
        self._database.execute(f"UPDATE earlier SET {change} WHERE name = ? AND member = ? AND target = ?", values)

    def interrupted(self) -> list[tuple[str, bool]]:
        """Outputs that a run has begun and said no more of, and whether an earlier one had completed them."""
        query = "SELECT target, bytes IS NOT NULL FROM outputs WHERE NOT complete"
        return [(_unpack(target), bool(known)) for target, known in self._database.execute(query)]
