"""Cleaned and synthesized rows → data/mixed and reports/mixture.json. `python -m pipelines.mix`"""

from __future__ import annotations

from curation import records
from pipelines import params, paths
from pipelines.stage import Bar, run, write_json


def work() -> str:
    from curation.mix import MixParams, mix
    from curation.models import load_tokenizer
    from curation.render import Renderer, RenderParams
    from curation.review import verdicts

    settings, render = params.load("mix", MixParams), params.load("render", RenderParams)
    cleaned, synthesized = (
        records.read(corpus.cleaned / "records.parquet", records.LABELLED) for corpus in paths.CORPORA.values()
    )
    near = {corpus.name: records.read(corpus.signals / "near.parquet") for corpus in paths.CORPORA.values()}
    said = verdicts.read(paths.VERDICTS)
    renderer = Renderer(load_tokenizer(render.model), render.template)
    with Bar() as bar:
        made = mix(cleaned, synthesized, near, renderer, settings, render, verdicts=said, progress=bar)
    records.write(made["train"], paths.MIXED / "train.parquet", "position")
    records.write(made["heldout"], paths.MIXED / "heldout.parquet", "id")
    records.write(made["unused"], paths.MIXED / "unused.parquet", "id")
    facts = made["manifest"]
    write_json(facts, paths.MIXED / "manifest.json")
    flat = {
        "unit": facts["unit"],
        **{unit: facts["train"][unit] for unit in ("rows", "tokens", "loss_tokens")},
        "share": {bucket: row["achieved_share"][facts["unit"]] for bucket, row in facts["mixture"].items()},
    }
    write_json(flat, paths.REPORTS / "mixture.json")
    shares = ", ".join(f"{b} {s:.1%}" for b, s in flat["share"].items())
    return f"{made['train'].height} train, {made['heldout'].height} held out, {made['unused'].height} unused; {facts['unit']}: {shares}"


if __name__ == "__main__":
    run("mix", work)
