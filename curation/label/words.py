"""The words a short request is made of: what it bids to do, and the thing it bids for, as marks.

"Name three planets", "Name a bakery" and "Suggest a name" differ by the bidding word and its object, not by phrases that could
be listed. English puts the head of the object before the first preposition ("a five-line *description* of a beach"), Chinese
puts it last in the clause ("一家面包店的*名字*"); that much parsing is done here.
"""

from __future__ import annotations

import re

_BEFORE = re.compile(
    r"^(?:\W+|(?:please|kindly|can you|could you|would you|will you|i want you to|i need you to|i'd like you to|help me|you must|"
    r"now|hey|hi|hello|ok(?:ay)?|so|just|now you|your task is to|you need to|you will|"
    r"(?:given|from|using|based on|for|with|in|as|imagine|suppose|according to|taking|consider|you are (?:given|provided))\b[^.\n:;?]{2,110}?[,.:]\s)[\s,]*)*"
)
_BEFORE_ZH = re.compile(
    r"^(?:[\s“”\"，,。！!]|请你?|麻烦你?|帮我们?|帮忙|你能不能|你能否?|您能|能否|能不能|可以|给我|替我|我想要?|我需要|现在|"
    r"(?:给定|根据|按照|基于|关于|通过|使用|利用)[^，,。：:\n]{2,40}[，,：:]|从[^，,。\n]{2,30}中|(?:用|为|给|对|将|把|在|以|按|向|针对)[^，,。：:？\n]{1,34}?(?:[，,]|(?=分类|归类|改写|改为|改成|转换|翻译|译成|排序|排列|写|创建|创作|设计|生成|提供|取|想|编写|添加|分为|造|组成|描述|制定|拟|起|做|列|评分|重写|创造)))*"
)
_WORD = re.compile(r"[a-z0-9][a-z0-9'+#]*(?:-[a-z0-9]+)*|[,.:;?!\n()\"]")
_STOP = frozenset(
    ', . : ; ? ! \n ( ) " of for about that to in on with which from by who whose using where when as based into between and or at '
    "related explaining describing is are was were if whether why how what regarding like containing without after during given "
    "so without against over under".split(" ")
)
_LIGHT = frozenset(
    "list set number type kind example piece couple collection series group table pair part form lot few variety one two three".split()
)
_CLAUSE = re.compile(r"[。，,：:；;？?！!\n]")
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|《[^》]*》|「[^」]*」|‘[^’]*’")
_COUNT = re.compile(r"\b(?:two|three|four|five|six|seven|eight|ten|\d{1,2}|some|several|a few)\b")
_COUNT_ZH = re.compile(r"[一两二三四五六七八九十几\d]+ ?(?:个|种|条|位|件|款|本|首|项|家|座|点|道|部|张|篇|类|句)")

_ASKING_ZH = re.compile(r"[？?：:“\"]|什么|怎么|如何|为什么|哪|谁|几|多少|吗|呢|请|帮|写|给我|列|[诗字]。?$")
_PREDICATE_ZH = re.compile(r"[了是很会正已将都被没我他她你们]|想|有|在|让|使|能|需|要|去|来|[^的]。$|，")
_PERSONS_ZH = frozenset("我 他 她 这 那 今天 有 当 在 如果 使 让 将 把".split())

VERBS = frozenset(
    "add adapt alter analyze analyse answer append arrange assess assign brainstorm build calculate categorize change check choose cite "
    "classify combine come compare complete compose compute concatenate connect construct contrast convert correct count create cut "
    "debate decide deduce define delete derive describe design detect determine develop devise discuss divide draft draw edit elaborate "
    "estimate evaluate expand explain express extract fill find finish fix form formulate generate give guess identify illustrate imagine "
    "implement improve indicate infer insert introduce invent is are does do list look make match merge modify multiply name offer order "
    "organize outline output paraphrase parse pick plan predict prepare process produce proofread propose prove provide rank rate re-write "
    "read rearrange recommend redact reduce refactor remove rephrase replace reply research resolve respond review reword rewrite search "
    "select sentence share show simplify solve sort specify spell split state substitute suggest summarize summarise synthesize take talk "
    "tell think train transform translate turn update use validate verify walk write what which who when where why how should can could "
    "would will i my we there it he she the a an am was were has have did".split()
)
VERBS_ZH = tuple(
    sorted(
        "添加 加入 插入 分析 回答 安排 评估 评价 评分 计算 归类 分类 分组 改变 更改 检查 选择 选出 选 引用 合并 比较 对比 完成 补全 撰写 构造 构建 建立 转换 转化 "
        "纠正 更正 修正 创建 创造 创作 制造 定义 删除 删掉 去掉 描述 描写 形容 设计 检测 判断 确定 开发 讨论 划分 起草 编辑 修改 改写 改成 改为 阐述 估计 估算 解释 "
        "说明 讲解 表达 提取 抽取 填写 填空 找出 找到 查找 寻找 发现 生成 产生 给出 给 举出 举例 列举 举 猜测 猜 识别 辨别 辨认 鉴定 想象 想出 想到 想 实现 改进 "
        "优化 推断 介绍 发明 列出 制作 制定 匹配 命名 说出 排序 排列 重新 组织 概述 概括 简述 简要 总结 归纳 挑选 计划 预测 准备 提出 提供 证明 推荐 建议 阅读 读 "
        "替换 重写 重述 重组 研究 回复 搜索 展示 显示 简化 解决 解 拼写 陈述 指出 翻译 译 告诉 谈谈 说说 讲述 讲 说服 聊 训练 变成 使用 用 验证 写出 写 编写 编 "
        "造 做 把 将 让 怎么 怎样 如何 为什么 为何 什么 谁 哪 哪些 哪个 多少 几 是否 我 他 她 你 这 那 有 今天 求 获取 取 起 润色 扩写 续写 缩写 模拟 扮演 假设 "
        "假如 如果 当 在 为 对 从 根据 请问 标记 标出 输出 发布 发送 应用 逆向 阐明 实施 举办 打印 核对 校对 深入 了解".split(),
        key=len,
        reverse=True,
    )
)
_SAME = {
    "categories": "category", "activities": "activity", "strategies": "strategy", "stories": "story", "countries": "country",
    "cities": "city", "similarities": "similarity", "probabilities": "probability", "queries": "query", "properties": "property",
    "lyrics": "song", "ad": "advertisement", "ads": "advertisement", "e-mail": "email", "advert": "advertisement",
    "advantage": "benefit", "disadvantage": "benefit", "pros": "benefit", "impact": "effect", "implication": "effect",
    "consequence": "effect", "tagline": "slogan", "motto": "slogan", "verb": "noun", "adjective": "noun", "adverb": "noun",
    "pronoun": "noun", "tale": "story", "haiku": "poem", "simile": "metaphor", "analogy": "metaphor", "proverb": "metaphor",
    "movie": "film", "criteria": "criterion", "verse": "poem", "limerick": "poem", "speech": "speech", "suggestion": "tip",
    "advice": "tip", "programme": "program", "app": "app", "application": "app", "regex": "regex", "headline": "title",
    "characteristic": "feature", "trait": "feature", "attribute": "feature", "quality": "feature", "hobbies": "activity",
    "methods": "method", "technique": "method", "biographies": "biography", "reply": "response", "bio": "profile",
}  # fmt: skip
NOUNS = frozenset(
    "action activity advertisement adventure agenda algorithm animal answer antonym api app argument array article assistant author "
    "ballad bar benefit biography blog book brochure budget calculator campaign caption category cause chart chatbot challenge character "
    "city class code color command comment comparison concept conclusion conversation cost country course criterion customer data "
    "database dataset date definition description design dialogue diet difference disease document duration effect element email "
    "equation error essay event example excuse expression fable fact factor feature film flowchart formula fraction function game genre "
    "gift goal grammar graph greeting group guide hashtag haiku history html hypothesis idea image index information ingredient "
    "instruction interface introduction invention invitation item joke key keyword language law lesson letter list location logo "
    "manual map meal meaning mean memo message metaphor method mission mistake model mood movie name narrative news noun number object "
    "opinion option outcome outline page paragraph part passage pattern period persona person perspective phrase pitch place plan "
    "platform plot poem point policy position post poster prediction presentation prompt problem procedure process product profile "
    "program project property proposal punctuation purpose query question quiz quote rating reason recipe recommendation regex "
    "relationship report resource response result resume review rhyme riddle role root rule sample scale scenario scene schedule script "
    "section sentence sentiment sequence series service set setting similarity situation sketch skill slogan social software solution "
    "song speech spelling spreadsheet statement step story strategy structure style subject sum summary survey symptom synonym system "
    "table task technology template tense term test text theme theory thing time tip title tone tool topic translation trip tweet type "
    "url use user value variable version volume way website week word workout".split()
)
NOUNS_ZH = tuple(
    sorted(
        "活动 广告 算法 动物 反义词 应用 应用程序 论点 论据 数组 文章 好处 益处 优点 缺点 优势 劣势 原因 类别 类型 图表 图形 角色 人物 城市 代码 颜色 概念 结论 对话 "
        "国家 标准 数据 定义 描述 设计 区别 差异 不同 文档 影响 效果 元素 要素 邮件 电子邮件 信 方程 方程式 错误 语法 作文 事件 例子 示例 例句 表达式 事实 因素 特征 "
        "特点 特性 电影 书 公式 函数 游戏 体裁 礼物 目标 标题 历史 假设 想法 点子 创意 图像 图片 信息 食材 成分 指令 项目 笑话 梗 关键词 语言 法律 列表 清单 名单 "
        "地点 位置 意思 含义 意义 消息 比喻 隐喻 类比 明喻 谚语 方法 方式 办法 模型 名称 名字 用户名 词性 数字 物品 观点 选项 结果 段落 模式 短语 计划 平台 诗 诗歌 "
        "俳句 政策 帖子 问题 过程 流程 产品 程序 性质 提案 标点 标点符号 目的 评论 引语 引用 评分 理由 食谱 关系 报告 资源 回复 作用 规则 场景 情境 日程 课程 课程表 "
        "日历 剧本 句子 这句话 一句话 情感 情绪 序列 数列 服务 集合 相似 相似之处 情况 技能 口号 标语 座右铭 社交媒体 软件 解决方案 方案 歌 歌曲 歌词 演讲 陈述 声明 "
        "故事 策略 结构 风格 主题 话题 总结 摘要 概要 症状 同义词 系统 表格 任务 措施 技术 术语 文本 文字 理论 时间 技巧 建议 题目 语气 工具 旅行 推文 推特 用途 用户 "
        "值 平均值 变量 网站 网页 单词 词 词语 新词 价格 费用 总费用 总价 总和 平均 面积 体积 概率 温度 公司 客户 机器人 科学 健康 环境 成语 原理 机制 材料 时态 修辞 "
        "步骤 指示 挑战 变化 重要性 必要性 危险 风险 机会 趋势 职责 工作 成就 生活 经历 未来 世界 计算器 查询 脚本 正则表达式 伪代码 数据库 布局 海报 简介 介绍 传记 "
        "致辞 宣言 使命宣言 通知 测验 谜语 填空 首都 作者 发明 活动清单 购物清单 待办事项 菜单 餐单 营销活动 战略 预算 饮食 运动 锻炼".split(),
        key=len,
        reverse=True,
    )
)


_GRAM = re.compile(r"[\u3400-\u9fff]+|[a-z']+|\d+|[?？!！]")


def grams(text: str) -> list[str]:
    """Words, pairs of Chinese characters, and how the text begins (`^…`), each once; numbers are one word, `0`."""
    found: dict[str, None] = {}
    first = True
    for token in _GRAM.findall(text):
        if token[0] >= "\u3400" and token[0] <= "\u9fff":
            if first:
                found["^" + token[:2]] = None
            found.update(dict.fromkeys(token[i : i + 2] for i in range(len(token) - 1)))
        elif token[0].isdigit():
            found["0"] = None
        else:
            found[token] = None
            if first:
                found["^" + token] = None
        first = False
    return list(found)


def marks(ask: str) -> set[str]:
    """`do:` the bidding word, `of:` the head of its object, `of2:` what a list is of, `on:` every thing named; `count`."""
    ask = ask[:260]
    if any("\u3400" <= c <= "\u9fff" for c in ask[:60]):
        return _chinese(ask)
    return _english(ask)


def _english(ask: str) -> set[str]:
    tokens = _WORD.findall(_BEFORE.sub("", ask, count=1))
    found = {"do:?"}
    at = 0
    if tokens and tokens[0] in VERBS:
        found = {f"do:{tokens[0]}"}
        at = 1
        if tokens[0] == "come" and tokens[1:2] == ["up"]:
            at = 3
    heads: list[str] = []
    for place in ("of", "of2"):
        chunk = []
        while at < len(tokens) and tokens[at] not in _STOP:
            chunk.append(tokens[at])
            at += 1
        if chunk:
            head = _noun(chunk[-1])
            if head in NOUNS:
                found.add(f"{place}:{head}")
            else:
                found.add(f"{place}:?")
            heads.append(head)
        if not (chunk and at < len(tokens) and tokens[at] == "of" and heads[0] in _LIGHT):
            break
        at += 1
    found.update(f"on:{noun}" for token in tokens[:40] if (noun := _noun(token)) in NOUNS)
    if _COUNT.search(ask[:60]):
        found.add("count")
    return found


def _chinese(ask: str) -> set[str]:
    bare = _BEFORE_ZH.sub("", ask, count=1)
    verb = next((v for v in VERBS_ZH if bare.startswith(v)), None)
    found = {f"do:{verb}" if verb else "do:?zh"}
    rest = _QUOTED.sub("物", bare[len(verb or "") :])
    clause = _CLAUSE.split(rest, maxsplit=1)[0].strip(" 的”")
    head = next((n for n in NOUNS_ZH if clause.endswith(n)), None)
    found.add(f"of:{head}" if head else "of:?zh")
    found.update(f"on:{n}" for n in NOUNS_ZH if n in rest)
    if _COUNT_ZH.search(ask[:40]):
        found.add("count")
    line = ask.strip()
    if len(line) <= 45 and "\n" not in line and not _ASKING_ZH.search(line) and (verb is None or verb in _PERSONS_ZH):
        found.add("statement" if _PREDICATE_ZH.search(line) else "topic_only")
    return found


def _noun(word: str) -> str:
    if word in _SAME:
        return _SAME[word]
    if word in NOUNS or not word.endswith("s"):
        return word
    return _SAME.get(word[:-1], word[:-1])
