"""Personal numbers of mainland China: checksums where the standard has one, context words where the form is common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from curation.repair.span import Span, near

SEVEN_DIGITS = re.compile(r"[0-9](?:[ .()/-]{0,2}[0-9]){6}")
PUBLIC_LINE = re.compile(r"热线|求助|危机|援助|hotline|helpline|lifeline|crisis", re.I)
NOT_A_PHONE_AFTER = re.compile(r"\s*(?:[=+*/×÷^<>≈%]|元|人|个|万|亿|次|吨|米|公里|千克|公斤|美元|块|年|字节)")

# GB/T 2260: the first two digits of a division.
_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83".split()
)
_ID_CARD = re.compile(r"(?<![0-9A-Za-z.])([1-9]\d{5})( ?)((?:18|19|20)\d{6})\2(\d{3}[0-9Xx])(?![0-9A-Za-z])")
_OLD_ID_CARD = re.compile(r"(?<![0-9A-Za-z.])[1-9]\d{5}(\d{2})(\d{2})(\d{2})\d{3}(?![0-9A-Za-z])")
_ID_WORDS = re.compile(r"身份证|身份號|身份号|证件号|证号|\bID (?:card|number|no)", re.I)

_MOBILE = re.compile(
    r"(?<![0-9A-Za-z.+\-_/=])(?:(?:\+|00)?86[ -]?|[(（]\+?86[)）] ?)?1[3-9]\d(?:\d{8}|([ -])\d{4}\1\d{4})(?![0-9A-Za-z_]|[.\-/]\d)"
)
_LANDLINE = re.compile(
    r"(?<![0-9A-Za-z.+\-_/])(?:(?:\+?86[ -]?)?(?:[(（](?:0(?:10|2\d|[3-9]\d{2}))[)）] ?|0(?:10|2\d|[3-9]\d{2})[- ])"
    r"|(?:\+|00)?86[ -]?(?:10|2\d|[3-9]\d{2})[- ])[2-9](?:\d{6,7}|\d{2,3} \d{4})"
    r"(?:-\d{1,5}|转\d{1,5})?(?![0-9A-Za-z_]|[.\-/]\d)"
)
_NOT_A_PHONE_BEFORE = re.compile(
    r"(?:[=+\-*/×÷^<>≈$¥￥€£]|订单号?|单号|编号|流水号?|序列号|学号|工号|代码|order|No\.?|#|id)\s*[:：是为]{0,2}\s*$",
    re.I,
)

_PASSPORT = re.compile(
    r"(?:护照|護照|passport)(?:号码?|號碼?|[ _-]?(?:number|no\.?|num))?[^\n。;；,，A-Za-z0-9]{0,4}(?:is|号码|是|为)?\s*[:：#]?\s*"
    r"((?:[EeDdSsPpGgHhMm]\d{8}|[Ee][A-HJ-NP-Za-hj-np-z]\d{7}|[A-Z]{1,2}\d{6,8}|\d{9}))(?![0-9A-Za-z])",
    re.I,
)
# The new and the common old form say enough to stand some words away from the word.
_PASSPORT_FAR = re.compile(
    r"(?:护照|護照|passport)[^\n。;；A-Za-z0-9]{0,24}(E[A-HJ-NP-Z]\d{7}|[EG]\d{8})(?![0-9A-Za-z])", re.I
)
_PLATE = re.compile(
    r"(?<![0-9A-Za-z])[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•‧ -]?"
    r"(?:[DF][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF]|[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9学警挂港澳])(?![0-9A-Za-z])"
)
_COMPANY = re.compile(r"(?<![0-9A-Za-z])[1-9AN][0-9]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])")
_COMPANY_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015, without I O S V Z
_COMPANY_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714, characters 9 to 16

_QQ = re.compile(
    r"(?:(?<![A-Za-z])QQ|(?<![A-Za-z])Q(?=群)|扣扣|企鹅号)(?:群|号|號|号码|账号|帐号|群号|number|[/、和]微信号?){0,3}\s*(?:[:：]|是|为|[换改]成了?|改为|is)?\s*[:：]?\s*"
    # A count is no number: 12000人, 20000多个.
    r"([1-9]\d{4,10})(?![0-9A-Za-z.@%]|\s*[多余]?(?:人(?!工)|个|名(?!字|为|叫)|元|块|万|亿|次|条|年|版|级|款|台|份|倍|天(?!天)|位(?!置)))",
    re.I,
)
_WECHAT = re.compile(
    r"(微信(?:号码?|账号|帐号|ID)?|(?<![A-Za-z])(?:WeChat(?:[ _]?ID)?|VX|WX|V信))"
    r"\s*(?:([:：]|是|为|号|加|叫|\bis\b)\s*[:：]?|[(]| |[^\n。A-Za-z0-9]{1,9}[是为叫:：])?\s*"
    r"([A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_.@-]|\s*(?:版|端|系统|平台|=))",
    re.I,
)
# Systems, devices and programs that stand beside the word as often as names do.
_PRODUCT = re.compile(
    r"(?:Windows|Win|Android|iOS|iPadOS|iPhone|iPad|MacBook|macOS|HarmonyOS|EMUI|MIUI|ColorOS|OriginOS|Linux|Ubuntu|Xiaomi|Redmi|"
    r"Huawei|Honor|OPPO|Galaxy|Chrome|Python|Node|version|beta|build)[_-]?v?\d{1,4}(?:[_-]?(?:Pro|Plus|Max|Ultra|Mini|SE|beta|x?64|[a-z]))*",
    re.I,
)


def find(text: str) -> Iterator[Span]:
    """Spans of the types id_card, phone, passport, plate, company_code, qq and wechat; not sorted, may overlap."""
    small = text.lower()
    if SEVEN_DIGITS.search(text):
        yield from _id_cards(text)
        yield from _phones(text)
        for match in _COMPANY.finditer(text):
            if company_code(match[0]):
                yield Span("company_code", match.start(), match.end(), 1.0)
    if "护照" in text or "護照" in text or "passport" in small:
        for pattern in (_PASSPORT, _PASSPORT_FAR):
            for match in pattern.finditer(text):
                yield Span("passport", match.start(1), match.end(1), 0.9)
    if not text.isascii():
        for match in _PLATE.finditer(text):
            if sum(c.isdigit() for c in match[0]) >= 3:
                yield Span("plate", match.start(), match.end(), 0.9)
    if "qq" in small or "q群" in small or "扣扣" in text or "企鹅号" in text:
        for match in _QQ.finditer(text):
            yield Span("qq", match.start(1), match.end(1), 0.92)
    if "微信" in text or "v信" in small or "wechat" in small or "vx" in small or "wx" in small:
        for match in _WECHAT.finditer(text):
            name = match[3]
            # Latin words need something between: they begin other words as well (vxlan100, wxconfig99).
            if (match[1][-1].isascii() and match.end(1) == match.start(3)) or _PRODUCT.fullmatch(name):
                continue
            if match[1].lower() in ("vx", "wx") and name.replace("-", "").isalpha():  # wx:for-index
                continue
            said = "号" in match[0] or "ID" in match[0].upper()
            # Without a colon or a verb before it, only what no word looks like.
            if (not name.isalpha() or said) if match[2] else sum(c.isdigit() for c in name) >= 2:
                yield Span("wechat", match.start(3), match.end(3), 0.85)


def id_card(number: str) -> bool:
    """True when province, date of birth and check digit of an 18-digit number hold (GB 11643-1999, ISO 7064 MOD 11-2)."""
    if number[:2] not in _PROVINCES or not _is_date(number[6:10], number[10:12], number[12:14]):
        return False
    total = sum(
        int(d) * w for d, w in zip(number[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)
    )
    return "10X98765432"[total % 11] == number[17].upper()


def company_code(code: str) -> bool:
    """True when both check characters of a unified social credit code hold (GB 32100-2015 and GB 11714 within it)."""
    values = [_COMPANY_LETTERS.index(c) for c in code]
    if (31 - sum(v * w for v, w in zip(values[:17], _COMPANY_WEIGHTS, strict=True)) % 31) % 31 != values[17]:
        return False
    # Within the organisation code a letter counts 10 for A to 35 for Z; the check character X stands for 10.
    inner = 11 - sum(int(c, 36) * w for c, w in zip(code[8:16], _ORGANISATION_WEIGHTS, strict=True)) % 11
    return code[16] == {10: "X", 11: "0"}.get(inner, str(inner))


def _id_cards(text: str) -> Iterator[Span]:
    for match in _ID_CARD.finditer(text):
        if id_card(match[1] + match[3] + match[4]):
            yield Span("id_card", match.start(), match.end(), 1.0)
    for match in _OLD_ID_CARD.finditer(text):
        dated = match[0][:2] in _PROVINCES and _is_date("19" + match[1], match[2], match[3])
        if dated and near(text, match.start(), match.end(), _ID_WORDS, before=20, after=8):
            yield Span("id_card", match.start(), match.end(), 0.95)


def _phones(text: str) -> Iterator[Span]:
    for pattern in (_MOBILE, _LANDLINE):
        for match in pattern.finditer(text):
            start, end = match.span()
            if _NOT_A_PHONE_BEFORE.search(text[max(0, start - 12) : start]) or NOT_A_PHONE_AFTER.match(
                text[end : end + 4]
            ):
                continue
            if not near(text, start, end, PUBLIC_LINE, before=20, after=10):
                yield Span("phone", start, end, 0.9)


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return date(int(year), int(month), int(day)) <= date(2099, 12, 31)
    except ValueError:
        return False
