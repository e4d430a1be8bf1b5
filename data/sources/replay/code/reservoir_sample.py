"""蓄水池抽样：数据流有多长事先不知道，也能等概率留下 k 条。"""
import random
from collections import Counter


def reservoir_sample(stream, k, rng=random):
    kept = []
    for seen, item in enumerate(stream, start=1):
        if len(kept) < k:
            kept.append(item)
            continue
        # 第 seen 条以 k/seen 的概率入选，并随机顶掉一条旧的
        slot = rng.randrange(seen)
        if slot < k:
            kept[slot] = item
    return kept


def check_uniform(size, k, rounds, seed=7):
    """重复抽许多轮，看每个元素被抽中的频率与理论值差多远。"""
    rng = random.Random(seed)
    hits = Counter()
    for _ in range(rounds):
        hits.update(reservoir_sample(iter(range(size)), k, rng))
    expected = k / size
    worst = max(abs(hits[n] / rounds - expected) for n in range(size))
    return expected, worst


if __name__ == "__main__":
    lines = (f"第{n}条日志" for n in range(1, 10001))
    print(reservoir_sample(lines, 3, random.Random(2024)))
    theory, gap = check_uniform(size=20, k=5, rounds=20000)
    print(f"理论概率 {theory:.3f}，最大偏差 {gap:.4f}")
