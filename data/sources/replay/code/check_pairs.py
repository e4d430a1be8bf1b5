"""统计一部文稿里的成对标点是否配好，指出行号和列号。"""

PAIRS = {"（": "）", "《": "》", "“": "”", "「": "」", "【": "】"}
CLOSERS = {close: open_ for open_, close in PAIRS.items()}


def check_pairs(text):
    """用栈记住尚未合上的左标点，返回问题清单。"""
    problems, stack = [], []
    for row, line in enumerate(text.splitlines(), start=1):
        for col, ch in enumerate(line, start=1):
            if ch in PAIRS:
                stack.append((ch, row, col))
            elif ch in CLOSERS:
                if stack and stack[-1][0] == CLOSERS[ch]:
                    stack.pop()
                elif any(item[0] == CLOSERS[ch] for item in stack):
                    # 中间夹着没合上的，逐个报出来
                    while stack[-1][0] != CLOSERS[ch]:
                        mark, r, c = stack.pop()
                        problems.append((r, c, f"{mark}没有合上"))
                    stack.pop()
                else:
                    problems.append((row, col, f"{ch}缺少左半边"))
    problems += [(r, c, f"{mark}没有合上") for mark, r, c in stack]
    return sorted(problems)


if __name__ == "__main__":
    draft = "他翻开《水经注（残本），念道：“江水又东”。\n旁注】说此处有“脱文。"
    for row, col, message in check_pairs(draft):
        print(f"第{row}行第{col}字：{message}")
    assert check_pairs("（好《书》）") == []
