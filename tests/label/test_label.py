"""Labels: what the form decides, what plain requests are, people above the labeller, and the file that people edit."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from curation import label as room
from curation import records as rec
from curation.errors import ConfigError
from curation.label import LabelParams, task_type, taxonomy

ROOT = Path(__file__).parents[2]
COUNCIL = "The council met on Monday to discuss the bridge. " * 8
TREE = taxonomy.load(ROOT / "curation/label/taxonomy.yaml")


def chat(*turns: str, system: str = "", tools: str | None = None, id_: str = "a") -> dict:
    messages = [rec.message("system", system)] if system else []
    messages += [rec.message(("user", "assistant")[i % 2], text) for i, text in enumerate(turns)]
    return {"id": id_, "kind": "chat", "messages": messages, "tools": tools}


def frame(*rows: dict) -> pl.DataFrame:
    """Records; what a row leaves out is null."""
    return rec.frame(rows)


def type_of(*turns: str, system: str = "") -> str:
    return task_type.assign(frame(chat(*turns, system=system)), TREE)[0][0]


@pytest.mark.parametrize(
    ("said", "prompt", "answer"),
    [
        (
            "translation",
            "把下面这句话翻译成英文：今天的会改到下午三点。",
            "The meeting has been moved to three this afternoon.",
        ),
        ("translation", "Translate into Chinese: The shop opens at nine.", "商店九点开门。"),
        (
            "summarization",
            f"Summarize the following article in two sentences.\n\n{COUNCIL}",
            "The council discussed the bridge on Monday.",
        ),
        ("math", "一个长方形长 8 厘米，宽 5 厘米，面积是多少？", "面积 = 8 × 5 = 40 平方厘米。"),
        ("math", "What is 17 * 24?", "17 * 24 = 408"),
        (
            "code",
            "用 Python 写一个函数，去掉列表里的重复元素并保持顺序。",
            "```python\ndef unique(xs):\n    return list(dict.fromkeys(xs))\n```",
        ),
        (
            "code",
            "Write a SQL query that counts orders by customer.",
            "```sql\nSELECT customer, COUNT(*) FROM orders GROUP BY customer;\n```",
        ),
        ("classification", "判断这条评论的情感是正面还是负面：物流太慢了，等了半个月。", "负面"),
        ("writing", "Write a short story about a lighthouse keeper.", "Once upon a time a keeper counted the ships."),
        (
            "rewriting",
            "帮我润色下面这句话，别改变意思：\n\n这个方案我觉得还行吧就是有点贵。",
            "我认为这个方案可行，只是价格略高。",
        ),
        ("brainstorming", "给一家新开的面包店想五个名字。", "1. 麦香里\n2. 晨酵\n3. 面面\n4. 小麦日记\n5. 热炉"),
        ("open_qa", "Why is the sky blue?", "Air scatters short wavelengths of sunlight more than long ones."),
        ("role_play", "请扮演一位唐代诗人，和我聊聊长安。", "在下自蜀中来，长安的酒还未喝够。"),
        (
            "safety",
            "教我怎么盗取别人的微信账号。",
            "我不能帮忙盗号，这是违法的。如果是自己的账号被盗，可以走申诉流程。",
        ),
    ],
)
def test_plain_requests(said, prompt, answer):
    assert type_of(prompt, answer) == said


def test_tools_and_plain_texts_are_told_by_form():
    call = {
        **rec.message("assistant", ""),
        "tool_calls": json.dumps([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
    }
    once, twice, never = chat("Ask", "ok", tools="[]"), chat("Ask", "ok", tools="[]"), chat("Ask", "ok", tools="[]")
    once["messages"] = [*once["messages"][:1], call, *once["messages"][1:]]
    twice["messages"] = [*twice["messages"][:1], call, call, *twice["messages"][1:]]
    texts = [
        {"id": "t", "kind": "text", "text": t} for t in ("The river rose.", "def f():\n    return 1\n\nimport os\n")
    ]
    said = task_type.assign(frame(once, twice, never, *texts), TREE)
    assert [(t, s) for t, _, s, _ in said] == [
        ("tool_use", "single_call"),
        ("tool_use", "multi_step"),
        ("tool_use", "no_call"),
        ("text", "prose"),
        ("text", "code"),
    ]


def test_a_domain_claims_rows_by_a_term_or_by_three_hints_but_not_safety():
    assert TREE.bucket("open_qa", "露芽的灯多久换一次？") == ("domain", 1.0)
    assert TREE.bucket("open_qa", "The reservoir and the lamp of my garden") == ("domain", 0.8)
    assert TREE.bucket("open_qa", "The reservoir of my garden") == ("general", 0.9)
    assert TREE.bucket("safety", "露芽的营养液能喝吗？") == ("safety", 1.0)
    assert TREE.bucket("math", "2 + 2") == ("math_code", 0.9)


def test_a_label_depends_on_its_row_alone():
    rows = [
        chat("Why is the sky blue?", "Scattering.", id_="a"),
        chat("翻译：早上好", "Good morning", id_="b"),
        chat("你好呀", "你好！", id_="c"),
    ]
    there = room.label(frame(*rows), TREE, LabelParams())
    back = room.label(frame(*rows[::-1]), TREE, LabelParams())
    alone = pl.concat([room.label(frame(row), TREE, LabelParams()) for row in rows])
    assert there.equals(back)
    assert there.equals(alone)


def test_a_person_stands_above_the_labeller():
    rows = frame(chat("Why is the sky blue?", "Scattering."))
    plain = room.label(rows, TREE, LabelParams()).row(0, named=True)
    said = {"a": {"task_type": "reasoning", "bucket": "domain", "by": "wei"}}
    person = room.label(rows, TREE, LabelParams(), reviewed=said).row(0, named=True)
    assert (plain["task_type"], plain["task_type_by"], plain["bucket"]) == ("open_qa", "labeller", "general")
    assert (person["task_type"], person["task_type_confidence"], person["task_type_by"]) == ("reasoning", 1.0, "wei")
    assert (person["task_subtype"], person["task_subtype_by"]) == ("logic", "wei")
    assert (person["bucket"], person["bucket_by"]) == ("domain", "wei")


def test_a_type_that_a_user_adds_is_found_by_its_cues_and_exemplars(tmp_path):
    text = (ROOT / "curation/label/taxonomy.yaml").read_text(encoding="utf-8")
    recipe = """
  recipe:
    bucket: domain
    description: {zh: 菜谱, en: recipes}
    subtypes: {dish: {zh: 菜, en: a dish}, drink: {zh: 饮品, en: a drink}}
    cues: {drink: ["smoothie|果汁"]}
    exemplars:
      dish:
        en: ["How do I cook red lentil soup?", "Give me the steps for baked aubergine."]
        zh: ["红烧肉怎么做？", "番茄炒蛋的做法"]
"""
    path = tmp_path / "taxonomy.yaml"
    path.write_text(text.replace("\n  text:\n", f"{recipe}\n  text:\n", 1), encoding="utf-8")
    tree = taxonomy.load(path)
    said = task_type.assign(frame(chat("A smoothie with berries, please", "Blend it.")), tree)[0]
    assert (said[0], said[2]) == ("recipe", "drink")
    assert task_type.assign(frame(chat("红烧肉怎么做？", "先焯水。")), tree)[0][0] == "recipe"


def test_an_unknown_bucket_in_the_taxonomy_is_named(tmp_path):
    text = (ROOT / "curation/label/taxonomy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "taxonomy.yaml"
    path.write_text(text.replace("bucket: math_code", "bucket: sums", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match="bucket: found 'sums'; accepted: general, math_code, domain, safety, replay"):
        taxonomy.load(path)


def test_every_fault_of_the_taxonomy_is_named_at_once(tmp_path):
    path = tmp_path / "taxonomy.yaml"
    path.write_text(
        """
buckets: [general]
task_types:
  chat:
    bucket: talk
    description: {en: talk}
    subtypes: {small: {en: small talk}}
    cues: {small: ["hello(", "bye|再见"], big: ["world"]}
    exemplars: {huge: {en: ["Hi"]}}
  none: {bucket: general, description: {}, subtypes: {}}
  text: {bucket: general, description: {}, subtypes: {prose: {}}}
domains:
  shop: {bucket: store, description: {}, terms: [till]}
""",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        taxonomy.load(path)
    assert str(error.value).replace(f"{path}: ", "").split("\n") == [
        "task_types.tool_use: missing; a row's form alone makes it of this type; put the type back.",
        "task_types.chat.bucket: found 'talk'; accepted: general.",
        "domains.shop.bucket: found 'store'; accepted: general.",
        "task_types.chat.cues.big: no such subtype; accepted: small; rename or add it.",
        "task_types.chat.exemplars.huge: no such subtype; accepted: small; rename or add it.",
        "task_types.chat.cues.small: found 'hello(', no pattern of polars (unclosed group); mend it.",
        "task_types.none.subtypes: found none; one or more are accepted; add a subtype.",
    ]


def test_a_taxonomy_in_another_encoding_is_one_line(tmp_path):
    path = tmp_path / "taxonomy.yaml"
    path.write_bytes("buckets: [通用]".encode("gbk"))
    with pytest.raises(ConfigError, match=r": not UTF-8 \(byte \d+\); save the file as UTF-8\.$"):
        taxonomy.load(path)
