"""Bloom filter: answers 'certainly absent' or 'probably present' in few bits."""
import hashlib
import math


class BloomFilter:
    def __init__(self, expected, false_rate=0.01):
        self.size = math.ceil(-expected * math.log(false_rate) / math.log(2) ** 2)
        self.hashes = max(1, round(self.size / expected * math.log(2)))
        self.bits = bytearray((self.size + 7) // 8)

    def _positions(self, item):
        digest = hashlib.blake2b(item.encode(), digest_size=16).digest()
        first = int.from_bytes(digest[:8], "big")
        step = int.from_bytes(digest[8:], "big") | 1
        # Two hashes are enough; the rest are combinations of them.
        for i in range(self.hashes):
            yield (first + i * step) % self.size

    def add(self, item):
        for p in self._positions(item):
            self.bits[p >> 3] |= 1 << (p & 7)

    def __contains__(self, item):
        return all(self.bits[p >> 3] >> (p & 7) & 1 for p in self._positions(item))


if __name__ == "__main__":
    seen = BloomFilter(expected=5000, false_rate=0.02)
    for n in range(5000):
        seen.add(f"parcel-{n}")
    assert all(f"parcel-{n}" in seen for n in range(5000))
    wrong = sum(f"letter-{n}" in seen for n in range(20000))
    print(f"{len(seen.bits)} bytes, {seen.hashes} hashes")
    print(f"observed false positives: {wrong / 20000:.2%}")
