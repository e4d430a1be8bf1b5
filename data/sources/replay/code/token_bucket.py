"""令牌桶限流：桶里按固定速度补充令牌，请求来了取走若干，取不够就拒绝。"""
from dataclasses import dataclass, field


@dataclass
class TokenBucket:
    rate: float          # 每秒补充多少枚
    capacity: float      # 桶的容量，决定允许多大的突发
    tokens: float = field(init=False)   # 一开始就装满
    updated: float = 0.0

    def __post_init__(self):
        self.tokens = self.capacity

    def allow(self, now, cost=1.0):
        """时间由调用者传入，这样测试不必真的等待。"""
        elapsed = max(0.0, now - self.updated)
        self.tokens = min(self.capacity, self.tokens + elapsed * self.rate)
        self.updated = now
        if self.tokens >= cost:
            self.tokens -= cost
            return True
        return False

    def wait_time(self, cost=1.0):
        """还差多少秒才能攒够 cost 枚令牌。"""
        lack = cost - self.tokens
        return max(0.0, lack / self.rate)


if __name__ == "__main__":
    bucket = TokenBucket(rate=2.0, capacity=3.0)
    arrivals = [0.0, 0.1, 0.2, 0.3, 0.9, 2.5]
    for t in arrivals:
        verdict = "放行" if bucket.allow(t) else "拒绝"
        print(f"{t:4.1f} 秒 {verdict}，余 {bucket.tokens:.2f}，"
              f"再等 {bucket.wait_time():.2f} 秒")
