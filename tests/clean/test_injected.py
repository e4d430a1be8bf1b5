"""Defects put into public data are found by the rule that should find them, and the rows beside them stay.

The two demo sets have faults of their own. Each row that the rules take was read: those in JUDGED are truly bad (a
placeholder, an answer cut off or in the wrong language) and exact copies speak for themselves; the rest may not exceed 0.5%.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from curation import records as rec
from curation.clean.duplicates import DuplicateParams
from curation.ingest import IngestParams, SourceParams, ingest
from tests.clean.conftest import Walk, Walker
from tests.inject import KINDS, Truth, inject, read

ROOT = Path(__file__).parents[2]
# The beginning of the prompt → what is wrong with the answer.
JUDGED = {
    "Write a script of a sales call.": "[Salesperson's Name], [Company Name]",
    "Write an email to persuade your manager": "Dear [Manager], [Your Name]",
    "Generate an appropriate closing to a business email.": "[Your Name]",
    "Create an email that encourages people to donate": "Dear [Recipient], [Your Name]",
    "Generate ideas for a humorous slogan": "since [year]",
    "Write a letter of recommendation for John Doe": "[Your Name]",
    "Write the body of an email to invite people": "[date and time], [duration], [Your Name]",
    "Deduplicate the strings in the following array": "begins with the heading ### Output:",
    "Generate content for an article about the given subject.": "stops at “your body”",
    "Create a multiplication table from 2 to 10.": "stops at 8x4, the code block is open",
    "Come up with an algorithm for predicting house prices": "stops at “it may need to be re”",
    "Create a scientific article about the extinct species": "stops at “of the importance of”",
    "安排明天上午10点的会议。": "answered in English",
    "找到今天纽约的天气预报": "answered in English, begins in mid sentence",
    "识别这个句子的情绪。": "answered in English",
    "生成一个关于2020年美国总统选举的5个问题": "answered in English",
    "生成一个介于0和1之间的唯一随机数。": "answered in English, begins in mid sentence",
    "列出四张披头士专辑。": "answered in English, begins in mid sentence",
    "写一封邮件给经理，请求更改会议时间。": "[您的名字]",
    "创建给定物品的购买收据。": "[日期], [价格]",
    "给教授史密斯发送一封邮件": "[您的姓名]",
    "创建一封跟进电子邮件。": "[姓名], [你的名字]",
    "给客户写一封邮件，道歉因为延迟的发货": "[公司名称]",
    "写求职信。": "XXX大学, XXX公司",
    "技术如何帮助改善生活质量？": "stops at “4. 工作：”",
    "分析运动员 Lionel Messi 的职业成就。": "stops at “并在202”",
    "使用亚马逊雨林生物多样性知识创建填字游戏。": "stops in a drawing, the code block is open",
    "生成涉及骰子的游戏的创意指令。": "stops at “方法有以下几种：”",
}


@dataclass(frozen=True)
class Injected:
    """A demo set with defects, and what became of it."""

    walked: Walk
    truth: list[Truth]
    ids: dict[int, str]  # record → id
    records: int


@pytest.fixture(scope="module", params=["en", "zh"])
def injected(
    request: pytest.FixtureRequest, shared_data: Path, walk: Walker, tmp_path_factory: pytest.TempPathFactory
) -> Injected:
    demo = shared_data / f"LLaMA-Factory/alpaca_{request.param}_demo.json"
    if not demo.exists():
        pytest.skip(f"{demo} is not there; it is public data that does not belong to this project")
    given = read(demo)
    text, truth = inject(given, seed=7, share=0.12, evaluation=ROOT / "data/evaluation")
    path = tmp_path_factory.mktemp(request.param) / "injected.json"
    path.write_text(text, encoding="utf-8")
    source = SourceParams(path=str(path), license="Apache-2.0")
    raw, quarantine = ingest(IngestParams(sources=(source,)))
    lines = {i: json.loads(meta)["line"] for i, meta in raw.select("id", "meta").iter_rows()}
    lines |= dict(quarantine.select("id", "line").iter_rows())
    ids = {line - 1: i for i, line in lines.items()}  # the array's bracket stands on line 1
    copies = {t.record + d for t in truth if t.kind == "paraphrased_copy" for d in (-1, 0)}
    return Injected(walk((source,), encode={ids[n] for n in copies}), truth, ids, len(given))


def rules(walked: Walk) -> dict[str, set[str]]:
    """id → reasons, edits and rules that took hold of the row."""
    found: dict[str, set[str]] = {}
    for frame, column in ((walked.quarantine, "reason"), (walked.edits, "rule"), (walked.dropped, "rule")):
        for id_, name in frame.select("id", column).iter_rows():
            found.setdefault(id_, set()).add(name)
    for id_, also in walked.dropped.select("id", "also").iter_rows():
        found[id_] |= set(also)
    return found


def test_95_of_100_are_caught_by_the_rule_that_is_named(injected: Injected) -> None:
    caught = rules(injected.walked)
    missed = [t for t in injected.truth if not set(t.expect) & caught.get(injected.ids[t.record], set())]
    # Of the rows that share one answer, the allowed number stays.
    allowed = [t for t in missed if t.kind == "same_answer"][: DuplicateParams().same_answer]
    missed = [t for t in missed if t not in allowed]
    assert len(missed) <= 0.05 * len(injected.truth), [(t.record, t.kind) for t in missed]


def test_every_kind_is_there_that_makes_sense_in_the_language(injected: Injected) -> None:
    language = Counter(t.language for t in injected.truth).most_common(1)[0][0]
    expected = {name for name, kind in KINDS.items() if language in kind.languages}
    assert {t.kind for t in injected.truth} == expected


def test_rows_beside_them_stay(injected: Injected) -> None:
    touched = [injected.ids[t.record] for t in injected.truth]
    lost = injected.walked.dropped.filter(~pl.col("id").is_in(touched) & (pl.col("rule") != "exact_duplicate"))
    prompts = rec.sides(injected.walked.raw).select("id", "prompt")
    unjudged = [
        (rule, prompt[:60])
        for rule, prompt in lost.join(prompts, on="id").select("rule", "prompt").iter_rows()
        if not any(prompt.startswith(known) for known in JUDGED)
    ]
    assert len(unjudged) <= 0.005 * injected.records, unjudged
    assert injected.walked.quarantine.filter(~pl.col("id").is_in(touched)).height == 0


def test_the_same_seed_gives_the_same_bytes() -> None:
    rows = [
        {"instruction": f"How do I mend thing {n}?", "output": f"Take it apart, clean part {n}, and put it back."}
        for n in range(40)
    ]
    assert inject(rows, 3, 0.5) == inject(rows, 3, 0.5)
    assert inject(rows, 3, 0.5) != inject(rows, 4, 0.5)
    text, truth = inject(rows, 3, 0.5)
    assert len(truth) == 20
    assert text.count("\n") == 40 + sum(KINDS[t.kind].copies for t in truth) + 2


def test_messages_are_a_layout_too() -> None:
    turns = [
        {"role": "user", "content": "如何给铸铁锅开锅？"},
        {"role": "assistant", "content": "洗净擦干，小火烘热，再抹一层油。"},
    ]
    text, truth = inject(
        [{"messages": turns}] * 3 + [{"messages": [*turns[:1], {"role": "assistant", "content": "抹油。"}]}], 1, 1.0
    )
    assert truth == []  # rows that occur twice are left alone: their copies would be found for another reason
    unlike = [{"messages": [{"role": "user", "content": f"第{n}步怎么做？"}, turns[1]]} for n in "一二三四五六"]
    text, truth = inject(unlike, 1, 0.5)
    assert len(truth) == 3
    assert all(t.language == "zh" for t in truth)
    assert '"messages"' in text
