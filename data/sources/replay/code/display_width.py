"""在等宽终端里打印中英文混排的表格，汉字按两格计宽。"""
import unicodedata


def display_width(text):
    """全角与宽字符占两格，组合附标不占格，其余占一格。"""
    width = 0
    for ch in text:
        if unicodedata.combining(ch):
            continue
        width += 2 if unicodedata.east_asian_width(ch) in "WF" else 1
    return width


def pad(text, width, align="left"):
    gap = " " * (width - display_width(text))
    return gap + text if align == "right" else text + gap


def render(header, rows):
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(map(display_width, col)) for col in zip(*cells)]
    lines = []
    for index, row in enumerate(cells):
        parts = []
        for raw, width in zip(row, widths):
            # 纯数字靠右，便于比较大小
            numeric = raw.replace(".", "", 1).isdigit()
            parts.append(pad(raw, width, "right" if numeric else "left"))
        lines.append(" | ".join(parts).rstrip())
        if index == 0:
            lines.append("-+-".join("-" * w for w in widths))
    return "\n".join(lines)


if __name__ == "__main__":
    print(render(["品名", "产地", "单价"],
                 [["龙井", "杭州", 380], ["Darjeeling", "大吉岭", 265.5],
                  ["白毫银针", "福鼎", 1200]]))
