"""四阶龙格库塔法模拟狐狸与野兔的数量消长（洛特卡—沃尔泰拉模型）。"""


def rk4_step(f, t, y, h):
    """从 t 走一步 h，y 是各分量组成的元组。"""
    def shift(k, factor):
        return tuple(a + factor * b for a, b in zip(y, k))

    k1 = f(t, y)
    k2 = f(t + h / 2, shift(k1, h / 2))
    k3 = f(t + h / 2, shift(k2, h / 2))
    k4 = f(t + h, shift(k3, h))
    return tuple(a + h / 6 * (p + 2 * q + 2 * r + s)
                 for a, p, q, r, s in zip(y, k1, k2, k3, k4))


def predator_prey(t, state, birth=1.1, hunt=0.4, gain=0.1, death=0.4):
    hare, fox = state
    return (birth * hare - hunt * hare * fox,
            gain * hare * fox - death * fox)


def simulate(state, end, h=0.01):
    steps = round(end / h)
    history = [(0.0, *state)]
    for n in range(steps):
        state = rk4_step(predator_prey, n * h, state, h)
        history.append(((n + 1) * h, *state))
    return history


if __name__ == "__main__":
    track = simulate((10.0, 5.0), 20.0)
    for t, hare, fox in track[::200]:
        print(f"{t:5.1f}  兔 {hare:6.2f} {'*' * round(hare)}")
        print(f"       狐 {fox:6.2f} {'+' * round(fox)}")
    print("野兔峰值", round(max(row[1] for row in track), 2))
