"""Near duplicates of a corpus that grows: a million rows are sketched once, a thousand new ones only look them up.

    index = NearIndex(Path("near"), NearParams())
    index.add(records)                # the first time: as long as `near.compute`
    index.add(more)                   # later: as long as `more` takes, and one pass over the stored band keys
    near_copies.choose(index, 0.8)    # curation/clean/near_copies.py: which rows go

Each `add` leaves one folder of arrays that is never changed; they are mapped, not read, so memory holds what is touched. What all
added rows together give is what `near.compute` gives for them, whatever the order and the size of the parts: `sidecar`
is equal to it, and tests hold it to that. Where a new row enters a bucket of more than `crowd` groups, it may push others
out of the first `crowd`, so all pairs are sought again, from the stored sketches.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curation.errors import DataError
from curation.progress import Progress, silent
from curation.score import near, near_parts, pairs

if TYPE_CHECKING:
    import numpy as np

_FORM = 2  # of the folder; another kernel or another layout takes another number


class NearIndex:
    """The rows added so far, in `folder`; raises DataError when it was made with other params."""

    def __init__(self, folder: Path, params: near.NearParams) -> None:
        self.folder, self.params = folder, params
        made_with = json.dumps({"form": _FORM, **params.model_dump()}, sort_keys=True)
        note = folder / "params.json"
        numbered = sorted(folder.glob("[0-9]*"))
        if not note.exists() and not numbered:
            near_parts.write(note, made_with)
        if not note.exists():
            raise DataError(f"{note}: no such file beside the parts of an index; remove the index and build it anew.")
        if (found := note.read_text(encoding="utf-8")) != made_with:
            raise DataError(f"{note}: the index was made with {found}, asked for is {made_with}; name another folder.")
        for number, path in enumerate(numbered):
            if path.name != f"{number:06}":
                raise DataError(
                    f"{folder}: {path.name} stands where part {number:06} should; "
                    "restore that part, or remove the index and build it anew."
                )
        self._parts = [near_parts.load(path) for path in numbered]

    def add(self, records: pl.DataFrame, progress: Progress = silent) -> pl.DataFrame:
        """Add rows that are not there yet; give their pairs as `first`, `second` (smallest content hashes of the groups), `similarity`."""
        with contextlib.ExitStack() as unsaved:
            unsaved.callback(setattr, self, "_parts", self._parts)  # what is not saved is not held either
            told = self._add(records, progress)
            unsaved.pop_all()
        return told

    def _add(self, records: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        import numpy as np

        known = self._holds(_as_bytes(records["content_hash"]))
        own = near._rows(records.filter(~pl.Series(known, dtype=pl.Boolean)))
        work = near._digests([own], self.params, progress)
        hashes, base = _as_bytes(own.hashes), self.groups()
        having = np.flatnonzero(work.count)
        identity, at, inverse = np.unique(work.identity[having], return_index=True, return_inverse=True)
        leader = having[at]  # rows stand in order of content hash: the first of a group is its smallest
        number = self._numbers(identity)
        new = np.flatnonzero(number < 0)
        number[new] = base + np.arange(len(new))
        group = np.full(len(hashes), -1, np.int64)
        group[having] = number[inverse]
        old = np.flatnonzero(number < base)
        moved = number[
            old[hashes[leader[old]] < self.first_hashes(number[old])]
        ]  # groups whose first row is another now
        rows = leader[new]
        part = near_parts.Part(
            hashes, group, identity[new], rows, work.start[rows], work.count[rows], work.sets,
            work.keys[rows] & np.uint32(0xFFFFFFFE), np.zeros((0, 2), np.int64), np.zeros(0), np.array([not self._parts]),
        )  # fmt: skip
        meeting, crowded = self._meeting(part.keys, moved)
        self._parts = [*self._parts, part]
        if not base:
            links = near._links(work, np.sort(rows), len(hashes), False, self.params)
            first, second = group[links["first"].to_numpy()], group[links["second"].to_numpy()]
        elif crowded:
            everyone = np.arange(base + len(new))
            everyone = everyone[np.argsort(self.first_hashes(everyone), kind="stable")]
            links = near._links(self._work(everyone), np.arange(len(everyone)), len(everyone), False, self.params)
            first, second = everyone[links["first"].to_numpy()], everyone[links["second"].to_numpy()]
        else:
            few = np.concatenate([meeting, base + np.arange(len(new))])
            links = near._links(self._work(few), np.arange(len(few)), len(few), False, self.params)
            links = links.filter(pl.col("second") >= len(meeting))  # new ones come last
            first, second = few[links["first"].to_numpy()], few[links["second"].to_numpy()]
        found = np.stack([first, second], axis=1).astype(np.int64)
        similarity = links["similarity"].to_numpy()
        complete = np.array([crowded or not base])
        self._parts[-1] = replace(part, links=found, similarity=similarity, whole=complete)
        fresh = (found >= base).any(axis=1)
        ends = (as_series(self.first_hashes(found[fresh, n])) for n in range(2))
        told = pl.DataFrame(dict(zip(("first", "second"), ends, strict=True))).with_columns(
            pl.Series("similarity", similarity[fresh], dtype=pl.Float64)
        )
        near_parts.save(self._parts[-1], self.folder, len(self._parts) - 1)
        return told

    def sidecar(self) -> pl.DataFrame:
        """What `near.compute` gives for all rows."""
        import numpy as np

        hashes, group = _joined([p.hashes for p in self._parts], "S1"), self.group()
        order = np.argsort(hashes, kind="stable")
        group, first = group[order], np.full(len(order), -1, np.int64)
        having = np.flatnonzero(group >= 0)
        numbers, at, inverse = np.unique(group[having], return_index=True, return_inverse=True)
        first[having] = having[at][inverse]
        links, similarity = self.links()
        ends = having[at][np.searchsorted(numbers, links)]
        found = pl.DataFrame(
            {"first": ends[:, 0], "second": ends[:, 1], "similarity": similarity}, schema_overrides=pairs.LINKS
        )
        reasons = pl.Series([None if g >= 0 else "no_units" for g in group.tolist()], dtype=pl.String)
        return pairs.sidecar(pairs.Side(as_series(hashes[order]), first), found, reasons)

    def group(self) -> np.ndarray:
        """The number of each row's group, -1 without units; part by part, in the order of content hashes within."""
        return _joined([p.group for p in self._parts], "int64")

    def hashes(self, rows: np.ndarray) -> np.ndarray:
        """Content hashes, as bytes, of rows counted as in `group`."""
        import numpy as np

        out, begin = np.zeros(len(rows), self._width()), 0
        for part in self._parts:
            here = (rows >= begin) & (rows < begin + len(part.hashes))
            out[here] = part.hashes[rows[here] - begin]
            begin += len(part.hashes)
        return out

    def links(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of group numbers, each once, and their Jaccard similarity."""
        import numpy as np

        last = max((n for n, p in enumerate(self._parts) if p.whole[0]), default=0)
        kept = self._parts[last:]
        ends = np.concatenate([np.zeros((0, 2), np.int64), *(p.links for p in kept)])
        return ends, np.concatenate([np.zeros(0), *(p.similarity for p in kept)])

    def first_hashes(self, groups: np.ndarray) -> np.ndarray:
        """The smallest content hash, as bytes, of each of `groups`."""
        import numpy as np

        out, base = np.zeros(len(groups), self._width()), 0
        for part in self._parts:
            here = (groups >= base) & (groups < base + len(part.identity))
            out[here] = part.hashes[part.first[groups[here] - base]]
            joined = np.flatnonzero((part.group >= 0) & (part.group < base)) if base else np.zeros(0, np.int64)
            if len(joined):
                numbers, at = np.unique(part.group[joined], return_index=True)
                place = np.minimum(np.searchsorted(numbers, groups), len(numbers) - 1)
                candidate = part.hashes[joined[at][place]]
                better = (numbers[place] == groups) & (candidate < out)
                out[better] = candidate[better]
            base += len(part.identity)
        return out

    def groups(self) -> int:
        """How many groups there are; they are numbered from 0."""
        return sum(len(p.identity) for p in self._parts)

    def _width(self) -> Any:
        import numpy as np

        return max((p.hashes.dtype for p in self._parts), key=lambda d: d.itemsize, default=np.dtype("S1"))

    def _holds(self, hashes: np.ndarray) -> np.ndarray:
        import numpy as np

        held = np.zeros(len(hashes), np.bool_)
        for part in (p for p in self._parts if len(p.hashes)):
            place = np.minimum(np.searchsorted(part.hashes, hashes), len(part.hashes) - 1)
            held |= part.hashes[place] == hashes
        return held

    def _numbers(self, identity: np.ndarray) -> np.ndarray:
        """Group numbers by identity, -1 where there is none."""
        import numpy as np

        number, base = np.full(len(identity), -1, np.int64), 0
        for part in self._parts:
            if len(part.identity):
                place = np.minimum(np.searchsorted(part.identity, identity), len(part.identity) - 1)
                number = np.where(part.identity[place] == identity, base + place, number)
            base += len(part.identity)
        return number

    def _meeting(self, keys: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, bool]:
        """Stored groups that share a band with new ones (`keys`), and whether a bucket of these or of `moved` is a crowd."""
        import numpy as np

        from curation.score import near_lookup

        asked = np.concatenate([keys, self._work(moved).keys]) if len(moved) else keys
        if not len(asked) or not self.groups():
            return np.zeros(0, np.int64), False
        begins, wanted, sizes = [0], [], []
        for band in range(asked.shape[1]):
            values = np.unique(asked[:, band])
            held, counts = np.unique(keys[:, band], return_counts=True)
            size = np.zeros(len(values), np.int64)
            size[np.searchsorted(values, held)] = counts
            wanted.append(values)
            sizes.append(size)
            begins.append(begins[-1] + len(values))
        sought, size = np.concatenate(wanted), np.concatenate(sizes)
        found, base = [np.zeros(0, np.int64)], 0
        for part in self._parts:
            hit = near_lookup.meeting(part.keys, sought, np.array(begins), near_lookup.sieve(wanted), size)
            found.append(base + np.flatnonzero(hit))
            base += len(part.identity)
        return np.concatenate(found), bool(size.max() > self.params.crowd)

    def _work(self, groups: np.ndarray) -> near._Work:
        """The sketches of `groups`, one row a group."""
        import numpy as np

        bands, _ = near.banding(self.params.permutations, self.params.floor)
        count, keys = np.zeros(len(groups), np.int64), np.zeros((len(groups), bands), np.uint32)
        at, base = [], 0
        for part in self._parts:
            here = np.flatnonzero((groups >= base) & (groups < base + len(part.identity)))
            local = groups[here] - base
            count[here], keys[here] = part.count[local], part.keys[local]
            at.append((part, here, local))
            base += len(part.identity)
        start = np.append(0, np.cumsum(count))
        sets = np.empty(start[-1], np.uint64)
        for part, here, local in at:
            for row, own in zip(here.tolist(), local.tolist(), strict=True):
                sets[start[row] : start[row + 1]] = part.sets[part.start[own] : part.start[own] + part.count[own]]
        return near._Work(sets, start[:-1], count, np.zeros(len(groups), np.uint64), keys)


def _joined(arrays: Sequence[np.ndarray], kind: str) -> np.ndarray:
    import numpy as np

    return np.concatenate([np.zeros(0, kind), *arrays])


def _as_bytes(hashes: pl.Series) -> np.ndarray:
    import numpy as np

    return np.array(hashes.to_numpy(), dtype="S") if len(hashes) else np.zeros(0, "S1")


def as_series(hashes: np.ndarray) -> pl.Series:
    """Content hashes as bytes → as strings."""
    return pl.Series(hashes.astype(str).tolist() if len(hashes) else [], dtype=pl.String)
