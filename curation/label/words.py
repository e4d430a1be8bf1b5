"""The words a short request is made of: what it bids to do, and the thing it names, as marks such as `do:list` and `of:slogan`.

"Name three …", "Name a …" and "Suggest a name" differ by the bidding word and its object, not by phrases that could be listed.
"""

from __future__ import annotations

import re

_BEFORE = re.compile(
    r"^(?:\W+|(?:please|kindly|can you|could you|would you|will you|i want you to|i need you to|i'd like you to|help me|you must|"
    r"now|hey|hi|hello|ok(?:ay)?|so|just|now you|your task is to|you need to|"
    r"(?:given|from|using|based on|for|with|in|as|imagine|suppose|according to|taking|consider)\b[^.\n:;?]{2,110}?[,:]\s)[\s,]*)*"
)
_BEFORE_ZH = re.compile(r"^(?:[\s“”\"，,。！!]|请你?|麻烦你?|帮我们?|帮忙|你能不能|你能|能否|能不能|可以|给我|替我|我想要?|我需要|根据[^，,。：:\n]{2,40}[，,：:]|从[^，,。\n]{2,30}中|(?:用|为|给|对|将|把|在|以)[^，,。：:\n]{1,34}?[，,])*")
_WORD = re.compile(r"[a-z][a-z']*")

VERBS = frozenset(
    "add analyze analyse answer arrange assess assign brainstorm build calculate categorize change check choose cite classify combine "
    "come compare complete compose compute construct convert correct create debate decide define delete describe design detect "
    "determine develop devise discuss divide draft edit elaborate estimate evaluate explain express extract fill find finish fix "
    "form formulate generate give guess identify illustrate imagine implement improve infer insert introduce invent is are does do "
    "list look make match modify name offer order organize outline paraphrase pick plan predict prepare produce propose prove "
    "provide rank rate read recommend redact reduce remove rearrange rephrase replace research respond review reword rewrite "
    "search select show simplify solve sort specify spell split state substitute suggest summarize summarise take talk tell "
    "think train transform translate turn update use verify write what which who when where why how should can could would "
    "i my we there it he she the a an am was were".split()
)
VERBS_ZH = tuple(
    sorted(
        "添加 加入 插入 分析 回答 安排 评估 评价 评分 计算 归类 分类 改变 检查 选择 选出 引用 合并 比较 对比 完成 撰写 构造 构建 转换 转化 纠正 更正 修正 "
        "创建 创造 创作 定义 删除 去掉 描述 描写 设计 检测 判断 确定 开发 讨论 划分 起草 编辑 修改 改写 改成 阐述 估计 解释 说明 表达 提取 抽取 填写 填空 找出 "
        "找到 查找 寻找 生成 产生 给出 给 举出 举例 举 猜测 猜 识别 辨别 辨认 想象 想出 想 实现 改进 优化 推断 介绍 发明 列出 列举 制作 制定 匹配 命名 说出 "
        "排序 排列 重新 组织 概述 概括 总结 归纳 挑选 计划 预测 准备 提出 提供 证明 推荐 建议 阅读 读 替换 重写 重述 重组 研究 回复 搜索 展示 显示 简化 "
        "解决 解 拼写 陈述 指出 翻译 译 告诉 谈谈 说说 讲 聊 训练 变成 使用 用 验证 写出 写 编写 编 造 做 把 将 让 怎么 怎样 如何 为什么 为何 什么 谁 哪 "
        "哪些 哪个 多少 几 是否 我 他 她 你 这 那 有 今天 求 取 起 润色 扩写 续写 缩写 模拟 扮演 假设 假如 如果 当 在 为 对 从 根据 请问 标记 标出".split(),
        key=len,
        reverse=True,
    )
)
_PLURAL = {
    "categories": "category", "activities": "activity", "strategies": "strategy", "stories": "story", "countries": "country",
    "cities": "city", "similarities": "similarity", "probabilities": "probability", "queries": "query", "properties": "property",
    "lyrics": "song", "ad": "advertisement", "ads": "advertisement", "e-mail": "email", "advert": "advertisement",
    "advantages": "benefit", "advantage": "benefit", "disadvantage": "benefit", "disadvantages": "benefit", "impact": "effect",
    "impacts": "effect", "consequence": "effect", "consequences": "effect", "tagline": "slogan", "taglines": "slogan", "motto": "slogan",
    "nouns": "noun", "verb": "noun", "adjective": "noun", "adverb": "noun", "pronoun": "noun", "adjectives": "noun", "verbs": "noun",
    "tale": "story", "haiku": "poem", "simile": "metaphor", "analogy": "metaphor", "proverb": "metaphor", "movie": "film",
    "movies": "film", "books": "film", "book": "film", "song": "song", "songs": "song", "tips": "tip", "criteria": "criterion",
}  # fmt: skip
NOUNS = frozenset(
    "activity advertisement algorithm animal antonym api app application argument array article benefit cause category chart character "
    "city class code color concept conclusion conversation country criterion data dataset definition description design dialogue "
    "difference document effect element email equation error essay event example expression fact factor feature film formula function "
    "game genre gift goal grammar group headline history hypothesis idea image information ingredient instruction item joke keyword "
    "language law letter list location main meaning message metaphor method model mood name noun number object opinion option outcome "
    "paragraph passage pattern period person phrase place plan platform poem point policy position post problem process product "
    "program project prompt property proposal punctuation purpose question quote rating reason recipe relationship report resource "
    "response review role rule scenario scene schedule script section sentence sentiment sequence series service set similarity "
    "situation skill slogan social software solution song speech spelling statement step story strategy structure style subject "
    "summary symptom synonym system table task technique technology term text theme theory thing time tip title tone tool topic trait "
    "trip tweet type url use user value variable verse way website word".split()
)
NOUNS_ZH = tuple(
    "活动 广告 算法 动物 反义词 应用 论点 论据 数组 文章 好处 优点 缺点 优势 原因 类别 类型 图表 角色 人物 城市 代码 颜色 概念 结论 对话 国家 标准 数据 定义 描述 "
    "设计 区别 差异 文档 影响 元素 邮件 信 方程 错误 语法 作文 事件 例子 示例 表达式 事实 因素 特征 特点 电影 书 公式 函数 游戏 体裁 礼物 目标 标题 历史 假设 "
    "想法 点子 创意 图像 图片 信息 食材 成分 指令 步骤 项目 笑话 关键词 语言 法律 列表 清单 地点 位置 意思 含义 消息 比喻 隐喻 方法 方式 模型 名称 名字 词性 数字 "
    "物品 观点 选项 结果 段落 模式 短语 计划 平台 诗 政策 帖子 问题 过程 流程 产品 程序 性质 提案 标点 目的 评论 引语 评分 理由 食谱 关系 报告 资源 回复 作用 规则 "
    "场景 日程 课程 剧本 句子 这句话 一句话 情感 情绪 序列 数列 服务 集合 相似 情况 技能 口号 标语 社交媒体 软件 解决方案 歌 演讲 拼写 陈述 声明 故事 策略 结构 "
    "风格 主题 总结 摘要 症状 同义词 系统 表格 任务 技术 术语 文本 文字 理论 时间 技巧 建议 题目 语气 工具 话题 旅行 推文 用途 用户 值 变量 网站 网页 单词 词 词语 "
    "价格 费用 总 平均 面积 体积 概率 温度 人工智能 机器学习 公司 客户 城 科学 健康 环境 成语 谚语 原理 机制 材料 时态 修辞".split()
)


def marks(ask: str) -> set[str]:
    """`do:` the bidding word, `of:` the first thing named, `on:` every thing named; of the first 300 characters of a request."""
    ask = ask[:300]
    found: set[str] = set()
    if any("\u3400" <= c <= "\u9fff" for c in ask[:60]):
        bare = _BEFORE_ZH.sub("", ask, count=1)
        verb = next((v for v in VERBS_ZH if bare.startswith(v)), None)
        found.add(f"do:{verb}" if verb else "do:?zh")
        named = [(ask.find(n), n) for n in NOUNS_ZH if n in ask]
        named.sort()
    else:
        words = _WORD.findall(_BEFORE.sub("", ask, count=1))
        found.add(f"do:{words[0]}" if words and words[0] in VERBS else "do:?")
        named = [(i, noun) for i, word in enumerate(words) if (noun := _singular(word)) in NOUNS]
    if named:
        found.add(f"of:{named[0][1]}")
        found.update(f"on:{n}" for _, n in named[:6])
    return found


def _singular(word: str) -> str:
    if word in NOUNS:
        return word
    if word in _PLURAL:
        return _PLURAL[word]
    return word[:-1] if word.endswith("s") else word
