"""What the stage writes: the rows of `mix` as `records.write` puts them, in whatever order and chunks the texts come."""

import polars as pl
import pytest

from curation import records
from curation.errors import DataError
from curation.mix import OUTPUTS, bare, frames, write
from tests.mix.rows import FULL, decided, labelled

SAID = (
    ("什么是递归？", "函数调用自己。"),
    ("What is recursion?", "A call of itself."),
    ("用 Python 写 quicksort", "def q(x): …"),
)
RATIOS = {"general": 1, "domain": 2}


def texts(pool: pl.DataFrame) -> pl.DataFrame:
    """Records for the rows of `pool`, in Chinese, English and both."""
    given = pool.drop("content_hash", "tokens", "loss_tokens", "quality").iter_rows(named=True)
    return records.frame(
        [labelled(answer=SAID[i % 3][1], prompt=SAID[i % 3][0], **_named(r)) for i, r in enumerate(given)],
        records.LABELLED,
    )


def _named(row: dict[str, object]) -> dict[str, object]:
    return {"id_" if key == "id" else key: value for key, value in row.items()}


@pytest.mark.parametrize("rows", [7, 65536])
def test_the_files_hold_the_frames(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(records, "ROW_GROUP", rows)
    found, whole = decided(FULL, ratios=RATIOS, exhaustion="repeat"), texts(FULL)
    pieces = [whole.sample(fraction=1, shuffle=True, seed=1)[i : i + 9] for i in range(0, whole.height, 9)]
    write.write(pl.concat(pieces, rechunk=False).lazy(), bare(found), tmp_path / "pieces")
    write.write(whole.lazy(), found, tmp_path / "whole")
    for name, wanted in frames(whole.lazy(), found):
        file = tmp_path / "whole" / f"{name}.parquet"
        assert pl.read_parquet(file).equals(wanted)
        assert wanted.schema == OUTPUTS[name][0]
        assert file.read_bytes() == (tmp_path / "pieces" / file.name).read_bytes()
        if rows > wanted.height:
            records.write(wanted, tmp_path / "plain.parquet")
            assert file.read_bytes() == (tmp_path / "plain.parquet").read_bytes()


def test_an_output_without_rows_is_a_file_with_its_columns(tmp_path):
    found = decided(FULL, ratios=RATIOS, heldout={"share": 0})
    write.write(texts(FULL).lazy(), found, tmp_path)
    assert found.heldout.is_empty()
    assert pl.read_parquet(tmp_path / "heldout.parquet").schema == OUTPUTS["heldout"][0]


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "train.parquet").mkdir()
    with pytest.raises(
        DataError, match=r"train\.parquet: cannot write \(.*\); free some space or pick another folder, then run"
    ):
        write.write(texts(FULL).lazy(), decided(FULL, ratios=RATIOS), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]


def test_of_a_decision_only_what_is_its_own_is_kept_beside_the_texts():
    assert bare(decided(FULL, ratios=RATIOS)).unused.columns == ["id", "weight", "tokens", "loss_tokens", "reason"]
