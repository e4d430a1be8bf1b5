"""Rules about whether there is an answer, how long it is, what it repeats and in which language it stands."""

from __future__ import annotations

import polars as pl
from pydantic import Field

from curation.clean.hits import hits
from curation.clean.prose import edges, units
from curation.params import Params

_CHAT = pl.col("kind") == "chat"


class AnswerParams(Params):
    """`params.yaml: clean.answers`. A unit is a Chinese character or half a word of another script."""

    max_units: int = Field(2400, ge=1)  # too_long: 2,400 Chinese characters or 1,200 words
    max_tokens: int = Field(8192, ge=1)  # too_long: what has few words for its size, such as pasted data
    min_units: int = Field(8, ge=0)  # too_short, where an explanation or a text is asked for
    min_units_long_form: int = Field(40, ge=0)  # too_short, where an essay, article, story or report is asked for
    max_duplicate_share: float = Field(0.35, gt=0, le=1)  # repetition, words
    max_duplicate_share_zh: float = Field(0.5, gt=0, le=1)  # six characters come again sooner than six words
    max_duplicate_share_steps: float = Field(0.5, gt=0, le=1)  # code and math: their lines and steps are worded alike
    max_run_chars: int = Field(60, ge=1)  # repetition: one piece said over and over, words
    max_run_chars_zh: int = Field(30, ge=1)
    echo_share: float = Field(0.8, gt=0, le=1)  # prompt_echo: share of the answer that is the prompt itself
    echo_min_chars: int = Field(8, ge=1)  # a greeting may be given back
    language_min_units: int = Field(16, ge=1)  # wrong_language: shorter answers (names, terms) are not judged
    language_min_confidence: float = Field(0.6, ge=0, le=1)  # wrong_language: of prompt and answer


# Marks of chat templates say nothing: an answer of nothing else is an empty one that was written out with its end.
_BLANK = r"^(?:[\s\p{Cf}.…—–_*#|>-]|<\|(?:endoftext|im_start|im_end|eot_id)\|>|</s>)*$"
_NO_ANSWER = (
    r"(?i)^\s*(?:<no ?(?:in|out)put>|\[?no (?:output|response|answer)(?: given| provided)?\]?|nan"
    r"|undefined|（无回答）|\[无\])\s*$"
)


def empty_answer(frame: pl.DataFrame, params: AnswerParams) -> pl.DataFrame:
    """An assistant turn that says nothing and calls nothing, or a stand-in for no answer such as `<nooutput>`."""
    turn = pl.element().struct
    nothing = turn.field("content").fill_null("").str.contains(_BLANK) & turn.field("tool_calls").is_null()
    silent = pl.col("messages").list.eval((turn.field("role") == "assistant") & nothing).list.any()
    hit = _CHAT & (silent | pl.col("last_answer").str.contains(_NO_ANSWER))
    return hits(
        frame,
        hit,
        value=pl.col("last_answer").str.strip_chars().str.len_chars(),
        limit=1,
        detail="an assistant turn is empty",
    )


def empty_prompt(frame: pl.DataFrame) -> pl.DataFrame:
    """A user turn without a word: the answer would be learned as a reply to nothing."""
    turn = pl.element().struct
    silent = (turn.field("role") == "user") & turn.field("content").fill_null("").str.contains(r"^[\s\p{Cf}]*$")
    return hits(
        frame, _CHAT & pl.col("messages").list.eval(silent).list.any(), value=0, limit=1, detail="a user turn is empty"
    )


def too_long(frame: pl.DataFrame, params: AnswerParams) -> pl.DataFrame:
    """An answer far beyond what the model can learn whole; texts for replay are cut when packed and not judged."""
    # Only a text with so many characters can have so many units (a word has at least one character and a space).
    tokens = pl.col("length.answer_tokens")
    long = frame.filter(_CHAT & ((pl.col("length.answer_chars") > params.max_units) | (tokens > params.max_tokens)))
    # The longest turn counts: ten short answers make a long conversation, not a long answer.
    turn = pl.element().struct
    said = pl.col("messages").list.eval(turn.field("content").filter(turn.field("role") == "assistant"))
    turns = long.select("id", said.alias("_turn")).explode("_turn", empty_as_null=False).drop_nulls()
    longest = turns.with_columns(units("_turn").alias("_units")).group_by("id").agg(pl.col("_units").max())
    long = long.join(longest, on="id", how="left", maintain_order="left").with_columns(pl.col("_units").fill_null(0))
    by_units = pl.col("_units") > params.max_units
    return hits(
        long,
        by_units | (tokens > params.max_tokens),
        value=pl.when(by_units).then("_units").otherwise(tokens),
        limit=pl.when(by_units).then(params.max_units).otherwise(params.max_tokens),
        detail=pl.when(by_units).then(pl.lit("units (Chinese characters + 2 × words)")).otherwise(pl.lit("tokens")),
    )


_LONG_FORM = edges(
    r"(?i)\b(?:essay|article|story|report|speech|blog post|cover letter|in detail|detailed|paragraphs?"
    r"|monologue|tutorial)\b"
    r"|作文|文章|故事|小说|演讲稿|报告|详细|论文|散文|一篇|教程|一段话|\d+\s*字"
)
_PROSE = edges(
    r"(?i)\b(?:explain|describe|discuss|elaborate|compare|contrast|analy[sz]e|outline|e-?mail|letter"
    r"|review|instructions|steps"
    r"|advice|tell me about|how (?:do|does|can|could|would|should|to)|why (?:do|does|is|are|did|was|were))\b"
    r"|解释|说明|描述|介绍|阐述|论述|分析|讨论|谈谈|讲讲|如何|怎么|怎样|为什么|为何|比较|步骤|建议"
    r"|写一(?:封|段|份|则)|[一几]?封信|邮件"
)
_BRIEF = edges(
    r"(?i)\b(?:words?|phrases?|one sentence|a sentence|letters?\b.{0,12}\bin|titles?|headlines?|slogans?"
    r"|taglines?|names?|naming|yes or no"
    r"|true or false|labels?|classif\w*|categor\w*|synonyms?|antonyms?|brief|briefly|short|tweet|poem"
    r"|haiku|how (?:many|much|old|long|far|tall|often)"
    r"|numbers?|only|just|translat\w*|choose|select|pick|which|identify|calculate|compute|solve|say|spell"
    r"|spelled|pronounce|called|edit|correct"
    r"|rewrite|rephrase|convert|complete|fill|determine|find|what (?:is|are|was)|who|when|where"
    r"|best describes?|described)\b"
    r"|词|字母|一句|标题|题目|名字|名称|取名|起名|口号|标语|对联|简短|简要|简洁|是否|判断|分类|归类|类别"
    r"|标签|选|哪|几|多少|翻译|数字|计算|改写|只|"
    r"怎么(?:说|写|读|念|称呼|叫|样)|叫什么|填空|补全|补充|纠正|更正|求|什么(?:类|词|字|意思)|短语|句子"
)
_CLOSED = ("classification", "extraction", "closed_qa", "math", "translation", "tool_use", "code", "rewriting", "text")


def too_short(frame: pl.DataFrame, params: AnswerParams) -> pl.DataFrame:
    """A word or two where the request asks for prose; labels, numbers, names and other closed answers are exempt.

    A request that names a long form (essay, story, 文章 …) is judged whatever its label says, since the form is in the words.
    """
    most = max(params.min_units, params.min_units_long_form)
    # 12 characters a unit: longer answers cannot be short.
    small = frame.filter(
        _CHAT & (pl.col("length.last_answer_chars") <= 12 * most) & ~pl.col("last_answer").str.contains("`")
    )
    small = small.with_columns(units("last_answer").alias("_units")).filter(pl.col("_units") < most)
    asked = pl.col("last_prompt")
    long_form = asked.str.contains(r"(?i)^(?:.*[。.!?！？\n]\s*)?(?:please |请|帮我|能否|can you |could you |i need |i want )?\s*(?:you )?"
        r"(?:write|compose|draft|create|generate|tell|give|produce|写|撰写|创作|编写|起草|生成|讲|请写|给我写"
        r"|帮我写).{0,80}") & asked.str.contains(_LONG_FORM)  # fmt: skip
    brief = asked.str.contains(_BRIEF)
    open_ended = asked.str.contains(_PROSE) & ~pl.col("task_type").is_in(list(_CLOSED))
    limit = pl.when(long_form).then(params.min_units_long_form).when(open_ended).then(params.min_units)
    numeric = ~pl.col("last_answer").str.contains(r"\p{L}")
    verdict = pl.col("last_answer").str.contains(
        r"(?i)^\W*(?:yes|no|true|false|是的?|否|对的?|不对|不是|正确|错误|不能|能|可以|不可以|有|没有)\W*$"
    )
    hit = (pl.col("_units") < limit) & ~brief & ~numeric & ~verdict
    return hits(small, hit, value=pl.col("_units"), limit=limit, detail="units, where prose is asked for")


def repetition(frame: pl.DataFrame, params: AnswerParams) -> pl.DataFrame:
    """A turn that says the same again and again, unless saying it again is what was asked for."""
    chinese = pl.col("language.answer_language").is_in(["zh", "ja", "mul"])
    least = pl.when(chinese).then(params.max_duplicate_share_zh).otherwise(params.max_duplicate_share)
    steps = pl.col("task_type").is_in(["code", "math"]).fill_null(False)
    most = pl.when(steps).then(pl.max_horizontal(least, params.max_duplicate_share_steps)).otherwise(least)
    longest = pl.when(chinese).then(params.max_run_chars_zh).otherwise(params.max_run_chars)
    share, run = pl.col("repetition.duplicate_share"), pl.col("repetition.longest_run")
    asked = pl.col("prompt").str.contains(
        r"(?i)\brepeat|\b\d+ times\b|\blyrics\b|\bchorus\b|\bsong\b|重复|\d+\s*遍|\d+\s*次|歌词|副歌|绕口令|抄写"
    )
    found = frame.filter(((share > most) | (run > longest)).fill_null(False))
    return hits(
        found,
        ~asked,
        value=pl.when(share > most).then(share).otherwise(run),
        limit=pl.when(share > most).then(most).otherwise(longest),
        detail=pl.when(share > most).then(pl.lit("share said before")).otherwise(pl.lit("characters in one run")),
    )


def prompt_echo(frame: pl.DataFrame, params: AnswerParams) -> pl.DataFrame:
    """The answer is the prompt again, whole, with little or nothing of its own.

    An answer that gives back only the text to work on is not an echo: a correct sentence stays as it is when proofread.
    """
    prompt, answer = pl.col("last_prompt"), pl.col("last_answer")
    size = pl.col("length.last_answer_chars")
    # Cheap first: an echo is hardly longer than the prompt and holds the prompt's first word.
    similar = frame.filter(
        _CHAT & (size >= params.echo_min_chars) & (prompt.str.len_chars() >= 0.6 * params.echo_share * size)
    )
    first = prompt.str.to_lowercase().str.extract(r"([\p{L}\p{N}]{1,4})")
    similar = similar.filter(answer.str.to_lowercase().str.contains(first, literal=True))

    def plain(text: pl.Expr) -> pl.Expr:
        return text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}\p{S}]+", "")

    similar = similar.with_columns(plain(prompt).alias("_prompt"), plain(answer).alias("_answer"))
    chars = pl.col("_prompt").str.len_chars()
    # Without a closing mark a prompt may be the beginning of a sentence that the answer completes.
    closed = prompt.str.contains(r"[.?!。？！…:：]\s*[\"”’'）)]*\s*$")
    share = pl.when(pl.col("_answer").str.contains(pl.col("_prompt"), literal=True)).then(
        chars / pl.col("_answer").str.len_chars()
    )
    asked = prompt.str.contains(
        r"(?i)\brepeat|\bsay\b|\becho\b|\bcopy\b|\bcontinue|\bcomplete|重复|跟着?我?(?:说|念)|复述|照抄|续写|补全|接着"
    )
    hit = (chars >= params.echo_min_chars) & (share >= params.echo_share) & (closed | (share == 1.0)) & ~asked
    return hits(
        similar, hit, value=share.round(4), limit=params.echo_share, detail="of the answer is the prompt itself"
    )


_LANGUAGE = (
    r"(?:english|chinese|mandarin|cantonese|spanish|french|german|japanese|korean|russian|italian|portuguese|latin"
    r"|arabic|hindi|dutch|swedish|polish|turkish|vietnamese|thai|greek)"
)
# "in Italian" and "the Italian word for" ask for a language; "an Italian singer" does not.
_NAMES_A_LANGUAGE = edges(
    rf"(?i)\b(?:in|to|into|from|speak\w*|using|write|learn\w*|teach\w*|between|and|or) (?:the |simple |plain )?{_LANGUAGE}\b"
    rf"|\b{_LANGUAGE}(?:[ -](?:words?|phrases?|sentences?|names?|translations?|versions?|texts?|titles?|languages?|terms?"
    r"|speakers?|alphabet|grammar|verbs?|nouns?|proverbs?|idioms?|sayings?|characters?|lyrics|letters?|lessons?)\b| (?:for|as)\b|[:：])"
    r"|\b(?:translat\w*|languages?|bilingual|pinyin|hanzi|proverbs?|idioms?|haiku)\b|用 ?[A-Za-z]+语"
    r"|译|英文|英语|中文|汉语|国语|普通话|粤语|日语|日文|法语|法文|德语|德文|韩语|韩文|俄语|西班牙语"
    r"|意大利语|葡萄牙语|拉丁|阿拉伯语|外语|双语|语言|单词|字母|词汇|时态|语法|拼写"
    r"|[“\"'‘「《][a-z]{3,}"  # a foreign word in quotation marks is what the request is about
)
_CODE_ASKED = edges(
    r"(?i)\b(?:code|python|java|javascript|typescript|c\+\+|sql|html|css|regex|regular expression|program"
    r"|script|function|algorithm|json|yaml|csv"
    r"|latex|command|shell|bash|query|api)\b|代码|编程|程序|函数|脚本|算法|正则|命令|查询语句|标签|公式|方程"
)


# Constructed languages: the detector gives them to lists of English nouns, and nobody answers in them unasked.
_MADE_UP = ("eo", "ia", "ie", "io", "jbo", "vo")


def wrong_language(frame: pl.DataFrame, params: AnswerParams) -> pl.DataFrame:
    """The answer stands in another language than the request.

    Exempt: translation, requests or system prompts that name a language, code, prompts that hold text of the answer's
    script (quoted or to be worked on), and answers too short to tell.
    """
    spoken, asked = pl.col("language.answer_language"), pl.col("language.prompt_language")
    sure = pl.min_horizontal("language.answer_confidence", "language.prompt_confidence")
    # A third language is told from English by a small detector: only a clear word of it counts.
    least = pl.when(spoken.is_in(["zh", "en"])).then(params.language_min_confidence).otherwise(0.8)
    odd = frame.filter(
        _CHAT
        & spoken.is_in(["und", "mul", *_MADE_UP]).not_()
        & asked.is_in(["zh", "en"])
        & (spoken != asked)
        & (sure >= least)
        & ~((pl.col("task_type") == "translation") & (pl.col("task_type_by") != "labeller")).fill_null(False)
    )
    said = pl.concat_str([pl.col("system"), pl.col("prompt")], separator="\n")
    odd = odd.with_columns(said.alias("_said"), units("prose").alias("_units"))
    latin_words = pl.col("_said").str.count_matches(r"[A-Za-z]{2,}")
    han = pl.col("_said").str.count_matches(r"\p{Han}")
    shared = pl.when(spoken == "zh").then(han >= 2).when(spoken == "en").then(latin_words >= 6).otherwise(pl.lit(False))
    codelike = pl.col("prose").str.count_matches(r"[{}()\[\];=<>_/\\|+*]") > 0.06 * pl.col("prose").str.len_chars()
    code = pl.col("_said").str.contains(_CODE_ASKED) & ((spoken == "en") | codelike)
    least_units = (
        pl.when(spoken.is_in(["zh", "en"])).then(params.language_min_units).otherwise(3 * params.language_min_units)
    )
    hit = (
        ~pl.col("_said").str.contains(_NAMES_A_LANGUAGE)
        & ~shared
        & ~code
        & ~codelike
        & (pl.col("_units") >= least_units)
    )
    detail = pl.format("prompt {}, answer {}", asked, spoken)
    return hits(odd, hit, value=sure, limit=least, detail=detail)
