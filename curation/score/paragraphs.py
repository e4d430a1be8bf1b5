"""Paragraphs and sentences of texts, each with its size and a hash of its normal form: what `clean` counts repeats by.

A paragraph is what stands between two line breaks, as in CCNet (Wenzek et al. 2020, arXiv 1911.00359). Two are one when they
have one normal form as exact copies have it (curation/score/normal_form.py, the defaults of ExactParams).

Kernels are compiled by numba on first use and kept in its cache; import this module late.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit

from curation.models import threads
from curation.score.characters import CHARACTER as _CHARACTER
from curation.score.characters import CLASS as _CLASS
from curation.score.characters import IGNORED as _IGNORED
from curation.score.characters import WORD as _WORD
from curation.score.characters import table
from curation.score.exact import ExactParams
from curation.score.exact import _normal as normal_hashes  # the one place that knows the slow characters
from curation.score.utf8 import buffers, decode

Array = np.ndarray
Unit = Literal["paragraph", "sentence"]

_SLICE = 1 << 25  # bytes of text that are hashed together: bounds memory


def pieces(texts: pl.Series, unit: Unit) -> pl.DataFrame:
    """A row a paragraph or sentence that is not blank, in the order of the texts.

    `text` (number of the text), `begin` and `end` (bytes within it), `chars` (code points other than spaces), `units` (a
    Chinese character, or half a word of another script), `hash_1`, `hash_2` (of the normal form).
    """
    texts = texts.fill_null("")
    sizes = texts.str.len_bytes().to_numpy()
    part = np.cumsum(sizes) // min(_SLICE, max(1, int(sizes.sum()) // (2 * threads()) + 1))
    begins = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(texts)] if len(texts) else [0, 0]

    def cut(at: int) -> pl.DataFrame:
        return _cut(texts.slice(begins[at], begins[at + 1] - begins[at]), unit, begins[at])

    with ThreadPoolExecutor(threads()) as pool:
        return pl.concat(list(pool.map(cut, range(len(begins) - 1))))


def _cut(texts: pl.Series, unit: Unit, first: int) -> pl.DataFrame:
    data, offsets = buffers(texts)
    none = np.empty(0, np.int64)
    n = _bounds(data, offsets, table(), unit == "sentence", none, none, none, none)
    ends, text, chars, units = (np.empty(n, np.int64) for _ in range(4))
    _bounds(data, offsets, table(), unit == "sentence", ends, text, chars, units)
    # Pieces follow one another without a gap (blank lines belong to the next one), so their bytes are a string column as they stand.
    begins = np.concatenate([offsets[:1], ends])[: n + 1]
    strings = pa.LargeStringArray.from_buffers(n, pa.py_buffer(begins), pa.py_buffer(data))
    hashes = normal_hashes(pl.Series(pl.from_arrow(strings)), ExactParams())
    of = offsets[text]
    return pl.DataFrame(
        {
            "text": text + first,
            "begin": np.maximum(begins[:-1], of) - of,
            "end": ends - of,
            "chars": chars,
            "units": units,
            "hash_1": hashes[:, 0],
            "hash_2": hashes[:, 1],
        }
    )


@njit(inline="always")
def _space(code: np.uint32) -> bool:
    if code < 0x85:
        return bool(code <= 0x20)
    return bool(
        code == 0x85 or code == 0xA0 or code == 0x1680 or 0x2000 <= code <= 0x200A
        or code == 0x2028 or code == 0x2029 or code == 0x202F or code == 0x205F or code == 0x3000
    )  # fmt: skip


@njit(inline="always")
def _closer(code: np.uint32) -> bool:
    """Quotation marks and brackets that close behind a full stop: " ' ) ] ’ ” 」 』 】 》 ）."""
    if code < 0x80:
        return bool(code == 0x22 or code == 0x27 or code == 0x29 or code == 0x5D)
    return bool(
        code == 0x2019 or code == 0x201D or code == 0x300D or code == 0x300F or code == 0x3011 or code == 0x300B or code == 0xFF09
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _bounds(
    data: Array, offsets: Array, entries: Array, sentences: bool, ends: Array, text: Array, chars: Array, units: Array
) -> int:
    """The number of pieces; writes the end of each, its text, characters and units, as far as there is room.

    A piece ends behind a line break. With `sentences` it also ends behind 。！？ and, where a space or the end of the text
    follows, behind . ! ?; marks and closers that follow stay with it. A full stop behind a single letter (J. K., e.g.) ends
    nothing. Abbreviations such as Mr. do: copies are cut alike, so nothing is missed but in pieces that get too short.
    """
    n = 0
    room = len(ends)
    for r in range(len(offsets) - 1):
        i, stop = offsets[r], offsets[r + 1]
        size = counted = letters = 0  # letters: of the word that is being read
        over, wide = False, False  # behind an end of a sentence; one of those that need no space
        begun = n
        while i < stop:
            at = i
            code, i = decode(data, i)
            blank = _space(code)
            line = code == 0x0A or code == 0x0D or code == 0x2028 or code == 0x2029
            if sentences and not line and over:
                mark = (
                    code == 0x2E or code == 0x21 or code == 0x3F or code == 0x3002 or code == 0xFF01 or code == 0xFF1F
                )
                if not (mark or _closer(code)):
                    if wide or blank:
                        if n < room:
                            ends[n], text[n], chars[n], units[n] = at, r, size, counted
                        n += 1
                        size = counted = letters = 0
                    over = wide = False
                elif code >= 0x3002 and mark:
                    wide = True
            if line:
                if size > 0:
                    if n < room:
                        ends[n], text[n], chars[n], units[n] = i, r, size, counted
                    n += 1
                size = counted = letters = 0
                over = wide = False
                continue
            if not blank:
                size += 1
            kind = (entries[code] >> _CLASS) & 7
            if kind == _WORD:
                counted += 2 if letters == 0 else 0
                letters += 1
                continue
            if kind == _IGNORED:
                continue
            if sentences and not over:
                if code == 0x3002 or code == 0xFF01 or code == 0xFF1F:
                    over = wide = size > 0
                elif code == 0x21 or code == 0x3F or (code == 0x2E and letters != 1):
                    over = size > 0
            letters = 0
            counted += kind == _CHARACTER
        if size > 0:
            if n < room:
                ends[n], text[n], chars[n], units[n] = stop, r, size, counted
            n += 1
        elif n > begun and n <= room:
            ends[n - 1] = stop  # blank lines at the end
    return n
