"""Of a text that is too long for an encoder, its two ends: what is asked may stand on either side of the material."""

from __future__ import annotations


def ends(text: str, most: int) -> str:
    """The text, or when it has more than `most` bytes of UTF-8 its first two thirds of them, " … ", and its last third."""
    data = text.encode()
    if len(data) <= most:
        return text
    return f"{data[: most * 2 // 3].decode(errors='ignore')} … {data[-(most // 3) :].decode(errors='ignore')}"
