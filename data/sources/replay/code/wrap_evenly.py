"""Wrap a paragraph so that ragged space is spread evenly over its lines."""
from functools import cache


def wrap_evenly(text, width):
    words = text.split()
    offsets = [0]
    for word in words:
        offsets.append(offsets[-1] + len(word))

    def slack(i, j):
        """Columns left over when words i..j-1 share one line."""
        return width - (offsets[j] - offsets[i] + (j - i - 1))

    @cache
    def best(i):
        if i == len(words):
            return 0, i
        choices = []
        for j in range(i + 1, len(words) + 1):
            spare = slack(i, j)
            if spare < 0 and j > i + 1:
                break
            if j == len(words) and spare >= 0:
                penalty = 0  # the last line may be as short as it likes
            else:
                penalty = spare ** 2 if spare >= 0 else 10 ** 6
            choices.append((penalty + best(j)[0], j))
        return min(choices)

    i = 0
    while i < len(words):
        j = best(i)[1]
        yield " ".join(words[i:j])
        i = j


PARAGRAPH = ("A greedy formatter fills each line to the brim and leaves the "
             "leftovers to chance, whereas a patient one looks ahead before "
             "deciding where to turn the corner.")
for line in wrap_evenly(PARAGRAPH, 34):
    print(f"|{line:<34}|")
