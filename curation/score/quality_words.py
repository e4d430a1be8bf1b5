"""The patterns of curation/score/quality.py: what a request asks for, what a text of quality does not hold."""

from __future__ import annotations

import re

HAN = "㐀-鿿豈-﫿"
UNIT = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+|\d+")
HAN_ONE = re.compile(f"[{HAN}]")
CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`|<tool_call>.*?</tool_call>", re.DOTALL)
LONG_FORM = re.compile(
    r"(?i)^(?:please |can you |could you )?(?:write|compose|draft) (?:an?|the|me an?) .{0,40}\b(?:essay"
    r"|article|story|report|speech|blog post)\b"
    r"|(?:写|撰写|创作)一?(?:篇|个).{0,14}(?:文章|作文|故事|报告|演讲|小说)"
)
PROSE = re.compile(
    r"(?i)\b(?:explain|describe|discuss|elaborate|compare|analy[sz]e|outline|how (?:do|does|can|to)|why)\b"
    r"|解释|说明|描述|介绍|阐述|论述|分析|讨论|谈谈|讲讲|如何|怎么|怎样|为什么|比较"
)
BRIEF = re.compile(
    r"(?i)\b(?:words?|phrase|sentence|brief\w*|short|titles?|headline|slogan|names?|yes or no|classify|label"
    r"|only|just|how (?:many|much|old|long)"
    r"|tweet|poem|haiku|translate|identify|calculate|which)\b"
    r"|简短|简要|一句|一句话|词|标题|题目|名字|口号|是否|判断|分类|哪|几|多少|翻译|只|选"
)
# Requests that work on a text of their own: an answer may then repeat the prompt, or stand in another script.
# Whole words of Latin script (information is no format, a vegetable no table), also where Chinese stands right beside them.
GIVEN = re.compile(
    r"(?i)(?<![a-z])(?:(?:re)?translat[a-z]*|rewrit[a-z]*|rephras[a-z]*|edit(?:s|ed|ing|or)?|(?:in)?correct[a-z]*|proofread[a-z]*"
    r"|repeat[a-z]*|copy(?:ing)?|complete[sd]?|continue[sd]?|convert(?:s|ed|ing)?|extract(?:s|ed|ing|ion)?|summar[a-z]*"
    r"|paraphras[a-z]*|(?:re)?format(?:s|ted|ting)?|sort(?:s|ed|ing)?|replace[sd]?|(?:re)?classif[a-z]*|list(?:s|ed|ing)?"
    r"|find(?:s|ing)?|identify(?:ing)?|which(?:ever)?|chooses?|select(?:s|ed|ing|ion)?|punctuat[a-z]*|grammar|capitali[a-z]*"
    r"|quote[sd]?|fill(?:s|ed|ing)?|(?:re)?arrang[a-z]*|remove[sd]?|delete[sd]?|insert(?:s|ed|ing)?|add|change[sd]?"
    r"|(?:de|en|pseudo)?code[sdr]?|[a-z]*sql(?:ite)?|jsonl?|tables?)(?![a-z])"
    r"|翻译|译|改写|重写|润色|纠正|修改|重复|复述|续写|补全|转换|提取|摘要|概括|总结|排序|替换|分类|填|哪|找|选|标点|语法|引用|删|加|代码|表格|格式"
)
TONGUES = re.compile(
    r"(?i)translat|language|english|chinese|french|spanish|german|japanese|pinyin|code|program|python|sql|html"
    r"|function|algorithm|regex|latex"
    r"|译|英语|英文|中文|汉语|语言|外语|单词|拼音|代码|程序|函数|算法|公式|双语|日语|法语"
)
VERSE = re.compile(
    r"(?i)\b(?:poem|poetry|lyrics|song|haiku|verse|slogan|titles?|headline|tweet|hashtags?)\b|诗|歌|对联|标语|口号|标题|题目"
)
LIST_LINE = re.compile(
    r"^\s*(?:[-*•|>#+]|\(?\d{1,3}[.)、．）:：]|[（(]?[一二三四五六七八九十]+[)）、.]|[A-Za-z][.)]\s)"
)
ENDED = re.compile(r"[.!?。！？…~～)）\]】}」』》\"”’'*_>♪|`-]$|[^\w\s,，、;；:：(（\[【“‘]$")
NUMBERED = re.compile(r"^\s*(\d{1,2})[.、．)）]\s*\S", re.MULTILINE)
HALF_WIDTH = re.compile(rf"(?<=[{HAN}])[,?!;](?=[{HAN}])")
BRACKETS = (("(", ")"), ("（", "）"), ("[", "]"), ("【", "】"), ("《", "》"), ("“", "”"))
BROKEN = re.compile(
    r"\ufffd|ï¿½|锟斤拷|烫烫烫|屯屯屯|Ã[\x80-\xbf‚-”†-‰‹-›€™œžšŸ]|Â[\xa0-\xbf]|â€|[äåæçèé][\x80-\xbf‚-”†-‰‹-›€™œžšŸ]{2}"
    r"|[\xa1-\xff]{8,}|[\x80-\x84\x86-\x9f\x00-\x08\x0b\x0c\x0e-\x1f]"
)
MARKUP = re.compile(
    r"(?i)</?(?:br|p|div|span|b|i|strong|em|a|img|li|ul|ol|h[1-6]|table|tr|td|font)(?:\s[^<>\n]{0,200})?\s*/?>"
    r"|&(?:nbsp|amp|lt|gt|quot|#\d{2,6});|^#{2,3} ?(?:Response|Instruction|Input|Output|回答|指令|输入|输出)\b",
    re.MULTILINE,
)
TOKENS = re.compile(r"<\|[a-z_]+\|>|\[/?INST\]|</?s>")
MARKUP_ASKED = re.compile(
    r"(?i)html|xml|css|markup|markdown|web ?page|website|\btags?\b|regex|code|token|template|网页|标签|标记|网站|代码|模板"
    r"|<|&\w+;"
)
PLAIN = re.compile(
    r"[\w\s.,!?;:'\"()\[\]{}<>*#|/+=%$@&_`~^°×÷€£¥§·•–—…‘’“”、。，！？；：（）《》【】「」『』〈〉～￥-]"
)
BOILERPLATE = re.compile(
    r"(?i)\bas an? (?:\w+ ){0,3}(?:ai|language model)\b|\bi(?:'m| am) (?:only |just )?an? (?:ai"
    r"|\w+ language model|language model)"
    r"|^\W*(?:i'?m |i am |we are )?(?:very |so |truly )?(?:sorry|apologi[sz]e"
    r"|i apologi[sz]e)\b[^.!?\n]{0,40}\b(?:cannot|can't|can not|unable|not able|couldn't)"
    r"|^\W*i (?:cannot|can't|am unable to) (?:assist|help|answer|provide|fulfil)"
    r"|(?:trained|made|developed|created) by (?:openai|anthropic|google|meta|baidu|alibaba)\b|\bas (?:chatgpt"
    r"|claude|gemini)\b"
    r"|^\W*(?:thank you|thanks) for (?:your|the|asking) ?(?:question|this question)?"
    r"|作为一?[个名位]?[^，。\n]{0,8}(?:人工智能|AI|语言模型|智能助手)|我是(?:一个)?(?:由|文心一言|通义千问|ChatGPT|人工智能|语言模型)"
    r"|作为(?:文心一言|通义千问|ChatGPT|豆包|Kimi)|由(?:OpenAI|百度|阿里\w*|谷歌)\s*(?:训练|研发|开发)"
    r"|^\W*(?:非常|很|十分)?(?:抱歉|对不起|遗憾)[^。！？\n]{0,14}(?:无法|不能|没办法)|^\W*(?:感谢|谢谢)[您你]的?(?:提问|问题)"
)
BLANK = re.compile(
    r"\{\{\s*[^\W\d][\w.\- ]{0,40}\s*\}\}|(?i:\[\s*(?:insert|your|enter|fill in)\b[^\]\n]{0,40}\])"
    r"|\[\s*(?:Name|Date|Address|Company)\s*\]"
    r"|[\[【（(<]\s*(?:请|在此|此处)?(?:填写|填入|插入|输入)[^\]】）)>\n]{0,20}[\]】）)>]|[\[【]\s*(?:您的|你的)\w{1,6}\s*[\]】]"
    r"|(?i:x{2,4}|×{2,4})(?:公司|大学|学校|先生|女士)"
)
BLANK_ASKED = re.compile(r"(?i)templat|placeholder|\bform\b|\bblank|模板|模版|填空|空白|表格|格式|\[|\{\{")
STOP = frozenset(
    "the a an of and or to in on at by for with from as is are was were be been it its this that these those i you he she we"
    " they my your what which who"
    " how why when where do does did can could would should will please me give write about some any not no there their his"
    " her if than then so".split()
) | set(
    "的了是在和与或我你他她它们这那有不为以吗呢吧请一个个上下中对于给出写什么怎样如何为什么哪些可以能会就也都还要把被从到"
)
