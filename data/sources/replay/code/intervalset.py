"""A set of half-open intervals that keeps itself merged and sorted."""
from bisect import bisect_left, bisect_right


class IntervalSet:
    def __init__(self):
        self._starts = []
        self._ends = []

    def add(self, start, end):
        assert start < end, "an interval needs positive length"
        # Every stored span touching [start, end) lies in positions lo..hi-1.
        lo = bisect_left(self._ends, start)
        hi = bisect_right(self._starts, end)
        if lo < hi:
            start = min(start, self._starts[lo])
            end = max(end, self._ends[hi - 1])
        self._starts[lo:hi] = [start]
        self._ends[lo:hi] = [end]

    def __contains__(self, point):
        i = bisect_right(self._starts, point) - 1
        return i >= 0 and point < self._ends[i]

    def __iter__(self):
        return iter(zip(self._starts, self._ends))

    def gaps(self, start, end):
        """Yield the uncovered stretches between start and end."""
        cursor = start
        for a, b in self:
            if a >= end:
                break
            if a > cursor:
                yield cursor, a
            cursor = max(cursor, b)
        if cursor < end:
            yield cursor, end


booked = IntervalSet()
for slot in [(9, 10), (13, 15), (10, 11), (14, 16)]:
    booked.add(*slot)
print(list(booked), 10 in booked, 12 in booked)
print("free:", list(booked.gaps(8, 18)))
