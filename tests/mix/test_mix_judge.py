"""`mix.quality.by: judge`: grades in place of numbers, none guessed, and one line for the rows without."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from curation import records
from curation.errors import ConfigError
from curation.mix import MixParams
from curation.score.judge import SCHEMA
from pipelines import mix, params, paths

BY = MixParams.model_validate({"quality": {"by": "judge", "temperature": 1.0}})
REMEDY = "set it to true, or mix.quality.by to auto."


@pytest.fixture
def frames(tmp_path, monkeypatch) -> list[pl.DataFrame]:
    monkeypatch.chdir(tmp_path)
    grades = [("a", 5, None), ("b", 1, None), ("c", None, "budget"), ("t", None, "text")]
    made = [(h, g, "m" if g else None, reason) for h, g, reason in grades]
    for corpus, rows in (("raw", made), ("generated", [("d", 4, "m", None)])):
        records.write(pl.DataFrame(rows, schema=SCHEMA, orient="row"), paths.CORPORA[corpus].signals / "judge.parquet")
    own = '{"quality": 9}'
    cleaned = [{"id": h, "content_hash": h, "kind": "text" if h == "t" else "chat", "meta": own} for h in "abct"]
    both = [cleaned, [{"id": "d", "content_hash": "d", "kind": "chat"}]]
    return [records.frame(rows, records.LABELLED) for rows in both]


def test_grades_stand_in_place_of_the_sources_numbers(frames):
    found = mix._quality(frames, BY)
    assert found.rows() == [("a", 1.0), ("b", 0.0), ("c", None), ("d", 0.75)]
    assert mix._ungraded(found, BY) == (
        "; 1 of 4 distinct conversations have no grade of the judge: tail where a part asks for quality, and as the mean of their "
        "part under a temperature"
    )
    assert mix._ungraded(found.drop_nulls(), BY) == ""
    assert mix._ungraded(None, BY) == mix._ungraded(found, MixParams()) == ""
    assert mix._quality(frames, MixParams.model_validate({"quality": {"by": "judge"}})) is None  # nothing asks for it


def test_no_grade_at_all_is_an_error(frames):
    with pytest.raises(ConfigError) as error:
        mix._quality([frames[0].filter(pl.col("id") == "c"), frames[1].clear()], BY)
    assert str(error.value) == (
        "mix.quality.by: found 'judge', and it graded none of 1 conversations; data/signals/*/judge.parquet says why in "
        "not_applicable; mend score.judge, or set mix.quality.by to auto."
    )


@pytest.mark.parametrize("text", ["score: {}\n", "score:\n  judge: {enabled: false}\n", "score: null\n"])
def test_grades_must_be_measured(tmp_path, text):
    path = Path(tmp_path / "params.yaml")
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        params.judged(BY, path)
    assert str(error.value) == (
        "mix.quality.by: found 'judge', and score.judge.enabled is not true, so that there are no grades; " + REMEDY
    )
    params.judged(MixParams(), path)
    path = Path(tmp_path / "enabled.yaml")
    path.write_text("score:\n  judge: {enabled: true}\n")
    params.judged(BY, path)
