"""Rules about the form of a text: broken characters, placeholders, debris of markup, and ends that are none."""

from __future__ import annotations

import re

import polars as pl
from pydantic import Field

from curation import records as rec
from curation.clean.hits import hits
from curation.clean.prose import edges, units
from curation.params import Params

_CHAT = pl.col("kind") == "chat"


class FormParams(Params):
    """`params.yaml: clean.form`."""

    max_broken: int = Field(0, ge=0)  # broken_characters: places in a row
    max_markup: int = Field(0, ge=0)  # markup_debris: places in an answer
    open_end_units: int = Field(12, ge=1)  # unfinished_answer: so much after the last full stop, without one


# What repair could not undo: replacement characters, GBK read where UTF-8 stood (锟斤拷), uninitialised memory read as
# GBK (烫烫烫, 屯屯屯), UTF-8 read as Windows-1252 (Ã©, â€™, ä¸­) and GBK read as Latin-1 (ÄãºÃ).
_BROKEN = (
    r"\x{FFFD}|ï¿½|锟斤拷|锟斤|斤拷|烫烫烫|屯屯屯|锘锘|Ã[\x{80}-\x{BF}‚-”†-‰‹-›€™œžšŸ]|Â[\x{A0}-\x{BF}]"
    r"|â€[\x{80}-\x{BF}˜-”™œ¦“]|[äåæçèé][\x{80}-\x{BF}‚-”†-‰‹-›€™œžšŸ]{2}"
    r"|[\x{A1}-\x{FF}]{8,}|[\x{80}-\x{84}\x{86}-\x{9F}]"
)
_ABOUT_ENCODING = edges(
    r"(?i)乱码|编码|字符集|\bencod|\bdecod|mojibake|utf-?8|\bgbk\b|unicode|replacement character|latin-?1"
    r"|锟斤拷是|umlaut|diacritic"
)


def broken_characters(frame: pl.DataFrame, params: FormParams) -> pl.DataFrame:
    """Characters that an encoding error left; rows that speak of encodings may show them, and noisy prompts keep theirs."""
    prompt = pl.when(rec.tagged("robustness:")).then(pl.lit("")).otherwise(pl.col("prompt"))
    said = pl.concat_str([pl.col("system"), prompt, pl.col("answer")], separator="\n")
    broken = frame.select("id", said.alias("said")).filter(pl.col("said").str.contains(_BROKEN))
    broken = broken.with_columns(pl.col("said").str.count_matches(_BROKEN).alias("places"))
    hit = (pl.col("places") > params.max_broken) & ~pl.col("said").str.contains(_ABOUT_ENCODING)
    return hits(
        broken, hit, value=pl.col("places"), limit=params.max_broken, detail="places that an encoding error left"
    )


_PLACEHOLDER = edges(
    r"\{\{\s*[\p{L}_][\p{L}\p{N}_.\- ]{0,40}\s*\}\}"
    r"|\[\s*(?i:insert|your|my|the|enter|add|fill in|company|customer|client|recipient|sender|employer"
    r"|manager|hiring|contact|phone|e-?mail|address|organization|school|university|position|job|full|first"
    r"|last|event|product|start|end|current)"
    r"(?i:[ '’/&,-]+[\p{L}'’/&,-]+){0,6}\s*\]"
    r"|\[\s*(?i:name|date|time|place|city|address|recipient|manager|company|title|phone|e-?mail|signature"
    r"|location|amount|number|product|year|number of)\s*\]"
    r"|\[\s*(?i:date and time|duration|time and date)\s*\]"
    r"|<\s*(?i:insert|your|enter)(?i:[ _-][\p{L}]+){1,4}\s*>"
    r"|[\[【（(<《]\s*(?:请|此处|在此|这里|待|需)?(?:填写|填入|插入|补充|输入|待补"
    r"|待定)[^\]】）)>》\n]{0,20}[\]】）)>》]"
    r"|[\[【]\s*(?:您的|你的|贵)?(?:姓名|名字|公司(?:名称|名)?|日期|时间|地点|地址|电话|联系方式|职位|部门"
    r"|学校|收件人|客户(?:姓名|名称)?|产品(?:名称|名)?|邮箱|金额|城市|单位(?:名称)?"
    r"|活动名称)[^\]】\n]{0,6}[\]】]"
    r"|(?i:\bx{2,4}|×{2,4})\s?(?:公司|大学|学校|先生|女士|有限|集团|专业|职位|产品|银行|医院|同学|老师"
    r"|品牌|部门|市|省|路|单位|项目|培训)"
    r"|(?i:lorem ipsum)|\bTODO:|\bTBD\b|\bFIXME\b|<PLACEHOLDER>|\[PLACEHOLDER\]"
)
_TEMPLATE_ASKED = edges(
    r"(?i)templat|jinja|mustache|handlebars|placeholder|mail merge|variables?\b|fill[- ]in|blanks?\b"
    r"|\bform\b|boilerplate|模板|模版|占位|变量|填空|空白|表格|样板|范本|格式|待填|留空|\[\s*your|\{\{|【"
    r"|\[[\p{L} ]+\]"
)


def placeholder_left(frame: pl.DataFrame) -> pl.DataFrame:
    """A blank that somebody should have filled in; code and requests for templates are exempt."""
    # Code is set aside; a call of {{ macros }} in prose without a request for a template stays a fault.
    found = frame.filter(_CHAT & pl.col("prose").str.contains(_PLACEHOLDER))
    said = pl.concat_str([pl.col("system"), pl.col("prompt")], separator="\n")
    hit = ~said.str.contains(_TEMPLATE_ASKED) & (pl.col("task_type") != "code").fill_null(True)
    places = pl.col("prose").str.count_matches(_PLACEHOLDER)
    return hits(
        found,
        hit,
        value=places,
        limit=0,
        detail=pl.format("left: {}", pl.col("prose").str.extract(f"({_PLACEHOLDER})", 1).str.head(40)),
    )


# Marks of chat templates: no label and no word of the request excuses them, but for a request that shows one or names them.
_TOKENS = r"<\|(?:endoftext|im_start|im_end|eot_id)\|>|\[/?INST\]|<</?SYS>>"
_TOKENS_ASKED = (
    rf"(?i){_TOKENS}|special token|control token|end[- ]of[- ]text|chat ?template|tokeni[sz]er"
    r"|特殊(?:标记|词元|符号)|控制符|对话模板|分词器"
)
_MARKUP = edges(
    r"(?i)</?(?:br|p|div|span|b|i|u|strong|em|a|img|li|ul|ol|h[1-6]|table|tbody|thead|tr|td|th|font|center"
    r"|blockquote|sup|sub|hr|script|style|iframe|pre|code|ref|nowiki|section"
    r"|article)(?:\s[^<>\n]{0,200})?\s*/?>"
    r"|&(?:nbsp|amp|lt|gt|quot|apos|ldquo|rdquo|lsquo|rsquo|hellip|mdash|ndash|middot|copy|#\d{2,6}"
    r"|#x[0-9a-f]{2,5});"
    r"|<\|(?:endoftext|im_start|im_end|eot_id|assistant|user|system|end)\|>|</?s>|\[/?INST\]|<<\/?SYS>>"
    r"|\[\[[^\[\]\n]{1,60}\]\]|\{\{(?:cite|citation|ref|main|see also|convert|lang)\b[^{}\n]*\}\}"
    r"|'''[^'\n]{1,60}'''|(?m:^={2,4}[^=\n]{1,60}={2,4}\s*$)"
    r"|!\[[^\]\n]*\]\([^)\n]*\)|\[[^\]\n]*\]\(\s*\)|(?m:^(?:\\#)+)|\\\*\\\*|\*{5,}[^*\s]"
    r"|(?m:^#{1,3} ?(?:Response|Instruction|Input|Output|输入|输出|回答|指令|回复|问题)\s*[:：]?\s*$)"
    r"|(?m:^#{2,3} ?(?:Response|Instruction|Input|Output|输入|输出|回答|指令|回复) ?[:：])"
    r"|(?-i:[^\\]\\n[\p{Lu}\p{Han}])|\\r\\n|\\n\\n"
)
_MARKUP_ASKED = edges(
    r"(?i)html|\bxml\b|\bsvg\b|css|markup|markdown|web ?page|website|wiki|entit(?:y|ies)|\btags?\b|latex"
    r"|regex|regular expression|code|escape|javascript|python|网页|标签|标记|网站|转义|代码|正则|编程|前端"
    r"|程序|函数"
    r"|</?[a-z]+[^>]*>|&[a-z]+;|### ?(?:Input|Output|输入|输出)|\\n"
)


def markup_debris(frame: pl.DataFrame, params: FormParams) -> pl.DataFrame:
    """HTML tags and entities, wiki and template tokens in prose, where the request has nothing to do with markup."""
    found = frame.filter(_CHAT & pl.col("prose").str.contains(r"[<&\[\\#*']|\{\{|==")).filter(
        pl.col("prose").str.contains(_MARKUP)
    )
    places = pl.col("prose").str.count_matches(_MARKUP)
    said = pl.concat_str([pl.col("system"), pl.col("prompt")], separator="\n")
    named = said.str.contains(_TOKENS_ASKED)
    excused = said.str.contains(_MARKUP_ASKED) | (pl.col("task_type") == "code").fill_null(False)
    hit = (places > params.max_markup) & ~named & (~excused | pl.col("prose").str.contains(_TOKENS))
    return hits(
        found,
        hit,
        value=places,
        limit=params.max_markup,
        detail=pl.format("left: {}", pl.col("prose").str.extract(f"({_MARKUP})", 1).str.head(40)),
    )


_ENDED = r"[.!?。！？…~～)）\]】}」』》\"”’'|`:;*_>♪☺-]$|\p{So}$|[\x{1F300}-\x{1FAFF}\x{FE0F}]$"
_VERSE = edges(
    r"(?i)\b(?:poem|poetry|lyrics|song|haiku|verse|sonnet|limerick|rhyme|slogan|tagline|titles?|headline"
    r"|tweet|hashtags?|continue the|incomplete|cut off|unfinished|sentence starter|fill)\b"
    r"|诗|歌词|歌曲|对联|标语|口号|标题|题目|填词|词牌|说唱|童谣|续写|半句|未完|没写完|话题"
)


def unfinished_answer(frame: pl.DataFrame, params: FormParams) -> pl.DataFrame:
    """A turn that stops in mid sentence, at a comma or a conjunction, or inside a code block.

    Labels, lists, code, verse, titles and signatures may end without a full stop.
    """
    turn = pl.element().struct
    said = (turn.field("role") == "assistant") & turn.field("tool_calls").is_null()
    turns = pl.col("messages").list.eval(turn.field("content").filter(said)).list.drop_nulls()
    verse = pl.col("prompt").str.contains(_VERSE) | pl.col("task_type").is_in(["code", "text"]).fill_null(False)
    label = pl.col("task_type").is_in(["classification", "extraction"]).fill_null(False)
    each = (
        frame.filter(_CHAT)
        .select("id", verse.alias("verse"), label.alias("label"), turns.alias("turn"))
        .explode("turn", empty_as_null=False)
    )
    each = each.with_columns(pl.col("turn").str.strip_chars())
    # Cheap first: most turns end in a full stop and have their fences in pairs.
    end = pl.col("turn").str.tail(2)
    fences = pl.col("turn").str.count_matches("```", literal=True)
    each = each.filter((fences % 2 == 1) | ~end.str.contains(_ENDED) | end.str.contains("[:;-]$"))
    # What is labelled as closed and runs on for paragraphs is an explanation, and is judged as one.
    exempt = pl.col("verse") | (pl.col("label") & (units("turn") < 5 * params.open_end_units))
    rows = each.select("id", exempt, "turn").iter_rows()
    found: dict[str, str] = {}
    for id_, free, text in rows:
        why = cut(text, params.open_end_units, free)
        if why and id_ not in found:
            found[id_] = why
    listed = pl.DataFrame(list(found.items()), schema={"id": pl.String, "detail": pl.String}, orient="row")
    return hits(listed, pl.lit(True), limit=params.open_end_units, detail=pl.col("detail"))


_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_CODE_LINE = re.compile(r"[{};=<>\\]|\w\(|^\s*(?:return|import|from|def|else|end|fi|done)\b|^\s*[#$>]|https?://|\|")
_LIST_LINE = re.compile(
    r"^\s*(?:[-*•·+–—―]|\(?\d{1,3}[.)、．）:：]|[（(][一二三四五六七八九十\d]+[)）]"
    r"|[一二三四五六七八九十]+[、.．]|[a-zA-Z][.)]\s|#{1,6}\s|>\s|第[一二三四五六七八九十\d]+)"
)
_SIGNED = re.compile(
    r"(?:regards|sincerely|yours|wishes|cheers|love|thanks|truly|faithfully|best|respectfully|cordially"
    r"|此致|敬上|敬礼|谨启|谨上|您的|你的)[ \w]{0,20}[,，]?\s*$|\b(?:dear|hi|hello) \w+,?$",
    re.IGNORECASE,
)
_DANGLING = re.compile(
    r"(?:[,，、（(\[【{“‘《—]|(?:^|[\s,])(?:the|an|a|of|and|or|to|with|in|for|by|that|which|is|are|was"
    r"|were|as|from|at|because|but|such as|including|its|their|your|his|our|these|those|will|would|can"
    r"|could|should|may|might"
    r"|has|have|had|been|than|if|when|while|into|about)|(?:和|与|或|及|以及|或者|并|并且|而|而且|但是|因为"
    r"|所以|例如|比如|包括|对于|通过|为了|如果|由于|不仅|从而|其中|被|把|将|让|还有))$"
)
_LEADS_IN = re.compile(r"(?:[:：]|[;；])$")
_STOP = re.compile(r"[.!?。！？…](?:[\"”’')）\]*]*)(?=\s|[㐀-鿿“（(A-Z]|$)")
_UNIT = re.compile(r"[㐀-䶿一-鿿]|[^\W_㐀-䶿一-鿿]+")


def _units(text: str) -> int:
    return sum(1 if "㐀" <= u[0] <= "鿿" else 2 for u in _UNIT.findall(text))


def cut(text: str, open_end: int, exempt: bool = False) -> str | None:
    """Why a turn seems cut off, or None. `exempt`: verse, labels and code are judged by open fences only."""
    if len(_FENCE.findall(text)) % 2 == 1:
        return "a code block is not closed"
    if exempt or text.endswith("```"):
        return None
    lines = [line for line in text.split("\n") if line.strip()]
    last = lines[-1].strip() if lines else ""
    if not last or _CODE_LINE.search(last) or (_SIGNED.search(last) and _units(last) < open_end):
        return None
    whole = _units(text)
    listed = bool(_LIST_LINE.match(last))
    if whole >= open_end and _DANGLING.search(last):
        return f"ends in “{last[-12:]}”"
    if _LEADS_IN.search(last):
        return f"ends in “{last[-12:]}”" if whole >= open_end else None
    if re.search(r"[.!?。！？…~～)）\]】}」』》\"”’'*_>-]$|[^\w\s]$", last):
        return None
    before = [line.strip() for line in lines[:-1]]
    if listed:
        others = [line for line in before if _LIST_LINE.match(line)]
        stopped = len(others) >= 2 and all(_STOP.search(line[-3:]) for line in others)
        return "the last point has no end, the others have" if stopped and _units(last) >= open_end else None
    # What begins with dots goes on from the prompt: they end nothing.
    tail = last = last.lstrip("….") if last.startswith(("…", "...")) else last
    for match in _STOP.finditer(last):
        tail = last[match.end() :]
    spoken = _units(tail) >= open_end and not re.fullmatch(r"[\d\W]*", tail)
    if tail != last and (not before or re.search(r"[.!?。！？…:：\"”’'）)`]$", before[-1])):
        return "the last sentence has no end" if spoken else None
    prose_before = [line for line in before if not _LIST_LINE.match(line)]
    style = prose_before and all(_STOP.search(line[-3:]) for line in prose_before)
    if spoken and style and len(before) >= 1 and _units(prose_before[-1]) >= 2 * open_end:
        return "the last paragraph has no end"
    if not before and _units(last) >= 5 * open_end and re.search(r"[,，;；]", last):
        return "one long sentence without an end"
    return None
