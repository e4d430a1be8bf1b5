"""One corpus → data/repaired/<corpus>. `python -m pipelines.repair raw`"""

from __future__ import annotations

from curation import records
from pipelines import params, paths
from pipelines.stage import Bar, run_named


def work(name: str) -> str:
    from curation.repair import RepairParams, fixes, repair
    from curation.review import lines

    corpus = paths.CORPORA[name]
    settings = params.load("repair", RepairParams)
    rows = records.read(corpus.came_from / "records.parquet", records.SCHEMA)
    given = fixes.parse(lines.text(paths.FIXES), str(paths.FIXES))
    mine = lines.belonging([fix.id for fix in given], rows["id"], made=name == "generated")
    given = [fix for fix in given if fix.id in mine]
    with Bar() as bar:
        repaired, edits = repair(rows, given, settings, bar)
    records.write(repaired, corpus.repaired / "records.parquet", "id")
    records.write(edits, corpus.repaired / "edits.parquet", ["id", "step"])
    rules = ", ".join(f"{rule} {n}" for rule, n in edits["rule"].value_counts().sort("rule").iter_rows())
    return f"{edits['id'].n_unique()} of {rows.height} records edited{': ' + rules if rules else ''}"


if __name__ == "__main__":
    run_named("repair", work)
