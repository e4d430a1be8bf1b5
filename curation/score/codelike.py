"""Whether a text is nothing but code: programs, queries, markup, data, shell commands, traces; told line by line."""

from __future__ import annotations

import json
import re

FENCE = re.compile(r"```[^\n]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_DOC = re.compile(r'(?:"""|\'\'\').*?(?:"""|\'\'\'|\Z)|/\*.*?(?:\*/|\Z)|<!--.*?(?:-->|\Z)', re.DOTALL)
_COMMENT = re.compile(r"^\s*(?:#(?!#)\s?|//|--\s|;;|%%?\s)|(?<=[\s;{}),])(?://|#|--)\s.*$")
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`")
_MARKS = re.compile(r"[{}()\[\];=<>|&$\\@#*/+]|::|->|=>")
_NAME = r"[^\W\d]\w*"
# A line that begins or is built like this is a line of code in some language.
_LINE = re.compile(
    rf"""^\s*(?:
      (?:async\s+)?def\s+{_NAME}\s*\( | class\s+{_NAME}\s*[:({{] | from\s+[\w.]+\s+import\s
    | import\s+[\w.*]+(?:\s+as\s+\w+)?(?:\s*,\s*[\w.]+)*\s*;?$
    | import\s+(?:.*\bfrom\s+["']|["'{{(*])
    | (?:if|elif|while|for|with|else|try|except|finally|return|match|case)\b[^.?!]*:\s*$
    | return\b(?:\s+(?!to\b|[A-Za-z]+\s+[A-Za-z]+\s+[A-Za-z]).*)?$
    | (?:else|try|finally|do)\s*[:{{] | (?:pass|break|continue|end|fi|done|esac);?$ | (?:raise|throw|yield|await|assert|del)\s+\S
    | (?:public|private|protected|static|final|const|let|var|fn|func|fun|struct|enum|interface|impl|trait|typedef|extern|void|int
      |double|float|bool|char|string|String|long|unsigned|auto|using|namespace|template|package|module|export|use|mod)
      \b[^.?!:]*[={{;(<]
    | (?:package|using|use|mod|namespace|module)\s+[\w.:]+;?$
    | function\b[^.?!]*[({{] | \#\s*include\s*[<"] | \#!/ | @\w+(?:\(.*\))?\s*$ | \$\w+\s*(?:->|=|\[)
    | </?[a-zA-Z][\w:-]*(?:\s[^<>]*)?/?> | <\?(?:php|xml|=)? | \?> | <!(?:DOCTYPE|doctype)
    | {_NAME}(?:\.\w+|\[[^\]]*\]|\([^()]*\))*(?:\s*,\s*{_NAME})*\s*(?:[-+*/%|&^:]|//|\*\*|<<|>>)?=(?!=)\s*\S
    | {_NAME}(?:\s*\.\s*\w+)*\(.*\)(?:\.\w+\(.*\))*;?$ | [\]}})]+[;,)]*$
    | (?:if|while|for|foreach|switch|catch)\s*\(.*\)\s*(?:\{{.*|\w+.*;)?$ | .*\)\s*=>\s*.*
    | (?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+(?:TABLE|INDEX|VIEW|DATABASE)|ALTER\s+TABLE|DROP\s+TABLE|WITH)\b
      (?=.*(?:\b(?:FROM|VALUES|SET|ADD|AS|ON|EXISTS|COLUMN)\b|[;*(])).*
    | (?:FROM|WHERE|GROUP\s+BY|ORDER\s+BY|HAVING|LIMIT|VALUES|SET|(?:LEFT|RIGHT|INNER|OUTER)?\s*JOIN|UNION)\s+\S.*
    | (?:>>>|\.\.\.)\s
    | (?:FROM|RUN|CMD|COPY|WORKDIR|ENTRYPOINT|EXPOSE|ENV)\s+\S+
    | Traceback\s\(most | File\s"[^"]+",\sline\s\d+ | \w*(?:Error|Exception):\s | at\s[\w.$<>]+\([^)]*\)
    | [.#]?[\w-]+(?:(?:[ ]*[,>+~][ ]*|[ ]+)[.#]?[\w-]+)*[ ]*\{{.* | [a-z-]+\s*:\s*[^;{{}}]+;\s*$
    | select\s+[\w*,.()\s]+\sfrom\s+\w+(?:\s*;|\s+where\s+.*[=<>].*)
    )""",
    re.VERBOSE,
)
# Lines that no sentence is built like, however many words they hold.
_STRONG = re.compile(
    rf"""^\s*(?:
      (?:async\s+)?def\s+{_NAME}\s*\(.* | for\s+[\w,\s()]+\s+in\s+.*:\s*$ | except\b[\w\s,.()]*:\s*$ | with\s+.*\(.*:\s*$
    | (?:if|elif|while)\s.*(?:[=<>()\[\]]|\b(?:not|in|is)\b).*:\s*$
    | {_NAME}(?:\.\w+|\[[^\]]*\])*(?:\s*,\s*{_NAME})*\s*(?:[-+*/%|&^])?=(?!=)\s*[^\u4e00-\u9fff]*$
    | ["\w]+\s+(?:TEXT|INTEGER|INT|BIGINT|REAL|NUMERIC|DECIMAL|FLOAT|DOUBLE|VARCHAR|CHAR|DATE|DATETIME|TIMESTAMP|BOOLEAN|BLOB|SERIAL)
      \b[^.?!]*[,)]?$ | (?:PRIMARY|FOREIGN)\s+KEY\b.* | (?:PARTITION|ORDER|GROUP)\s+BY\b.*
    )""",
    re.VERBOSE,
)
_COMMAND = re.compile(
    r"""^\s*(?:\$\s+)?(?:sudo\s+)?(?:
      (?:git|docker|kubectl|npm|npx|yarn|pip3?|conda|apt(?:-get)?|brew|cargo|systemctl|helm|terraform)\s+(?:-{1,2}\w|[a-z-]+(?:\s|$))
    | (?:curl|wget|ssh|scp|chmod|chown|mkdir|rm|cp|mv|ls|cd|cat|grep|sed|awk|tar|make|python3?|node|java|javac|gcc|go|echo|export
      |rsync|find|ps|kill|head|tail|sort|uniq|wc|ping)\s+(?:\S+\s+)?(?:-{1,2}[A-Za-z]|[\w~.-]*/[\w~.-]|\S+\s*(?:\||&&|>)\s|https?:|\$)
    )""",
    re.VERBOSE,
)
_KEY = re.compile(
    r"^\s*(?:-\s+)?[\"']?[A-Za-z_][\w.-]*[\"']?\s*:(?:\s+\S.*)?$"
)  # YAML, one line by itself says nothing
_REGEX = re.compile(r"^(?=.*[\\^$])(?=.*[*+?\]])[^\s\u4e00-\u9fff]{6,}$")
_HAN = re.compile(r"[\u3400-\u9fff]")
_WORDS = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")


def is_code(text: str) -> bool:
    """True when `text` has code and no sentence beside it; comments, doc strings and string values are code's own."""
    outside = FENCE.sub("\n", text) if "```" in text else text
    fenced = outside != text
    if fenced and not re.search(r"\w", outside):
        return True
    if fenced or not (_MARKS.search(text) or "\n" in text or " " in text):
        return False
    text = text.strip()
    if not re.search(r"\w", text):
        return False
    if _is_data(text) or text.startswith("Traceback (most recent"):
        return True
    if _is_formula(text):
        return False
    if _REGEX.match(text) and "://" not in text:
        return True
    lines = [line for line in _DOC.sub(" 0 ", text).splitlines() if line.strip()]
    code = marked = other = keys = prose = 0
    for number, line in enumerate(lines):
        if _COMMENT.match(line) and line.lstrip()[0] in "#/-;%" and len(lines) > 1:
            continue
        bare = _COMMENT.sub("", _STRING.sub('""', line[:300])).rstrip() or '""'
        if _is_code_line(bare):
            code += 1
        elif _prose(bare) or len(_HAN.findall(bare)) >= 2:
            if number in (0, len(lines) - 1):
                return False
            prose += 1
        elif (_KEY.match(line) or re.match(r"\s*-\s+\S+$", line)) and not line.strip(" -")[0].isupper():
            keys += 1
        elif len(_MARKS.findall(bare)) >= 0.1 * len(bare.strip()):
            marked += 1
        elif bare.strip() not in ("0", '""'):
            other += 1
    if prose and (code < 8 or prose > 0.1 * code):  # a line of a long program may read like a sentence
        return False
    if keys >= 2 and code + marked + other == 0:
        return _is_yaml(text)
    return code >= 1 and code + marked + keys >= 2 * other


def _is_code_line(line: str) -> bool:
    if _COMMAND.match(line) and not _SENTENCE_END.search(line):
        return True
    if _STRONG.match(line) and not _SENTENCE_END.search(line):
        return True
    if _LINE.match(line):
        return not _prose(line)
    return line[-1] in ";{" and line.isascii() and bool(re.search(r"\w", line)) and len(_running(line)) <= 2


def _prose(line: str) -> bool:
    """A sentence: Chinese outside strings and names, or words in a row that no code has."""
    if "<" in line:
        line = re.sub(r"<[^<>]*>[^<>]*(?=</)|</?[^<>]*>", " ", line)
    if re.search(r"[。？！]|[\u3400-\u9fff][，：、；]", line):
        return True
    if re.search(r"(?:^|\s)(?:SELECT|UPDATE|INSERT|DELETE|CREATE|ALTER)\s", line):
        return False
    if len(_HAN.findall(line)) >= 4 and not re.search(r"[=(){};]", line):
        return True
    running = _running(line)
    return len(running) >= 4 and len(running) > 2 * len(_MARKS.findall(line)) and not _KEYWORD.match(line)


_KEYWORD = re.compile(
    r"\s*(?:from\s+\S+\s+import|import|return|for\s+\w+\s+in|if|elif|while|public|private|raise|\w*(?:Error|Exception):|FROM|RUN"
    r"|CMD|(?:GROUP|ORDER) BY|WHERE|(?:LEFT |INNER |RIGHT )?JOIN|select)\b"
)
_SENTENCE_END = re.compile(r"[A-Za-z]{2}[.?!]$")


def _running(line: str) -> list[str]:
    """Words between spaces and punctuation of sentences."""
    words = re.findall(r"(?:(?<=\s)|^)[A-Za-z'’-]+(?=[\s,.?!:;]|$)", line)
    return [w for w in words if len(w) > 1 or w in "aI"]


def _is_formula(text: str) -> bool:
    """One equation: names of one or two letters, and a sign that an assignment of a plain value has not."""
    if "\n" in text or len(text) > 200:
        return False
    if text[0] == text[-1] == "$":
        return True
    names = re.findall(r"[A-Za-z]+", text)
    signs = "^+*/²³√(" if "=" in text else ""
    return (
        max(map(len, names), default=0) <= 2
        and any(c in text for c in signs)
        and not re.search(r"[;\[{\"']|[+*/]=", text)
    )


def _is_data(text: str) -> bool:
    """JSON with at least one key; a list of numbers or words is none."""
    if text[:1] not in "{[" or text[-1:] not in "}]" or ":" not in text:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return bool(re.match(r"[\[{]\s*[\"'][^\"'\n]+[\"']\s*:", text))
    return True


def _is_yaml(text: str) -> bool:
    """Keys in small letters, and either an indented level or values that are no words."""
    lines = [line for line in text.splitlines() if line.strip()]
    small = all(re.match(r"\s*(?:-\s+)?[\"']?[a-z_0-9]", line) for line in lines)
    return small and any(line[0] in " \t" for line in lines)
