"""UTF-8 as kernels read it: a string column's bytes without a Python string a row, and the code point at a place.

Import this module late: numba compiles what it holds.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numba import njit

Array = np.ndarray


def buffers(texts: pl.Series) -> tuple[Array, Array]:
    """Bytes (uint8) of a string column without nulls, and where each text begins (int64, one more than texts).

    Read-only, also where there is nothing: kernels are compiled for one kind of array.
    """
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    text = np.frombuffer(bytes(1) if data is None or data.size == 0 else data, np.uint8)
    if len(array) == 0:
        return text, np.frombuffer(bytes(8), np.int64)
    return text, np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]


@njit(inline="always")
def decode(data: Array, i: int) -> tuple[np.uint32, int]:
    """The code point that begins at byte `i` of valid UTF-8, and where the next one begins."""
    code = np.uint32(data[i])
    if code < 0x80:
        return code, i + 1
    if code < 0xE0:
        return ((code & 0x1F) << 6) | (data[i + 1] & 0x3F), i + 2
    if code < 0xF0:
        return ((code & 0x0F) << 12) | ((np.uint32(data[i + 1]) & 0x3F) << 6) | (data[i + 2] & 0x3F), i + 3
    code = ((code & 0x07) << 18) | ((np.uint32(data[i + 1]) & 0x3F) << 12)
    return code | ((np.uint32(data[i + 2]) & 0x3F) << 6) | (data[i + 3] & 0x3F), i + 4
