"""Personal data of every country: e-mail, cards, IBAN, addresses on the net, phones; and the American social security number.

Each kind is looked for by a form of our own, tight enough to be cheap and to know Chinese from letters; what it finds
is put to presidio-analyzer's recogniser of that kind (checksums, country formats) or to phonenumbers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from curation.repair import pii_zh
from curation.repair.recognisers import recognised
from curation.repair.span import Span, luhn, near


def find(text: str, urls: bool) -> Iterator[Span]:
    """Spans of the types email, card, phone, ssn, iban, ip and, when asked for, url; not sorted, may overlap."""
    yield from _emails(text)
    yield from _numbers(text)
    if urls:
        yield from _urls(text)


# --- e-mail -----------------------------------------------------------------------------------------------------------
# presidio's own pattern takes Chinese for letters (请联系a@b.cn); it is asked about what stands between them.
_LATIN = "0-9A-Za-z\u00c0-\u024f\u0370-\u052f"
_EMAIL = re.compile(
    rf"(?<![{_LATIN}.%+_@/=-])[{_LATIN}.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@[{_LATIN}.-]+\.[{_LATIN}-]{{2,}}"
)
_NOBODY_DOMAIN = re.compile(
    r"(?i)(?:^|\.)(?:test|example|invalid|localhost|local)$|"  # RFC 2606, RFC 6761
    r"(?:^|\.)(?:example(?:\d|-\w+)?|test|sample|your-?\w+|my-?(?:domain|company|site|email)|domain|email|company|website)(?:\.[a-z]{2,3}){1,2}$"
)
_NOBODY = re.compile(
    r"(?i)^(?:your|my)?[._-]?(?:e?-?mail|user|name|username|address|someone|somebody|example|test|xxx+|recipient|sender|abc|foo|bar)$"
    r"|^.$|^your|^(?:no-?reply|do-?not-?reply|postmaster|mailer-daemon|git)$"
)


def _emails(text: str) -> Iterator[Span]:
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        start, value = match.start(), match[0].rstrip(".-")
        bare = value.lstrip("'`*_{|/=?.!#$%&+~^-") if value[0] not in "_" else value.lstrip("_*")
        start += len(value) - len(bare)
        local, _, domain = bare.partition("@")
        if not local or ".." in bare or _NOBODY_DOMAIN.search(domain) or _NOBODY.search(local):
            continue
        if recognised("email", bare):
            yield Span("email", start, start + len(bare), 0.97)


# --- cards ------------------------------------------------------------------------------------------------------------
_CARD = (
    r"(?<![\d.,\-/=+*_A-Za-z])(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5}"
    r"|\d{6}([ -])\d{13})(?![\d_A-Za-z]|[.,\-/]\d)"
)
_CARDS = re.compile(_CARD)
# First digits: Visa, Mastercard, American Express, Diners, Discover, JCB (with its old 15 digits), UnionPay, Maestro.
_CARD_BRAND = re.compile(
    r"4\d{12}(?:\d{3}|\d{6})?$|5[1-5]\d{14}$|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}$|3[47]\d{13}$|"
    r"3(?:0[0-5]|[689]\d)\d{11}(?:\d{2})?$|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?$|(?:2131|1800)\d{11}$|35\d{14}(?:\d{3})?$|"
    r"(?:62|81)\d{14,17}$|(?:5[06-9]|6\d)\d{10,17}$|9\d{15,18}$"
)
_CARD_WORDS = re.compile(
    r"(?i)(?<![a-z])(?:card|cc|visa|amex|american express|mastercard|maestro|unionpay|credit|debit)(?![a-z])"
    r"|卡号|银行卡|信用卡|储蓄卡|借记卡|银联|银行账[号户]|收款账[号户]|卡[:：是为]|这张卡|那张卡|的卡|转账|汇款|打款|还款|押金|开户|[工农中建交招]行"
)


def _cards(text: str) -> Iterator[Span]:
    for match in _CARDS.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if len(set(digits)) < 3 or not _CARD_BRAND.match(digits) or not luhn(digits):
            continue
        grouped = len(digits) != len(match[0]) and len(digits) >= 15
        said = near(text, match.start(), match.end(), _CARD_WORDS, before=40, after=15)
        if (said or grouped) and recognised("card", match[0]):
            yield Span("card", match.start(), match.end(), 0.95)


# --- bank accounts, addresses on the net ------------------------------------------------------------------------------
_IBAN = re.compile(r"(?i)(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8}(?![A-Z0-9])")
_IPV4 = re.compile(r"(?<![0-9A-Za-z_.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z_]|\.\d)")
_IPV6 = re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z_:])")
_IP_WORDS = re.compile(
    r"(?i)(?<![a-z])(?:ip|ipv[46]|ips|server|client|host|address|ping|dns|gateway|ssh|login|client_ip)(?![a-z])"
    r"|地址|服务器|登录|网关|主机"
)
_VERSION = re.compile(
    r"(?i)(?:\bv|version|ver\.?|release|build|firmware|driver|chrome/|safari/|版本号?|固件|驱动|章节|第|section|§)\s*[:：是为]?\s*$"
)
# Public resolvers, in every tutorial.
_RESOLVERS = frozenset(
    ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "114.114.114.114", "223.5.5.5", "223.6.6.6", "119.29.29.29")
)


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        value = match[0]
        # The form runs on into the next words: shortened group by group until country, length and checksum agree.
        while len(value) >= 15:
            if recognised("iban", value.upper() if value.isascii() else value):
                yield Span("iban", match.start(), match.start() + len(value), 1.0)
                break
            shorter = re.sub(r"(?:[ -][A-Za-z0-9]+)\Z", "", value)
            if shorter == value:
                break
            value = shorter


def _ips(text: str) -> Iterator[Span]:
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - 16) : match.start()]
        parts = [int(part) for part in match[0].split(".")]
        if max(parts) > 255 or match[0] in _RESOLVERS or _VERSION.search(before):
            continue
        said = near(text, match.start(), match.end(), _IP_WORDS, before=30, after=10)
        if (max(parts) >= 20 or said) and _is_public(match[0]) and recognised("ip", match[0]):
            yield Span("ip", match.start(), match.end(), 0.95)
    if text.count(":") >= 2:
        for match in _IPV6.finditer(text):
            value = match[0]
            groups = [g for g in value.split(":") if g]
            if len(groups) < 3 or not _is_public(value):
                continue
            said = near(text, match.start(), match.end(), _IP_WORDS, before=30, after=10)
            sure = len(groups) == 8 or re.match(r"(?i)2[0-9a-f]{3}:", value)  # 2000::/3, what is handed out today
            if (said or sure) and any(len(g) >= 3 for g in groups) and recognised("ip", value):
                yield Span("ip", match.start(), match.end(), 0.95)


def _is_public(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if address.version == 6 and address not in ipaddress.ip_network("2000::/3"):
        # Not handed out (yet), but a whole address is meant as one; local, private and documentation ranges are not.
        return not (address.is_link_local or address.is_multicast or address.is_loopback or address.is_unspecified or
                    address in ipaddress.ip_network("fc00::/7"))  # fmt: skip
    return address.is_global and not address.is_multicast


def _urls(text: str) -> Iterator[Span]:
    if "://" in text or "www." in text.lower():
        for match in _URL.finditer(text):
            value = match[0].rstrip(".,;:!?'*_~")
            if value.count("(") < value.count(")"):
                value = value.rstrip(")")
            if recognised("url", value):
                yield Span("url", match.start(), match.start() + len(value), 0.7)


_URL = re.compile(r"(?i)(?<![A-Za-z0-9])(?:https?://|www\.)[!-;=?-\[\]_a-z~]+")

# --- phones, social security --------------------------------------------------------------------------------------------
_PHONE = re.compile(
    r"(?<![0-9A-Za-z_.+=*/#$€£¥-])(?<!\d,)(?:\+|\(\+?)?\d(?:[ .\-/]?\(?\d\)?){5,16}(?:\s?(?:x|ext\.?|extension)\s?\d{1,5})?"
    r"(?![0-9A-Za-z_%°$€£¥]|[.,:/-]\d|-[A-Z]{2,}\d)"
)
_NORTH_AMERICAN = re.compile(r"(?:\+?1[-. ]|001[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:\s?(?:x|ext).*)?$")
_PHONE_WORDS = re.compile(
    r"(?i)(?<![a-z])(?:phones?|tel|telephone|telefon|cell|mobile|fax|desk|call|calling|dial|text me|whatsapp|sms|contact|reach"
    r"|answering|messages?|registered|office|(?:home|work):|(?:my|his|her|their|new|contact) number)(?![a-z])"
    r"|电话|手机|联系方式|传真|座机|致电|拨打"
)
_PHONE_AFTER = re.compile(r"(?i)^[\s-]*(?:fax|office|mobile|home|work|cell|phone|desk)\b")
_NOT_PHONE = re.compile(
    r"(?i)(?:order|invoice|tracking|serial|account|ticket|case|model|item|part|zip|isbn|id|ref(?:erence)?|licen[cs]e|route|box|card|"
    r"ssn|security|number of \w+|订单|编号|单号|账号|学号)\w*(?:\s+(?:number|no\.?|num|is|#|号))*\s*[:#=：是为]?\s*$"
)
_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d|(?:19|20)\d\d ?- ?(?:19|20)\d\d"
)
_FICTION = re.compile(r"555[-. ]?01\d\d")  # kept for films and books by the North American Numbering Plan
# Where the numbers of a chat in Chinese or English come from; a local form is only a number if one of these has it.
REGIONS = (
    "US", "CA", "GB", "AU", "NZ", "IE", "ZA", "IN", "SG", "HK", "TW", "MY", "PH", "JP", "KR", "DE", "FR", "IT", "ES", "PT", "NL",
    "BE", "CH", "AT", "SE", "NO", "DK", "FI", "IS", "PL", "CZ", "HU", "SI", "GR", "CY", "TR", "RU", "UA", "IL", "BR", "MX", "UY",
)  # fmt: skip
_SSN = re.compile(r"(?<![\d-])\d{3}([- ])\d{2}\1\d{4}(?![\d-])")
_SSN_WORDS = re.compile(r"(?i)(?<![a-z])ssn(?![a-z])|social.security|社会安全号|社安号")


def _phones(text: str) -> Iterator[Span]:
    """Numbers abroad; Chinese ones are found by `pii_zh`. An international or North American form needs no context word."""
    for match in _PHONE.finditer(text):
        value, start, end = match[0], match.start(), match.end()
        digits = re.sub(r"\D", "", re.split(r"(?i)\s?(?:x|ext)", value)[0])
        before = text[max(0, start - 30) : start]
        if not 7 <= len(digits) <= 15 or _DATE.fullmatch(value) or _FICTION.search(value) or _NOT_PHONE.search(before):
            continue
        if (
            len(set(digits)) < 3
            or digits in "012345678901234567890"
            or pii_zh.PUBLIC_LINE.search(text[max(0, start - 40) : end + 20])
        ):
            continue
        if pii_zh.NOT_A_PHONE_AFTER.match(text[end : end + 4]):
            continue
        said = near(text, start, end, _PHONE_WORDS, before=40) or _PHONE_AFTER.match(text[end : end + 12])
        form = value.startswith(("+", "(+")) or _NORTH_AMERICAN.fullmatch(value)
        if (said or form) and _is_phone(value, bool(said)):
            yield Span("phone", start, end, 0.85 if form else 0.6)


def _is_phone(value: str, said: bool) -> bool:
    """Valid by its country code or in one of REGIONS, and not free to call: those belong to firms and help lines."""
    import phonenumbers

    regions: tuple[str | None, ...] = (None,) if value.startswith("+") else ("US", *(REGIONS if said else ()))
    for region in regions:
        try:
            number = phonenumbers.parse(value.removeprefix("00") if region is None else value, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) or (
            said and region is None and phonenumbers.is_possible_number(number)
        ):
            kind = phonenumbers.number_type(number)
            return kind not in (phonenumbers.PhoneNumberType.TOLL_FREE, phonenumbers.PhoneNumberType.PREMIUM_RATE)
    return False


def _ssns(text: str) -> Iterator[Span]:
    for match in _SSN.finditer(text):
        if near(text, match.start(), match.end(), _SSN_WORDS, before=40, after=20) and recognised("ssn", match[0]):
            yield Span("ssn", match.start(), match.end(), 0.95)


def _numbers(text: str) -> Iterator[Span]:
    """Every kind made of digits, behind one cheap question."""
    if pii_zh.SEVEN_DIGITS.search(text):
        yield from _cards(text)
        yield from _phones(text)
        yield from _ssns(text)
    if _FOUR_DIGITS.search(text):
        yield from _ibans(text)
    if _DOTTED.search(text) or "::" in text or _COLONS.search(text):
        yield from _ips(text)


_FOUR_DIGITS = re.compile("[0-9]{4}[ -]?[0-9A-Z]{2}")  # in every IBAN: account numbers are digits, in groups of four
_DOTTED = re.compile(r"\.[0-9]{1,3}\.[0-9]")
_COLONS = re.compile(":[0-9A-Fa-f]{1,4}:")
