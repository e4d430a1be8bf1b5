"""A file's bytes as a stream, unpacked where it is gzip or zstd."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

from curation.errors import DataError

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 17


def opened(path: Path, name: str) -> BinaryIO:
    """The file's bytes as they are; raises DataError when it cannot be read."""
    try:
        file = path.open("rb")
        file.read(1)
        file.seek(0)
    except OSError as error:
        raise DataError(
            f"{name}: cannot be read ({error.strerror}); restore the file or take it out of ingest.sources."
        ) from None
    return file


def unpacked(path: Path, name: str) -> BinaryIO:
    """The bytes inside; raises DataError, when opened or while it is read, for what cannot be read."""
    file = opened(path, name)
    magic = file.read(4)
    file.seek(0)
    if magic[:2] == GZIP:
        return _Named(gzip.GzipFile(fileobj=file), name)  # type: ignore[return-value]
    if magic == ZSTD:
        return _Named(_Zstd(file), name)  # type: ignore[return-value]
    return file


class _Zstd:
    """Frames one after the other. The library's own stream reader ends without a word where a file was cut off."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file, self._new = file, zstandard.ZstdDecompressor().decompressobj
        self._frame, self._ready = self._new(), b""
        self._rest, self._begun = b"", False

    def read(self, size: int = -1) -> bytes:
        pieces, held = [self._ready], len(self._ready)
        while (size < 0 or held < size) and (data := self._rest or self._file.read(_BLOCK)):
            if self._frame.eof:
                self._frame = self._new()
            piece = self._frame.decompress(data)
            self._rest, self._begun = self._frame.unused_data if self._frame.eof else b"", not self._frame.eof
            pieces.append(piece)
            held += len(piece)
        if self._begun and (size < 0 or held < size):
            raise EOFError("it ends in the middle of a frame")
        joined = b"".join(pieces)
        end = len(joined) if size < 0 else size
        self._ready = joined[end:]
        return joined[:end]


class _Named(io.RawIOBase):
    """A decompressed stream whose errors name the file."""

    def __init__(self, stream: gzip.GzipFile | _Zstd, name: str) -> None:
        self._stream, self._name = stream, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:
            if (
                not isinstance(error, OSError | EOFError | ValueError | zlib.error)
                and type(error).__name__ != "ZstdError"
            ):
                raise
            sentence = f"{self._name}: compressed, but cannot be unpacked ({error}); fetch the file again."
            raise DataError(sentence) from None
