"""Rules about what an answer says of itself and of its sources: refusals, identities, citations."""

from __future__ import annotations

import re

import polars as pl
from pydantic import Field

from curation.clean.hits import hits
from curation.clean.prose import edges, units
from curation.params import Params

_CHAT = pl.col("kind") == "chat"


class ClaimParams(Params):
    """`params.yaml: clean.claims`."""

    refusal_max_units: int = Field(120, ge=1)  # refusal_boilerplate: a longer answer hedges and then helps
    own_names: tuple[str, ...] = ()  # other_identity: names that the model in training may bear, such as Qwen


_REFUSAL = edges(
    r"(?i)^\W*(?:(?:i'?m|i am|we(?: a|')re)\s+(?:very |so |really |deeply )?(?:sorry|afraid)|sorry"
    r"|i apologi[sz]e|unfortunately|my apologies)?[\s,.;:!—-]*"
    r"(?:but\s+)?(?:(?:as an? (?:\w+ ){0,3}(?:ai|a\.i\.|language model|assistant|chatbot|bot)\b"
    r"|i'?m (?:only |just )?an? (?:ai|language model|virtual assistant))[^.!?\n]{0,60}?)?[\s,]*"
    r"(?:and |so |because of (?:this|that),? )?(?:i|we)\s?(?:'m| am|'re| are)?\s+(?:do not|don't|cannot"
    r"|can't|can not|could not|couldn't|am not able|not able|unable|not allowed"
    r"|not permitted|must decline|have to decline|won't|will not|decline|not programmed|not capable"
    r"|not comfortable)"
    r"(?:\s+be able)?(?:\s+to)?\s*(?:assist|help|fulfil+|comply|answer|respond|provide|complete|discuss"
    r"|engage|offer|share|give|create|generate|do that|do this|write|support|process"
    r"|have (?:the )?(?:\w+ )?(?:ability|capability|personal|opinions?|feelings|emotions|preferences|access))"
)
_REFUSAL_ZH = edges(
    r"^\W*(?:(?:非常|很|十分|实在)?(?:抱歉|对不起|遗憾|不好意思)|请原谅)?[，,。！!\s]*(?:但是?|不过|由于"
    r"|因为)?[，,\s]*"
    r"(?:(?:我只?是一?[个名]?|作为一?[个名位款]?)[^，。！？\n]{0,12}(?:AI|ai|人工智能|语言模型|智能助手"
    r"|聊天机器人|助手|机器人)[^，。！？\n]{0,14}[，,。\s]*(?:所以|因此)?)?"
    r"[，,\s]*(?:恕?我?(?:暂时|目前)?(?:无法|不能|没办法|没法|没有办法|不可以|不便|难以|没有能力|不具备))"
    r"(?:再?为?(?:您|你)?)?(?:直接|亲自|继续|具体)?(?:回答|提供|协助|帮助|完成|满足|处理|执行|讨论|生成"
    r"|参与|给出|给您|给你|帮|做|进行|回应|表达|拥有|为您|为你|写|创作|个人|主观|自己)"
)
# The answer asks for what the request forgot to give: that is help, not a refusal.
_ASKS_BACK = edges(
    r"(?i)(?:please|could you|can you|would you|if you)[^.!?\n]{0,40}(?:provide|share|send|paste|give"
    r"|specify|clarify|tell|let me know)|more (?:information|context|details)"
    r"|(?:haven't|have not|didn't|did not|hasn't been|not been|no\b[^.]{0,20}) ?(?:provided?|given?"
    r"|included?|specif\w+|attached)"
    r"|请(?:您|你)?(?:再|先|把|将|重新)?(?:提供|给出|补充|告诉|发|贴|输入|说明|上传|明确)|(?:没有"
    r"|未)(?:给出|提供|附上|说明|指明|指定|看到|告诉)|(?:能否|可以|麻烦)(?:您|你)?(?:再)?(?:提供|给出|补充"
    r"|告诉)|(?:足够|充足|充分)的(?:信息|资料|背景)|(?:您|你)可以(?:描述|提供|告诉|补充)"
    r"|enough (?:information|context|detail)|更多(?:信息|细节|背景|详细)|提供更多"
)
# What an assistant of text truly cannot do or know: saying so is right.
_TRUE_LIMIT = edges(
    r"(?i)\b(?:real-time|live|up-to-date|current (?:data|news|weather|market)|internet|web ?site|browse"
    r"|external|access to (?:your|the|any|real)|images?|photos?|pictures?|painting|draw"
    r"|logo|audio|video|music|physical|body|taste|predict|future|weather|stock|diagnos\w+|medical"
    r"|legal advice|personal (?:experience|preference|opinion|feeling)s?|experiences|memor(?:y|ies|able)"
    r"|feelings|emotions|preferences|opinions?)\b"
    r"|实时|联网|互联网|外部|图片|图像|照片|视频|音频|画|实体|身体|味道|预测|未来|天气|股票|诊断|医疗"
    r"|法律意见|个人(?:经历|偏好|观点|情感|喜好)|情感|感受|主观|意见|访问|看到|看见|听到|数据库|经历|身份"
    r"|出生|实际|具体情况|机密|隐私"
)
# Words of a request that may well be declined, for rows that no label marks as safety.
_TOUCHY = edges(
    r"(?i)\b(?:bombs?|explosives?|weapons?|guns?|kill\w*|murder|suicid\w*|self-harm|poison\w*|drugs?|meth"
    r"|cocaine|heroin|hack\w*|malware|ransomware|phish\w*|steal\w*|stolen|fraud|scam\w*|forge\w*"
    r"|fake|counterfeit|launder\w*|smuggl\w*|stalk\w*|spy\w*|track(?:ing)? (?:her|him|my|some)"
    r"|without (?:her|his|their) (?:knowledge|consent|permission|noticing)|password|porn\w*|sex\w*|nude\w*"
    r"|rape|racis\w*"
    r"|slurs?|hate|hateful|terroris\w*|nazi|torture|abuse|overdose|dosage|cheat\w*|plagiari\w*|bypass"
    r"|jailbreak|ignore (?:all|your|previous)|illegal\w*|insult\w*|offensive|bully\w*|harass\w*|threat\w*"
    r"|bribe\w*|blackmail|dox\w*)\b"
    r"|炸弹|爆炸|武器|枪|杀|自杀|自残|毒|黑客|入侵|破解|木马|病毒|勒索|钓鱼|偷|盗|诈骗|骗|伪造|假证|假的"
    r"|洗钱|走私|跟踪|监听|监控|偷拍|定位|密码|色情|裸|性侵|强奸|歧视|仇恨|恐怖|纳粹|虐|过量|剂量|作弊"
    r"|代写|绕过|越狱|违法|非法|侮辱|辱骂|骚扰|威胁|贿|人肉|隐私|逃税|造谣|抹黑|放火|报复"
)


def refusal_boilerplate(frame: pl.DataFrame, params: ClaimParams) -> pl.DataFrame:
    """A stock refusal of a harmless request.

    Exempt: rows that a person labelled or a tag marks as safety, requests with touchy words, rows with tools, answers
    that ask back for what is missing or name a true limit of a text assistant, and long answers, which hedge and help.
    """
    first = pl.col("last_answer").str.head(400)
    opens = first.str.contains(_REFUSAL) | first.str.contains(_REFUSAL_ZH)
    candidates = frame.filter(_CHAT & pl.col("tools").is_null() & opens).with_columns(
        units("last_answer").alias("_units")
    )
    # The labeller takes a refusal for a sign of a harmful request, so its word alone would excuse every refusal.
    safe = (pl.col("task_type") == "safety") & (pl.col("task_type_by") != "labeller")
    safe = safe | pl.col("tags").list.eval(pl.element().str.starts_with("safety:")).list.any()
    said = pl.concat_str([pl.col("system"), pl.col("prompt")], separator="\n")
    hit = (
        (pl.col("_units") <= params.refusal_max_units)
        & ~safe.fill_null(False)
        & ~said.str.contains(_TOUCHY)
        & ~pl.col("last_answer").str.contains(_ASKS_BACK)
        & ~pl.col("last_answer").str.contains(_TRUE_LIMIT)
    )
    detail = "a stock refusal, and nothing in the request calls for one"
    return hits(candidates, hit, value=pl.col("_units"), limit=params.refusal_max_units, detail=detail)


# Product names that are nothing else, and those that are also people, stars or animals and need a maker or a kind beside them.
_PRODUCT = (
    r"chat\s?gpt|gpt-?[345](?:\.5|o)?(?:-turbo)?|openai|anthropic|文心一言|文心大模型|通义千问|通义"
    r"|讯飞星火|智谱清言|chatglm\d?(?:-\d+b)?|deepseek(?:-[\w.]+)?|qwen[\d.]*|ernie(?: bot)?|baichuan\d?"
    r"|百川大模型|混元(?:大模型)?|盘古大模型|豆包|星火大模型|月之暗面|moonshot|minimax|internlm|书生·?浦语"
    r"|microsoft copilot|bing chat|new bing|google bard|vicuna|stablelm|wizardlm"
)
_AMBIGUOUS = r"claude|gemini|bard|copilot|llama[\d. -]*|mistral|kimi|grok|alexa|siri|cortana|小爱同学|小冰|小度"
_MAKER = (
    r"open\s?ai|anthropic|google(?: deepmind| ai)?|deepmind|meta(?: ai)?|microsoft|baidu"
    r"|alibaba(?: cloud)?|tencent|bytedance|zhipu(?: ai)?|moonshot(?: ai)?|deepseek|mistral(?: ai)?|xai"
    r"|cohere|databricks|huawei|iflytek"
    r"|百度|阿里(?:巴巴|云)?|腾讯|字节跳动|智谱(?:ai)?|月之暗面|深度求索|科大讯飞|讯飞|华为|谷歌|微软"
    r"|商汤(?:科技)?|百川智能|昆仑万维"
)
_I_AM = edges(
    rf"(?i)(?:\bi am|\bi['’]m|\bmy name is|\bcall me|\bthis is|\byou(?:'re| are) (?:talking|chatting"
    rf"|speaking) (?:to|with)|\bme as)\s+(?:called |named |the |an? )?(?:{_PRODUCT})\b"
    # "As ChatGPT, I …" speaks of itself; "as many as Ernie" and "such as the ChatGPT API" do not.
    rf"|(?:\A|[.!?\n,]\s*|\bi\s)as\s+(?:the |an? )?(?:{_PRODUCT})\s*(?:[,，]|\bi\b)"
    rf"|(?:\bi am|\bi['’]m|\bmy name is|\bas)\s+(?:called |named )?(?:{_AMBIGUOUS})\b[\s,，]{{1,3}}(?:an?"
    rf"|the|your|developed|created|made|built|trained|by)\b[^.\n]{{0,40}}(?:\b(?:ai|assistant|model|chatbot"
    rf"|agent)\b|\b(?:{_MAKER})\b)"
    rf"|\bi (?:was|am|have been|['’]ve been)\s+(?:\w+ ){{0,2}}(?:created|developed|trained|made|built"
    rf"|designed|programmed|fine-?tuned)\s+(?:and \w+ )?by\s+(?:\w+ ){{0,2}}?(?:{_MAKER})\b"
    rf"|\bi(?:['’]m| am)\s+(?:an?|the)\s+[^.\n]{{0,50}}\b(?:model|assistant|ai"
    rf"|chatbot)\b[^.\n]{{0,30}}\b(?:by|from|of|at)\s+(?:{_MAKER})\b"
    rf"|\b(?:as|being) an?\s+[^.,\n]{{0,40}}\b(?:model|assistant|ai|chatbot)\b[^.,\n]{{0,20}}\b(?:by"
    rf"|from)\s+(?:{_MAKER})\b"
    rf"|(?:我是|我叫|我的名字(?:是|叫)|作为|这里是|称呼我为?|叫我)[“「\"]?\s*(?:{_PRODUCT}"
    rf"|(?:{_AMBIGUOUS})[，,、。\s]{{0,2}}(?:一[个款名位]|由|你的|您的)[^。\n]{{0,20}}(?:ai|人工智能|助手"
    rf"|模型|机器人))"
    rf"|我是(?:一[个款名位])?由?\s*(?:{_MAKER})(?:公司)?\s*(?:所|自主)?(?:开发|研发|训练|创建|推出|打造"
    rf"|设计|发布|提供|的)"
    rf"|我(?:是)?由\s*(?:{_MAKER})(?:公司)?\s*(?:所|自主)?(?:开发|研发|训练|创建|推出|打造|设计|发布)"
)
_PLAYED = edges(
    r"(?i)role-?play|pretend|imagine you|act as|you are (?:now )?|in the voice|dialogue|script|screenplay"
    r"|story|quote|translat|扮演|假装|假如你是|模拟|剧本|对白|故事|台词|翻译|你现在是|你是"
)


def other_identity(frame: pl.DataFrame, params: ClaimParams) -> pl.DataFrame:
    """The assistant says that it is another product, or was made by another company; to mention one is fine.

    A row whose system turn or role-play request gives that very name is exempt, as are the names in `own_names`.
    """
    found = frame.filter(_CHAT & pl.col("answer").str.contains(_I_AM))
    if params.own_names:
        own = "(?i)" + "|".join(re.escape(name) for name in params.own_names)
        claims = pl.col("answer").str.replace_all(own, "\u0000")
        found = found.filter(claims.str.contains(_I_AM))
    names = rf"(?i){_PRODUCT}|{_AMBIGUOUS}|{_MAKER}"
    given = pl.col("system").str.contains(names)
    asked = pl.col("prompt").str.contains(names) & pl.col("prompt").str.contains(_PLAYED)
    detail = pl.format(
        "says “{}”",
        pl.col("answer").str.extract(f"({_I_AM.replace('(?i)', '')})".replace("(", "(?i)(", 1), 1).str.head(60),
    )
    return hits(found, ~given & ~asked, detail=detail)


_CITED = re.compile(
    r"(?<![\w\])])\[(\d{1,2})\](?!\()|(?<=[㐀-鿿。，；！？”）\])])\[(\d{1,2})\](?!\()|【(\d{1,2})】"
    r"|(?<=[a-z.,;!?\")])\[(\d{1,2})\](?=[\s.,;!?)]|$)"
)
_SNIPPET = re.compile(
    r"[\[【](\d{1,2})[\]】]|(?:document|doc|snippet|source|passage|result|excerpt|片段|资料|文档|来源|结果"
    r"|材料|条目)\s*[#＃]?\s*(\d{1,2})",
    re.IGNORECASE,
)
_HEADER = (
    r"search results?|retriev(?:ed|al)[\w ]{0,30}|snippets?|knowledge[- ]base(?: results?| articles?)?"
    r"|context documents?|reference (?:material|documents?)|检索(?:到的)?(?:结果|资料|片段|内容|材料)?"
    r"|搜索结果|参考(?:资料|材料|文献|片段)|资料片段|知识库(?:检索)?(?:结果|内容)?"
)
_EMPTY_SECTION = re.compile(
    rf"(?:{_HEADER})[\]】)）”\"]*[ \t]*[:：]?\s*(?:[(（\[【<]?\s*(?:none|empty|null|0 results?"
    rf"|no (?:results?|documents?|snippets?|matches|passages?)\b[^\n]*|nothing (?:was )?found|无|空"
    rf"|暂无[^\n]*|没有[^\n]*|未检索到[^\n]*|未找到[^\n]*)\s*[)）\]】>]?|\[\s*\]"
    rf"|[(（]\s*[)）])\s*[.。]?\s*(?:\n|$)",
    re.IGNORECASE,
)
_EMPTY_TOOL = re.compile(
    r"^\s*(?:\[\s*\]|\{\s*\"\w+\"\s*:\s*\[\s*\](?:\s*,\s*\"(?:total|count|hits|found)\"\s*:\s*0)?\s*\}"
    r"|null|\{\s*\}|no results?(?: found)?\.?|无结果。?|未找到相关(?:内容|结果)。?)\s*$",
    re.IGNORECASE,
)
_ADMITS = re.compile(
    r"\bno (?:results?|documents?|snippets?|information|sources?|passages?|matches|matching|record)"
    r"|not? (?:found|find|contain|listed|included|stated|say|given|provided|mention)|nothing|n't (?:find"
    r"|found|contain|say|see|give|tell|mention|have|include|state|returned?)"
    r"|(?:results?|search|section|sources?) (?:is|are|was|were|came back|returned?) (?:empty|nothing"
    r"|blank)|cannot (?:tell|answer|confirm|say|be)|empty|came up|didn't return|without (?:a )?source"
    r"|没有?(?:检索|查|找|搜|提|相关|给|写|任何|资料|内容|结果|返回)|未(?:能)?(?:检索|查|找|提|搜|给|见"
    r"|收录)|无(?:相关|结果|资料|法)|为空|是空的|空白|查不到|找不到|搜不到|不到|未知|缺少|尚无|并无",
    re.IGNORECASE,
)
_LEANS = re.compile(
        r"according to (?:the|our|this|these|retrieved|search)|based on (?:the|our|these|retrieved|search)"
        r"|the (?:results?|documents?|sources?|snippets?|search|knowledge base|article|retrieved \w+) (?:show"
        r"|say|state|indicate|confirm|list|note|explain|report)s?"
        r"|as (?:stated|noted|shown|reported) in|根据|依据|按照|据(?:资料|检索|文档|知识库)|(?:资料|结果|文档"
        r"|片段|知识库|检索)(?:中|里|内容)?(?:显示|表明|提到|指出|写明|说明|记载|给出)",
    re.IGNORECASE,
)  # fmt: skip
_RETRIEVAL = re.compile(_HEADER, re.IGNORECASE)
_DEFINED_HERE = re.compile(r"^\s*[\[【](\d{1,2})[\]】]\s*\S", re.MULTILINE)


def ungrounded_citation(frame: pl.DataFrame) -> pl.DataFrame:
    """The answer cites a snippet that was not given, or leans on a retrieval that came back empty, as if it were fact.

    Judged where the row has a retrieval section or numbered snippets; an answer that says it found nothing is right.
    """
    leaning = pl.col("prose").str.contains(
        r"(?i)\[\d{1,2}\]|【\d{1,2}】|according to|based on|the (?:results?|documents?|sources?|snippets?"
        r"|search)|根据|依据|按照|资料|检索|文档|知识库|据"
    )
    tool = pl.element().struct
    returned = (
        pl.col("messages").list.eval(tool.field("content").filter(tool.field("role") == "tool")).list.drop_nulls()
    )
    given = pl.concat_str([pl.col("system"), pl.col("prompt")], separator="\n")
    sections = rf"(?i)(?:{_HEADER})|\[\d{{1,2}}\]|【\d{{1,2}}】"
    candidates = frame.filter(_CHAT & leaning & (given.str.contains(sections) | (returned.list.len() > 0)))
    code = (pl.col("task_type") == "code").fill_null(False)
    rows = candidates.select("id", given.alias("given"), returned.alias("returned"), "prose", code).iter_rows()
    found = [(i, said) for i, text, tools, prose, c in rows if (said := _ungrounded(text, tools or [], prose, c))]
    schema = {"id": pl.String, "detail": pl.String}
    return hits(pl.DataFrame(found, schema=schema, orient="row"), pl.lit(True), detail=pl.col("detail"))


def _ungrounded(given: str, returned: list[str], answer: str, code: bool = False) -> str | None:
    """What the answer leans on without ground, or None. `code`: brackets with a number are an index there."""
    everything = "\n".join([given, *returned])
    defined = {int(a or b) for a, b in _SNIPPET.findall(everything)}
    own = {int(n) for n in _DEFINED_HERE.findall(answer)}
    cited = {int(next(filter(None, groups))) for groups in _CITED.findall(answer)}
    if len(own) > 1:  # a list of references of its own
        cited -= own
    section = bool(_RETRIEVAL.search(given)) or (bool(defined) and not code)
    if section and cited - defined:
        shown = ", ".join(f"[{n}]" for n in sorted(cited - defined))
        return f"cites {shown}; {len(defined)} snippets were given"
    empty = _EMPTY_SECTION.search(given) or (returned and all(_EMPTY_TOOL.match(text) for text in returned))
    if empty and not defined and not _ADMITS.search(answer) and _LEANS.search(answer):
        return "leans on a retrieval that came back empty"
    return None
