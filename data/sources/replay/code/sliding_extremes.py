"""单调队列求滑动窗口极值，每个元素至多进出队列一次，总耗时线性。"""
from collections import deque


def sliding_extremes(values, size):
    """逐窗产出（最小值，最大值）。队列里存下标，便于判断是否过期。"""
    if size <= 0:
        raise ValueError("窗口长度必须为正")
    highs, lows = deque(), deque()
    for i, v in enumerate(values):
        # 比新来者小的，再也没有机会当最大值
        while highs and values[highs[-1]] <= v:
            highs.pop()
        while lows and values[lows[-1]] >= v:
            lows.pop()
        highs.append(i)
        lows.append(i)
        start = i - size + 1
        if highs[0] < start:
            highs.popleft()
        if lows[0] < start:
            lows.popleft()
        if start >= 0:
            yield values[lows[0]], values[highs[0]]


if __name__ == "__main__":
    # 某水文站逐时水位，单位厘米；六小时内涨落超过四十就提醒
    levels = [212, 215, 214, 220, 231, 247, 258, 256, 249, 240, 236, 235]
    for hour, (low, high) in enumerate(sliding_extremes(levels, 6), start=5):
        flag = " 注意" if high - low > 40 else ""
        print(f"截至 {hour:02d} 时：{low}～{high}{flag}")
