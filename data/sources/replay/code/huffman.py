"""Huffman coding: build a prefix code from letter counts and use it."""
import heapq
from collections import Counter
from itertools import count


def build_code(text):
    tick = count()  # breaks ties so the heap never compares trees
    heap = [(n, next(tick), letter) for letter, n in Counter(text).items()]
    heapq.heapify(heap)
    if len(heap) == 1:
        return {heap[0][2]: "0"}
    while len(heap) > 1:
        n1, _, left = heapq.heappop(heap)
        n2, _, right = heapq.heappop(heap)
        heapq.heappush(heap, (n1 + n2, next(tick), (left, right)))

    code = {}
    stack = [(heap[0][2], "")]
    while stack:
        tree, bits = stack.pop()
        if isinstance(tree, tuple):
            stack.append((tree[0], bits + "0"))
            stack.append((tree[1], bits + "1"))
        else:
            code[tree] = bits
    return code


def decode(bits, code):
    lookup = {v: k for k, v in code.items()}
    letters, chunk = [], ""
    for bit in bits:
        chunk += bit
        if chunk in lookup:
            letters.append(lookup[chunk])
            chunk = ""
    return "".join(letters)


message = "she sells sea shells on the seashore"
table = build_code(message)
packed = "".join(table[ch] for ch in message)
assert decode(packed, table) == message
print(f"{len(message) * 8} bits as bytes, {len(packed)} bits packed")
