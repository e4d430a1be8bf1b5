"""Evaluate arithmetic written by people: a tokenizer plus shunting-yard."""
import operator
import re

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|(.))")
OPS = {"+": (1, operator.add), "-": (1, operator.sub),
       "*": (2, operator.mul), "/": (2, operator.truediv),
       "^": (4, operator.pow), "neg": (3, operator.neg)}


def evaluate(source):
    numbers, pending = [], []

    def reduce_top():
        name = pending.pop()
        right = numbers.pop()
        args = (right,) if name == "neg" else (numbers.pop(), right)
        numbers.append(OPS[name][1](*args))

    expect_operand = True
    for number, symbol in TOKEN.findall(source.strip()):
        if number:
            numbers.append(float(number))
            expect_operand = False
        elif symbol == "(":
            pending.append(symbol)
        elif symbol == ")":
            while pending[-1] != "(":
                reduce_top()
            pending.pop()
        elif symbol == "-" and expect_operand:
            pending.append("neg")  # prefix minus binds looser than power
        else:
            level = OPS[symbol][0] + (symbol == "^")  # right associative
            while pending and pending[-1] != "(" and OPS[pending[-1]][0] >= level:
                reduce_top()
            pending.append(symbol)
            expect_operand = True
    while pending:
        reduce_top()
    return numbers.pop()


for text in ("2 + 3 * 4", "-2 ^ 2", "2 ^ 3 ^ 2", "(1 - 7) / 4"):
    print(f"{text:>12} = {evaluate(text):g}")
