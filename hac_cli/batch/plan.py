"""What a batch has to do: every input, where it goes, and whether an earlier run has done it already.

The plan is a temporary SQLite database, which SQLite keeps on disk beyond a few megabytes: a million inputs need no
more memory than a hundred. Names are stored as bytes, since file systems allow what is no Unicode.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hac_cli.audio.formats import LOSSY
from hac_cli.batch.decoded import DECODED, Decoded
from hac_cli.batch.history import History
from hac_cli.batch.job import ANOTHERS, EXISTS, Candidate, Counts, Item, Job, Settings
from hac_cli.batch.storage import Entry, Folder
from hac_cli.errors import HacError, OutputError, UsageError

REFUSE, SKIP, OVERWRITE = "refuse", "skip", "overwrite"
"""What to do with an output that exists and that no run of this batch has made."""
SMALLEST_SHARD = 4_000_000  # bytes of input, a minute or two of WAV: half a second of work

_pack, _unpack = os.fsencode, os.fsdecode  # names, which need not be UTF-8, for the database

_ITEM = "name, target, size, stamp, member, digest, free, unsure, whole"
_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
CREATE TABLE items (id INTEGER PRIMARY KEY, name BLOB, member BLOB, target BLOB, size INT, stamp TEXT, digest TEXT,
                    todo INT, known INT, free INT, unsure INT, whole INT, job INT);
CREATE UNIQUE INDEX one_input ON items (name, member);
"""


class Plan:
    """Filled in four steps: the ``history`` remembers what was done, ``add`` every input, take out ``refusals``,
    ``group`` the rest into jobs."""

    def __init__(self, settings: Settings, target: Folder, existing: str = REFUSE) -> None:
        self._settings = settings
        self._target = target
        self._digest = functools.lru_cache(1024)(target.digest)  # a shard is the output of many inputs
        self._existing = existing
        self._database = sqlite3.connect("")  # a private file that goes when it is closed
        self._database.executescript(_TABLES)
        self._database.create_function("is_lossy", 1, lambda name: _is_lossy(_unpack(name)), deterministic=True)
        self.history = History(self._database, settings)
        self._decoded = Decoded(self._database, settings)

    def close(self) -> None:
        self._database.close()

    # -- what there is to do ------------------------------------------------------------------------------------

    def add(self, candidate: Candidate) -> None:
        """Decides what to do with an input. One that was named before is not added again."""
        key = (_pack(candidate.name), _pack(candidate.member or ""))
        wanted = () if candidate.target is None else (_pack(candidate.target),)
        query = "SELECT target, size, stamp, digest, warned FROM earlier WHERE name = ? AND member = ?"
        row = self._database.execute(query + " AND target = ?" * len(wanted), (*key, *wanted)).fetchone()
        known = row is not None
        target = _unpack(row[0]) if known else candidate.target
        guarded = self._existing != OVERWRITE
        there = self._target.find(target) if target is not None and (known or guarded) else None
        known = known and self._is_whole(str(target), there)
        hashed = known and self._settings.hash_inputs
        digest = row[3] if hashed else None
        changed = not known or (row[1], row[2]) != (candidate.size, candidate.stamp)
        own: bool | None = True
        if changed and guarded and there:
            foreign = self._maker(*key, _pack(str(target))) or self._decoded.holds(candidate.name, candidate.size)
            own = not foreign and self._is_own(str(target), there)
        known, todo = known and own is not False, own is not False and (hashed or changed)
        output = None if target is None else _pack(target)
        free = guarded and target is not None and there is None
        whole = guarded and known and not row[4]
        self._database.execute(
            "INSERT OR IGNORE INTO items VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (*key, output, candidate.size, candidate.stamp, digest, todo, known, free, own is None, whole),
        )

    def refusals(self) -> Iterator[tuple[Item, HacError]]:
        """Takes out the inputs that can't be done, and says why: when all are added."""
        if self._settings.shard_format is None:
            yield from self._refuse_twins()
        if self._existing == REFUSE:
            query = f"SELECT {_ITEM} FROM items WHERE NOT todo AND NOT known"
            for item in map(_item, self._database.execute(query)):
                maker = self._maker(*(_pack(text or "") for text in (item.name, item.member, item.target)))
                reason = DECODED if self._decoded.holds(item.name, item.size) else ANOTHERS if maker else EXISTS
                yield item, OutputError(reason.format(item.target, maker))

    def _refuse_twins(self) -> Iterator[tuple[Item, HacError]]:
        """Of inputs with one output, all but that which has made it, or else the first by its name, of those that have
        lost least before."""
        twins = self._database.execute(
            f"SELECT {_ITEM}, id, first FROM (SELECT items.*, "
            "first_value(id) OVER (PARTITION BY target ORDER BY earlier.size IS NULL, is_lossy(name), name, member) "
            "AS first FROM items LEFT JOIN earlier USING (name, member, target)) WHERE id != first"
        ).fetchall()
        for *row, number, first in twins:
            other = self._database.execute("SELECT name, member FROM items WHERE id = ?", (first,)).fetchone()
            self._database.execute("DELETE FROM items WHERE id = ?", (number,))
            item, rival = _item(row), _unpack(other[1] or other[0])
            way = ("rename one, or leave it out with --exclude" if item.member is None else
                   "to get this one, give another folder, and leave that one out with --exclude")  # fmt: skip
            # it is no news of the output, which is another input's
            yield replace(item, target=""), UsageError(f"would become {item.target}, as {rival} does; {way}")

    def _maker(self, name: bytes, member: bytes, target: bytes) -> str | None:
        """The other recording that an output was made of, if it isn't a shard, which is of many; one that has gone to
        another shard is the same."""
        if self._settings.shard_format:
            return None
        query = ("SELECT CASE member WHEN x'' THEN name ELSE member END AS maker FROM earlier "
                 "WHERE target = ? AND maker != ?")  # fmt: skip
        row = self._database.execute(query, (target, member or name)).fetchone()
        return _unpack(row[0]) if row else None

    def _is_whole(self, target: str, there: Entry | None) -> bool:
        row = self._database.execute("SELECT bytes FROM outputs WHERE target = ?", (_pack(target),)).fetchone()
        return there is not None and row is not None and there.size == row[0]

    def _is_own(self, target: str, there: Entry) -> bool | None:
        """Whether that is a file that this batch made, as it made it; None where a run that was interrupted had begun
        it, and what is there may be that or somebody else's."""
        query = "SELECT bytes, digest, complete FROM outputs WHERE target = ?"
        row = self._database.execute(query, (_pack(target),)).fetchone()
        if row is None:
            return False
        size, digest, complete = row
        same = there.size == size and (digest is None or self._digest(target) in (digest, None))
        if same or there.size == 0:  # a power cut may leave nothing of a file but its name
            return True
        return False if complete else None

    # -- jobs ---------------------------------------------------------------------------------------------------

    def group(self, shard_bytes: int, shards: int) -> Counts:
        """Makes jobs of what is to be done: one for every file, or new shards of up to ``shard_bytes`` of input.

        Shards are smaller where there would be fewer than ``shards``, so that every worker has one, but no crumbs.
        """
        if self._settings.shard_format is None:
            self._database.execute("UPDATE items SET job = (SELECT min(id) FROM items AS same WHERE same.name = "
                                   "items.name) WHERE todo AND member != x''")  # fmt: skip
            self._database.execute("UPDATE items SET job = id WHERE todo AND job IS NULL")
        else:
            self._fill_shards(shard_bytes, shards)
            self._database.execute("UPDATE items SET job = (SELECT min(id) FROM items AS same WHERE same.target = "
                                   "items.target) WHERE todo")  # fmt: skip
        self._database.execute("CREATE INDEX items_of_job ON items (job) WHERE job IS NOT NULL")
        query = "SELECT count(*), coalesce(sum(size), 0), count(DISTINCT job) FROM items WHERE todo"
        inputs, size, jobs = self._database.execute(query).fetchone()
        query = "SELECT count(*) FROM items WHERE NOT todo AND known = ?"
        others, done = (self._database.execute(query, (known,)).fetchone()[0] for known in (False, True))
        query = (
            "SELECT count(*) FROM items JOIN earlier USING (name, member, target) WHERE known AND NOT todo AND warned"
        )
        warned = self._database.execute(query).fetchone()[0]
        return Counts(inputs, size, jobs, done, warned, others if self._existing == SKIP else 0)

    def _fill_shards(self, shard_bytes: int, shards: int) -> None:
        """Gives inputs that are in no shard yet to new ones, in the order of their names."""
        query = "SELECT coalesce(sum(size), 0) FROM items WHERE todo AND target IS NULL"
        fair = -(-self._database.execute(query).fetchone()[0] // shards)
        shard_bytes = min(shard_bytes, max(fair, SMALLEST_SHARD))
        self._database.execute(
            "CREATE TABLE shards AS SELECT id, (sum(size) OVER (ORDER BY name, id) - size) / ? AS number FROM items "
            "WHERE todo AND target IS NULL", (shard_bytes,),
        )  # fmt: skip
        self._database.execute("CREATE INDEX numbers ON shards (number)")
        last = self._last_shard()
        for (shard,) in self._database.execute("SELECT DISTINCT number FROM shards ORDER BY number").fetchall():
            last += 1
            target = f"tokens-{last:06}.{self._settings.shard_format}"
            if self._target.find(target) is not None:
                raise UsageError(f"holds {target}, of which the manifest knows nothing: recordings might come twice; "
                                 "name another folder, or the manifest of that batch with --manifest",
                                 self._settings.target)  # fmt: skip
            query = "UPDATE items SET target = ? WHERE id IN (SELECT id FROM shards WHERE number = ?)"
            self._database.execute(query, (_pack(target), shard))
        self._database.execute("CREATE INDEX items_of_shard ON items (target)")

    def _last_shard(self) -> int:
        numbers = (re.fullmatch(rb"tokens-(\d+)\.\w+", row[0]) for row in
                   self._database.execute("SELECT target FROM outputs"))  # fmt: skip
        return max((int(match[1]) for match in numbers if match), default=-1)

    def jobs(self) -> Iterator[Job]:
        """The largest first: a long recording that comes last would keep one worker busy while the rest has gone."""
        order = "SELECT job, sum(size) FROM items WHERE job IS NOT NULL GROUP BY job ORDER BY 2 DESC, 1"
        query = f"SELECT {_ITEM} FROM items WHERE job = ? ORDER BY name, id"
        for job, size in self._database.execute(order):
            rows = self._database.execute(query, (job,)).fetchall()
            yield Job(tuple(map(_item, rows)), size)


def _is_lossy(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in LOSSY


def _item(row: Sequence[Any]) -> Item:
    name, target, size, stamp, member, digest, *flags = row
    return Item(_unpack(name), _unpack(target), size, stamp, _unpack(member) or None, digest, *map(bool, flags))
