"""Makes curation/label/weights.csv. `python -m benchmarks.label_fit` (about a minute; needs the public rows, ../shared/data)

Multinomial logistic regression whose prior is the hand-set weights: a Gaussian around them (MAP), so that a weight moves only
as far as rows move it. Rows: the lessons (benchmarks/lessons: conversations written for this, with their labels), the labelled public
rows of tests/data/labels_dev.csv, and the taxonomy's exemplars. What the labeller is measured on has no part in it: neither the
starter rows nor labels_400.csv. Weights are rounded to eighths and dropped below one.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.optimize import minimize

from benchmarks.label import ROOT, TREE, public
from curation import records as rec
from curation.label import form, task_type, taxonomy, words

MIN_ROWS = 3  # rows that a word must stand in
WORDS = 3000  # kept: those whose weights are longest
PRECISION = {
    "phrase": 2.0,
    "sign": 2.0,
    "mark": 2.0,
    "word": 3.0,
    "always": 0.02,
}  # 1 / variance around the hand-set weight
SUBTYPE_PRECISION = 8.0
ROW_WEIGHT = {"exemplar": 0.5}  # an exemplar has no answer to go by
PARTS = ("ask:", "answer:", "system:", "turns:")  # of words
STEP = 8

O, B, W, R, C = "open_qa", "brainstorming", "writing", "rewriting", "classification"
M, K, G, H, S, T, X = "math", "code", "reasoning", "chat", "summarization", "translation", "extraction"
# What single words lean to before any row is seen: bidding words, what they bid for, how an answer opens.
HAND: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("do",
     "list name state identify 列出 列举 说出 举出 举例 举 指出 识别 辨认 查找 找到 寻找 给出 提供 provide give 告诉 tell 鉴定 引用 "
     "cite 研究 research specify indicate",
     {O: 1.25}),
    ("do",
     "describe explain define discuss outline compare contrast illustrate 描述 解释 说明 讲解 讲述 阐述 阐明 定义 讨论 "
     "介绍 概述 简述 简要 比较 对比 谈谈 说说 深入 了解",
     {O: 1.75}),
    ("do",
     "what why when where who how is are does do did which can will has have 为什么 为何 什么 谁 哪 哪些 哪个 怎么 怎样 "
     "如何 多少 几 是否",
     {O: 1.5}),
    ("do", "suggest propose brainstorm recommend think come devise invent 建议 提出 推荐 想出 想到 发明 想", {B: 1.75}),
    ("do", "plan organize design 计划 设计 制定 安排", {B: 1.0}),
    ("do", "generate create 生成 产生 创建 制作 构思", {B: 0.5, W: 0.5}),
    ("do", "write compose draft 写 写出 撰写 编写 创作 创造 编 造 起草 construct craft share 讲述 讲 发布 发送 回复 reply", {W: 1.25}),
    ("do", "imagine 想象 假设", {W: 0.75, "role_play": 0.5}),
    ("do",
     "rewrite re-write rephrase reword paraphrase edit correct fix proofread rearrange replace change "
     "convert transform modify alter adapt insert add remove delete combine complete fill reduce "
     "redact expand improve connect arrange 改写 改成 改为 编辑 修改 修正 更正 纠正 重写 重述 重组 重新 替换 添加 加入 插入 删除 删掉 去掉 "
     "更改 改变 润色 扩写 续写 缩写 简化 补全 填空 校对 合并 simplify",
     {R: 1.5}),
    ("do",
     "classify categorize assign label rate rank sort detect determine decide validate verify select "
     "choose pick match 分类 归类 判断 确定 检测 标记 标出 分组 评分 选择 选出 辨别 匹配 排序 排列 验证 evaluate",
     {C: 1.0}),
    ("do", "extract parse find search locate highlight 提取 抽取 找出 标出 圈出", {X: 0.75}),
    ("do",
     "calculate compute solve convert multiply divide count estimate derive prove simplify add "
     "evaluate 计算 求 解 转换 转化 估算 估计 证明 求解",
     {M: 1.25}),
    ("do", "implement build refactor train merge concatenate 实现 开发 实施 打印", {K: 1.0}),
    ("do",
     "analyze analyse evaluate assess predict infer deduce debate respond guess critique justify 分析 评估 "
     "评价 预测 推断 猜测 猜 批评",
     {G: 1.25}),
    ("do", "summarize summarise 总结 概括 归纳", {S: 2.0}),
    ("do", "translate 翻译 译", {T: 2.5}),
    ("do", "i my we it he she there a the 我 他 她 今天", {H: 0.5}),
    ("of",
     "sentence phrase poem story song joke metaphor dialogue conversation character fable narrative "
     "paragraph riddle scene script plot ballad screenplay quip 句子 例句 短语 诗 诗歌 俳句 故事 歌 歌词 歌曲 笑话 梗 比喻 隐喻 "
     "类比 明喻 谚语 对话 剧本 段落 一句话 谜语",
     {W: 1.25}),
    ("of",
     "letter email essay article report speech post tweet review blog memo message introduction "
     "conclusion invitation biography profile bio policy statement manual brochure advertisement "
     "caption script greeting poster 邮件 电子邮件 信 文章 作文 报告 演讲 推文 评论 消息 简介 传记 致辞 宣言 使命宣言 通知 广告 声明 帖子",
     {W: 1.75}),
    ("of",
     "idea list activity tip way question topic strategy solution resource recommendation goal gift "
     "theme excuse prompt item hashtag use 想法 点子 创意 活动 建议 问题 主题 话题 策略 办法 方案 解决方案 清单 列表 资源 礼物 目标 用途 "
     "活动清单 测验 游戏",
     {B: 1.0}),
    ("of", "name title slogan headline nickname hashtag caption subtitle 名称 名字 标题 口号 标语 座右铭 新词 用户名 题目", {B: 1.75}),
    ("of",
     "plan schedule campaign agenda itinerary budget recipe menu workout routine checklist diet quiz "
     "计划 日程 营销活动 课程表 课程 日历 购物清单 待办事项 菜单 餐单 预算 战略 布局 食谱 海报",
     {B: 1.25}),
    ("of",
     "function program code algorithm class script query regex html command database app calculator "
     "chatbot webpage page chart graph table 函数 程序 代码 算法 脚本 查询 正则表达式 伪代码 数据库 网页 图表 计算器",
     {K: 1.25}),
    ("of",
     "equation number sum area volume probability mean average median cost angle perimeter root "
     "fraction value total price 方程 方程式 公式 总和 平均值 平均 面积 体积 概率 总费用 总价 费用 表达式 数字 值 根",
     {M: 1.0}),
    ("of",
     "benefit difference effect cause reason concept process meaning importance role purpose history "
     "principle mechanism advantage challenge factor theory feature term definition similarity "
     "relationship symptom event fact country city animal disease elements element component capital "
     "author book film language example type 好处 益处 优点 缺点 优势 区别 差异 影响 效果 原因 概念 过程 含义 意思 重要性 作用 目的 历史 原理 "
     "机制 因素 理论 特征 特点 特性 术语 定义 元素 要素 国家 城市 动物 例子 措施 挑战 职责 风险 意义 步骤 技术 语言 首都 作者 危险 不同 相似之处 方法 公司 系统",
     {O: 0.75}),
    ("of", "sentiment category type genre tone mood language tense 情感 情绪 类别 类型 体裁 时态 词性 语气 修辞", {C: 1.25}),
    ("of", "keyword noun entity 关键词 人物 名单", {X: 0.75}),
    ("of", "summary outline 摘要 概要 总结", {S: 1.5}),
    ("of", "translation", {T: 2.0}),
    ("of",
     "argument opinion conclusion outcome hypothesis situation scenario analysis prediction 论点 观点 结果 "
     "假设 情况 结论",
     {G: 0.5}),
)  # fmt: skip
ANSWERS = {
    "answer_agrees": {H: 2.0}, "answer_machine": {H: 1.0}, "answer_once": {W: 1.25}, "answer_verse": {W: 0.75},
    "answer_quoted": {W: 0.5, R: 0.5, B: 0.5}, "answer_given": {C: 1.0}, "count": {O: 0.25, B: 0.25},
    "answer_in": {O: 0.75}, "answer_number": {M: 0.5},
}  # fmt: skip


def hand_set() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = dict(ANSWERS)
    for kind, named, weights in HAND:
        for word in named.split():
            found.setdefault(f"{kind}:{word}", {}).update(weights)
    return found


Row = tuple[str, form.Form, str, str]


def conversations() -> list[tuple[str, list[dict[str, Any]], str, str]]:
    """(set, messages, type, subtype) of every row to learn from, without those whose form says their type."""
    found: list[tuple[str, list[dict[str, Any]], str, str]] = []
    every = public(Path(os.environ.get("CURATION_TEST_DATA") or ROOT / "../shared/data").resolve())
    labelled = every.join(pl.read_csv(ROOT / "tests/data/labels_dev.csv"), on="id").sort("id")
    for messages, type_, subtype in labelled.select("messages", "task_type", "task_subtype").iter_rows():
        found.append(("public", messages, type_, subtype))
    for path in sorted((ROOT / "benchmarks/lessons").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            lesson = json.loads(line)
            messages = [rec.message(m["role"], m["content"]) for m in lesson["messages"]]
            found.append(("lesson", messages, lesson["task_type"], lesson["task_subtype"]))
    for name, described in taxonomy.load(TREE).types.items():
        for subtype, by_language in described.exemplars.items():
            for text in (t for texts in by_language.values() for t in texts):
                found.append(("exemplar", [rec.message("user", text)], name, subtype))
    return [row for row in found if row[2] not in ("tool_use", "text")]


def rows() -> list[Row]:
    """(set, form, type, type/subtype) of every row to learn from."""
    return [(s, form.read(messages), type_, f"{type_}/{subtype}") for s, messages, type_, subtype in conversations()]


def said() -> list[tuple[str, str, str, str, str]]:
    """(set, what the users say, system prompt, answer, type) of every row to learn from."""

    def of(messages: list[dict[str, Any]], role: str) -> str:
        return "\n".join(m["content"] for m in messages if m["role"] == role and m["content"])

    return [
        (s, *(of(m, role) for role in ("user", "system", "assistant")), type_) for s, m, type_, _ in conversations()
    ]


def fit(data: list[Row], scorer: task_type.Scorer, kept: set[str] | None, steps: int):
    """(names of features, weights beyond the hand-set ones, whole weights): L-BFGS on the penalised log likelihood."""
    hand = hand_set()
    forms = [d[1] for d in data]
    texts = [task_type.features(f, words.grams(f.ask)) for f in forms]
    marks = Counter(t for ts in texts for t in ts if not t.startswith(PARTS))
    plain = Counter(t for ts in texts for t in ts if t.startswith(PARTS))
    names = sorted(t for t, n in marks.items() if n >= 3 or t in hand)
    names += sorted(t for t, n in plain.items() if n >= MIN_ROWS and (kept is None or t in kept))
    at = {t: i for i, t in enumerate(names)}
    cells = [(i, at[t]) for i, ts in enumerate(texts) for t in ts if t in at]
    known = sp.csr_matrix((np.ones(len(cells)), tuple(zip(*cells, strict=True))), shape=(len(data), len(names)))
    x = sp.hstack([sp.csr_matrix(scorer.hits(forms)), known, np.ones((len(data), 1))]).tocsr()
    types, labels, wide = len(scorer.types), len(scorer.labels), scorer.by_cue.shape[0]
    prior = np.vstack([scorer.by_cue, np.zeros((len(names), labels)), scorer.floor[None]])
    for name in names:
        for label, weight in hand.get(name, {}).items():
            prior[wide + at[name], scorer.labels[label]] += weight
    found = [words.grams(f.ask) for f in forms]
    like = np.stack([np.concatenate([scorer.like_type(g), scorer.like_pair(g)]) for g in found]) * scorer.likeness
    like[[d[0] == "exemplar" for d in data]] = 0  # an exemplar is like itself
    start = x @ prior + like
    weight = np.array([ROW_WEIGHT.get(d[0], 1.0) for d in data])[:, None]
    want = np.zeros((len(data), labels))
    for i, (_, _, type_, subtype) in enumerate(data):
        want[i, [scorer.labels[type_], scorer.labels[subtype]]] = 1
    kinds = ["phrase"] * len(scorer.phrases) + ["sign"] * len(scorer.signs)
    kinds += ["word" if n.startswith(PARTS) else "mark" for n in names] + ["always"]
    tight = np.array([PRECISION[k] for k in kinds])[:, None] * np.ones((1, labels))
    tight[:, types:] = SUBTYPE_PRECISION
    tight[[k == "word" for k in kinds], types:] = 1e6  # words speak for types only
    spans = [slice(0, types)] + [
        slice(types + min(s), types + max(s) + 1) for s in (scorer.spans[t] for t in scorer.types)
    ]

    def loss(flat: Any) -> tuple[float, Any]:
        delta = flat.reshape(-1, labels)
        scores = start + x @ delta
        gradient, value = np.zeros_like(scores), 0.0
        for span in spans:
            part = scores[:, span] - scores[:, span].max(axis=1, keepdims=True)
            share = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
            here = weight * want[:, span].sum(axis=1, keepdims=True)
            value -= (weight * want[:, span] * np.log(share + 1e-12)).sum()
            gradient[:, span] = here * share - weight * want[:, span]
        return value + 0.5 * (tight * delta**2).sum(), (x.T @ gradient + tight * delta).ravel()

    best = minimize(loss, np.zeros(prior.size), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    delta = best.x.reshape(-1, labels)
    return names, delta, prior + delta


def learn(data: list[Row]) -> dict[str, dict[str, float]]:
    """Feature → label → weight, in eighths: what is to be added to a cue, and the whole weight of a mark or word."""
    scorer = task_type.Scorer(taxonomy.load(TREE), weights={})
    names, _, whole = fit(data, scorer, None, 60)
    wide = scorer.by_cue.shape[0]
    long = {
        n: float((whole[wide + i, : len(scorer.types)] ** 2).sum()) for i, n in enumerate(names) if n.startswith(PARTS)
    }
    kept = set(sorted(long, key=lambda n: (-round(long[n], 6), n))[:WORDS])
    names, delta, whole = fit(data, scorer, kept, 200)
    cues = [task_type.phrase_name(p[4]) for p in scorer.phrases] + [
        task_type.sign_name(*s[:2], s[3]) for s in scorer.signs
    ]
    tables = [(n, delta[i]) for i, n in enumerate(cues)] + [(n, whole[wide + i]) for i, n in enumerate(names)]
    tables.append(("always", delta[-1]))
    found: dict[str, dict[str, float]] = {}
    for name, row in tables:
        rounded = np.round(row * STEP) / STEP
        for label, i in scorer.labels.items():
            if rounded[i]:
                found.setdefault(name, {})[label] = float(rounded[i])
    return found


def main() -> None:
    found = learn(rows())
    with task_type.WEIGHTS.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for name in sorted(found):
            writer.writerows((name, label, f"{weight:g}") for label, weight in found[name].items())
    print(f"{task_type.WEIGHTS}: {sum(map(len, found.values()))} weights of {len(found)} features")


if __name__ == "__main__":
    main()
