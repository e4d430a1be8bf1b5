"""Adaptive Simpson quadrature: spend samples only where the curve bends."""
import math


def integrate(f, a, b, tolerance=1e-9):
    calls = 0

    def g(x):
        nonlocal calls
        calls += 1
        return f(x)

    def simpson(fa, fm, fb, width):
        return width / 6 * (fa + 4 * fm + fb)

    def refine(a, fa, m, fm, b, fb, whole, eps, depth):
        lm, rm = (a + m) / 2, (m + b) / 2
        flm, frm = g(lm), g(rm)
        left = simpson(fa, flm, fm, m - a)
        right = simpson(fm, frm, fb, b - m)
        error = left + right - whole
        if depth == 0 or abs(error) <= 15 * eps:
            # Richardson's correction comes free with the estimate.
            return left + right + error / 15
        return (refine(a, fa, lm, flm, m, fm, left, eps / 2, depth - 1)
                + refine(m, fm, rm, frm, b, fb, right, eps / 2, depth - 1))

    m = (a + b) / 2
    fa, fm, fb = g(a), g(m), g(b)
    area = refine(a, fa, m, fm, b, fb, simpson(fa, fm, fb, b - a), tolerance, 40)
    return area, calls


if __name__ == "__main__":
    area, used = integrate(math.sin, 0, math.pi)
    print(f"sine arch   {area:.10f} in {used} calls")
    area, used = integrate(lambda x: 1 / (1e-4 + x * x), -1, 1)
    print(f"narrow peak {area:.8f} in {used} calls")
    print(f"exact peak  {200 * math.atan(100):.8f}")
