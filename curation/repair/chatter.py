"""Closing chatter: "I hope this helps!", "如果还有问题，随时告诉我。" It teaches a model to say nothing at length."""

from __future__ import annotations

import re

from curation.repair.text import code_blocks

_YOU = "(?:你|您)"
_ASK_ZH = "(?:告诉我|问我|提问|向我提问|提出|联系我|与我联系|和我联系|告知我|告知|跟我说|和我说|找我|继续提问)"
_ASK_EN = (
    "(?:(?:just )?let me know|feel free to (?:ask|let me know|reach out|contact me)|just ask|I['’]m here to help"
    "|(?:don['’]t|do not) hesitate to (?:ask|reach out|contact me|let me know))"
)
# Whole sentences in which an assistant closes, each without its final mark.
_SENTENCES = (
    # 希望这些信息对你有所帮助
    "(?:我)?(?:真心|衷心)?希望(?:这|这些|以上|上述|上面|我的|本)?(?:个|些|份|段|篇)?"
    "(?:内容|信息|回答|解答|解释|建议|例子|示例|答案|说明|介绍|总结|代码)?(?:能|能够|可以|会)?"
    f"(?:对{_YOU}(?:有)?(?:所)?(?:帮助|有用)|(?:帮到|帮助到|帮助|解决){_YOU}(?:的问题)?)",
    # 如果您还有其他问题，请随时告诉我
    f"(?:如果|若|如){_YOU}?(?:还|仍|对此)?(?:有|需要|需)(?:任何|其他|其它|更多|什么)?(?:的)?(?:其他|其它|更多|进一步)?(?:的)?"
    "(?:问题|疑问|需求|需要|帮助|不明白的地方|不清楚的地方|信息|协助)[，,]?(?:都)?"
    f"(?:请|欢迎|可以|你可以|您可以)?(?:随时|尽管)?(?:再)?{_ASK_ZH}(?:吧|哦|哈|哟)?",
    # 欢迎随时提问
    f"(?:欢迎|请)?{_YOU}?随时(?:欢迎)?(?:再)?{_ASK_ZH}",
    # 您还有什么我可以帮您的吗
    f"(?:请问)?{_YOU}?还有(?:什么|其他|别的|其它)?(?:我)?(?:可以|能)?(?:帮(?:助)?{_YOU}|帮到{_YOU}|为{_YOU}效劳)的(?:吗|么)",
    r"(?:I (?:really )?)?hope (?:this|that|these|it|the above|my)"
    r"(?: (?:information|answer|explanation|example|response|suggestions|tips))? "
    r"(?:helps?(?: you)?(?: out)?|(?:is|are|was|were|proves) (?:helpful|useful)(?: (?:to|for) you)?"
    r"|clarifies (?:things|it)|answers your question)",
    r"(?:Please )?(?:feel free|(?:don['’]t|do not) hesitate) to (?:let me know|ask(?: me)?|reach out(?: to me)?|contact me)(?: again)?"
    r"(?: (?:if|with|should|for|any|more|further|about|anything|at)\b[^.!?\n]{0,90})?",
    r"(?:Please )?(?:just )?let me know (?:if|should|whether) "
    r"(?:you(?:['’]d| would)? (?:have|need|want|like|require)|there['’]?s|there is|I can) "
    r"(?:any|more|some|further|other|additional|help|anything|me to|to know|assistance|clarification|else)\b[^.!?\n]{0,80}",
    r"If (?:you|there)(?:['’](?:d|re|s))? (?:have|need|want|would like|like|are|is)\b[^.!?\n]{0,80}?,? (?:please )?"
    rf"{_ASK_EN}[^.!?\n]{{0,40}}",
    r"(?:Is there anything else|Do you have any other questions|Anything else)\b[^.!?\n]{0,80}(?=\?)",
    r"I['’]m (?:always )?(?:here|happy|glad) to (?:help|assist)[^.!?\n]{0,60}",
)
_CHATTER = re.compile(
    r"(?:(?<=[。！？!?.…~～)）\n`:：])|(?<=[。！？!?.…][”\"’']))\s*"  # only after the end of another sentence
    rf"(?:{'|'.join(_SENTENCES)})\s*[。！!.？?~～]*[\s\U0001f600-\U0001f64f\U0001f917\u263a\ufe0f]*\Z",
    re.I,
)
# One of these stands in every such sentence.
_SIGNS = (
    "hope", "let me know", "feel free", "hesitate", "anything else", "here to help", "here to assist", "to help", "to assist",
    "any other", "just ask", "希望", "随时", "告诉我", "问我", "告知", "提问", "提出", "联系", "跟我说", "和我说", "找我", "还有",
)  # fmt: skip
# The closing may be what was asked for: a letter, a reply, a text to be rendered or quoted.
_ASKED_FOR_A_MESSAGE = re.compile(
    r"(?i)\b(?:e-?mails?|letters?|messages?|repl(?:y|ies)|respon(?:d|se) to|scripts?|dialog(?:ue)?s?|conversations?|speech"
    r"|announcements?|translat\w+|rewrit\w+|rephras\w+|paraphras\w+|proofread|correct the|repeat|role-?play)\b"
    r"|邮件|信件|写信|一封|回信|回复|答复|短信|通知|公告|话术|文案|致辞|演讲|对话|台词|剧本|翻译|译成|译为|改写|润色|改成|复述|扮演|客服"
)
_SUBSTANCE = 12  # letters, digits and characters that must remain


def trim_chatter(answer: str, prompt: str) -> tuple[str, int]:
    """`answer` without its closing sentences of chatter, and how many went; unchanged when little else would remain."""
    tail = answer[-220:].lower()
    if not any(sign in tail for sign in _SIGNS):
        return answer, 0
    kept, count = answer, 0
    while match := _CHATTER.search(kept, max(0, len(kept) - 320)):
        rest = kept[: match.start()].rstrip()
        # A rest that ends in a colon introduces the sentence: it is quoted.
        if len(re.sub(r"\W", "", rest)) < _SUBSTANCE or rest.endswith((":", "：")):
            break
        kept, count = rest, count + 1
    if not count or _ASKED_FOR_A_MESSAGE.search(prompt):
        return answer, 0
    last = max((end if closed else len(answer) + 1 for _, end, closed in code_blocks(answer)), default=0)
    return (kept, count) if last <= len(kept) else (answer, 0)
