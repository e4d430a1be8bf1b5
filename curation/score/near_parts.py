"""What one `add` to an index of near duplicates leaves on disk: a folder of arrays, written whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from curation.errors import DataError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Part:
    """What one `add` brought. Rows stand in the order of content hashes; groups (equal shingle sets) in that of identities."""

    hashes: np.ndarray  # content hashes, as bytes
    group: np.ndarray  # number of each row's group, counted through all parts; -1: no units
    identity: np.ndarray  # of the groups that are new with this part
    first: np.ndarray  # the first row of each
    start: np.ndarray  # its shingles are sets[start:start + count]
    count: np.ndarray
    sets: np.ndarray
    keys: np.ndarray  # its band keys
    links: np.ndarray  # pairs of group numbers
    similarity: np.ndarray
    whole: np.ndarray  # [True]: `links` are all there are, those of earlier parts included


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); free space, or name another folder.") from None


def save(part: Part, folder: Path, number: int) -> None:
    """Whole or not at all: written aside, then renamed. What a killed run left aside is removed."""
    import numpy as np

    for left in folder.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    aside = folder / "new-"
    try:
        aside = Path(mkdtemp(prefix="new-", dir=folder))
        for field in fields(part):
            np.save(aside / f"{field.name}.npy", getattr(part, field.name))
        aside.rename(folder / f"{number:06}")
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise DataError(
            f"{folder}: cannot be added to ({error}); free space, or let one run at a time write."
        ) from None


def load(path: Path) -> Part:
    import numpy as np

    try:  # mode "c": kernels are compiled once, for arrays that may be written; the file stays as it is
        arrays = [np.asarray(np.load(path / f"{f.name}.npy", mmap_mode="c")) for f in fields(Part)]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a part of a near index ({error}); remove the index and build it anew.") from None
    return Part(*arrays)
