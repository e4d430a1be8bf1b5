"""Keys, tokens and passwords by the fixed forms that their makers publish, or by the word before them.

Forms: the patterns of GitHub secret scanning and of gitleaks' rules. A value that only shows what such a value looks
like ("sk-xxxx", "YOUR_API_KEY", Amazon's AKIAIOSFODNN7EXAMPLE) is no secret and stays.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from curation.repair.span import Span

_API_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])"  # Amazon
    r"|sk-(?:[a-z]{2,10}\d{0,2}-)*[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic and those who copied the form
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|[sr]k_live_[A-Za-z0-9]{16,}"  # Stripe
    r"|hf_[A-Za-z]{30,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|LTAI[A-Za-z0-9]{12,20}|SG\.[\w-]{22}\.[\w-]{43}"
    r")"
)
_AWS_SECRET = re.compile(r"(?i)aws.{0,20}secret.{0,20}?[:=]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])")
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}")
_BEARER = re.compile(r"(?i)\bbearer\s+([A-Za-z0-9._~+/-]{20,}=*)")
_NAMED = re.compile(
    r"(?i)(?:api[_ -]?key|secret(?:[_ -]?key)?|access[_ -]?key|(?:access|auth|refresh)[_ -]?token|token|密钥|令牌)"
    r"[\"']?\s*(?:[:=：]|=>|is|是|为)\s*[\"'“]?([A-Za-z0-9_\-+/.]{20,}=*)"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(.*?)(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.S,
)
_LONG = re.compile(r"[A-Za-z0-9_+/.-]{20}")
_PASSWORD = re.compile(
    r"(?i)(?:(?<![a-z])(?:password|passwd|passphrase|pwd)|密码|口令)[\"']?\s*(?:[:=：]|=>|(?:is|was|是|为)[:：]?(?=[\s\"'“A-Za-z0-9])"
    r"|(?P<bare>(?<=密码)(?=[A-Za-z0-9])))\s*"
    r"(?P<quote>[\"'“`]?)(?P<value>[!-~]{6,64})"
)
_IN_URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{1,64}:([^\s/@\"'<>]{3,128})@[\w.\[-]")
# One of these stands in every key; looking for them costs a microsecond, the pattern thirty.
_MARKS = (
    "sk-", "AKIA", "ASIA", "ABIA", "ACCA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AIza",
    "k_live_", "hf_", "npm_", "pypi-", "LTAI", "SG.",
)  # fmt: skip
_DUMMY = re.compile(
    r"(?i)x{4,}|example|your|dummy|placeholder|sample|redacted|fake|change-?me|\*{3}|\.{3}|…|abcdef|123456|0{6}|"
    r"<[a-z]|\{\{|\$\{|%s|p[a@]ss-?w[o0]rd|secret|qwerty|abc123|api[_-]?key|insert|replace|here$"
)
# A password that an assistant makes up on request is the answer, not a secret.
GENERATES = re.compile(
    r"(?i)(?:generat|creat|random|suggest|make up|come up with)\w*\b[^.\n]{0,40}\bpassw|passw\w*[^.\n]{0,20}\bgenerat|"
    r"(?:生成|随机|推荐|设计|新的?)[^。\n]{0,12}(?:密码|口令)|密码生成"
)
# The token with which jwt.io explains the format (sub 1234567890, name John Doe).
_JWT_IO = "eyJzdWIiOiIxMjM0NTY3ODkwI"


def find(text: str) -> Iterator[Span]:
    """Spans of the types api_key, token, private_key and password; not sorted, may overlap."""
    small = text.lower()
    if any(mark in text for mark in _MARKS):
        for match in _API_KEY.finditer(text):
            if not _DUMMY.search(match[0]) and len(set(match[0])) >= 8:
                yield Span("api_key", match.start(), match.end(), 1.0)
    if ("secret" in small or "key" in small or "token" in small or "密钥" in text or "令牌" in text) and _LONG.search(
        text
    ):
        for pattern, least in ((_AWS_SECRET, 4.0), (_NAMED, 3.5)):
            for match in pattern.finditer(text):
                if _random(match[1], least):
                    yield Span("api_key", match.start(1), match.end(1), 0.9)
    if "eyJ" in text:
        for match in _JWT.finditer(text):
            if _JWT_IO not in match[0] and not _DUMMY.search(match[0]):
                yield Span("token", match.start(), match.end(), 1.0)
    if "bearer" in small:
        for match in _BEARER.finditer(text):
            if _random(match[1], 3.5):
                yield Span("token", match.start(1), match.end(1), 0.9)
    if "-----BEGIN" in text:
        for match in _PRIVATE_KEY.finditer(text):
            body = re.sub(r"[^A-Za-z0-9+/=]", "", match[1])
            if len(body) >= 64 and "..." not in match[1]:
                yield Span("private_key", match.start(), match.end(), 1.0)
    if ("passw" in small or "passphrase" in small or "pwd" in small or "密码" in text or "口令" in text) and (
        not GENERATES.search(text)
    ):
        yield from _passwords(text)
    if "://" in text and "@" in text:
        for match in _IN_URL.finditer(text):
            if not _DUMMY.search(match[1]) and not re.fullmatch(r"[<{$%].*|pass\w*|pwd|\*+", match[1], re.I):
                yield Span("password", match.start(1), match.end(1), 0.98)  # surer than the e-mail it seems to begin


def _passwords(text: str) -> Iterator[Span]:
    for match in _PASSWORD.finditer(text):
        opened, value = match["quote"], match["value"]
        if opened:
            closing = {"“": "”"}.get(opened, opened)
            value = value.split(closing)[0] if closing in value else value
        else:
            value = re.split(r"[\"'`,;)\]}]|[.?!]$", value)[0]
            if re.match(r"[A-Za-z_][\w.]*[(\[]", match["value"]) or re.fullmatch(r"[a-z_]+(?:\.\w+)+", value):
                continue  # a call, an index or an attribute: code, not a password
        value = value.rstrip("([{")
        if len(value) < 6 or _DUMMY.search(value) or len(set(value)) < 5 or value[0] in "<{$%[(":
            continue
        kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^A-Za-z\d_.\-/]"))
        if match["bare"] is not None and kinds < 4:
            continue  # 密码Abc12345: nothing between the word and what may as well be a name
        if kinds >= 3 or (kinds == 2 and re.search(r"\d", value) and re.search("[A-Za-z]", value)):
            yield Span("password", match.start("value"), match.start("value") + len(value), 0.8)


def _random(value: str, least: float) -> bool:
    """True for a mix of letters and digits with at least so many bits a character (Shannon entropy of its characters)."""
    if _DUMMY.search(value) or not re.search(r"\d", value) or not re.search("[A-Za-z]", value):
        return False
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values()) >= least
