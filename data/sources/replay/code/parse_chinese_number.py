"""把“三万零五十”这样的中文数字读成整数，支持到亿级。"""

DIGITS = {ch: i for i, ch in enumerate("零一二三四五六七八九")}
DIGITS["两"] = 2
DIGITS["〇"] = 0
SMALL = {"十": 10, "百": 100, "千": 1000}
LARGE = {"万": 10 ** 4, "亿": 10 ** 8}


def parse_chinese_number(text):
    total = 0      # 已经归入万、亿的部分
    section = 0    # 当前不满一万的一节
    digit = 0      # 刚读到、还没配上单位的数字
    for ch in text:
        if ch in DIGITS:
            digit = DIGITS[ch]
        elif ch in SMALL:
            # “十二”开头省略了“一”，要补上
            section += (digit or 1) * SMALL[ch]
            digit = 0
        elif ch in LARGE:
            section += digit
            if ch == "亿":
                total = (total + section) * LARGE[ch]
            else:
                total += section * LARGE[ch]
            section = digit = 0
        else:
            raise ValueError(f"不认识的字：{ch!r}")
    return total + section + digit


if __name__ == "__main__":
    samples = {"十二": 12, "三万零五十": 30050, "两千四百": 2400,
               "一亿零三百万": 103_000_000, "九百九十九": 999,
               "十五万六千零七": 156007}
    for word, expected in samples.items():
        value = parse_chinese_number(word)
        assert value == expected, (word, value)
        print(word, "=", value)
