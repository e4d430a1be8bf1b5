"""求方程的根：先用二分法稳住区间，能走牛顿步时就走牛顿步。"""
import math


def safe_newton(f, df, low, high, tol=1e-12, max_iter=100):
    """要求 f(low) 与 f(high) 异号，返回根的近似值和迭代次数。"""
    f_low, f_high = f(low), f(high)
    if f_low == 0:
        return low, 0
    if f_high == 0:
        return high, 0
    if f_low * f_high > 0:
        raise ValueError("区间两端函数值同号，无法保证有根")

    x = (low + high) / 2
    for step in range(1, max_iter + 1):
        fx = f(x)
        if fx == 0:
            return x, step
        # 用当前点收紧区间，根始终被夹在中间
        if fx * f_low < 0:
            high = x
        else:
            low, f_low = x, fx
        slope = df(x)
        candidate = x - fx / slope if slope else low
        # 牛顿步跑出区间，就退回二分
        if not low < candidate < high:
            candidate = (low + high) / 2
        if abs(candidate - x) < tol:
            return candidate, step
        x = candidate
    raise RuntimeError("迭代次数用尽仍未收敛")


if __name__ == "__main__":
    # 开普勒方程：由平近点角求偏近点角
    ecc, mean = 0.6, 1.0
    root, count = safe_newton(lambda e: e - ecc * math.sin(e) - mean,
                              lambda e: 1 - ecc * math.cos(e), 0.0, math.pi)
    print(f"偏近点角 {root:.10f}，用了 {count} 步")
