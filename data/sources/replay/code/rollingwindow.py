"""A fixed-size ring buffer with running mean and variance (no rescans)."""


class RollingWindow:
    def __init__(self, size):
        self._slots = [0.0] * size
        self._next = 0
        self._filled = 0
        self.mean = 0.0
        self._m2 = 0.0  # sum of squared distances from the mean

    def push(self, value):
        size = len(self._slots)
        old_mean = self.mean
        if self._filled < size:
            self._filled += 1
            self.mean += (value - old_mean) / self._filled
            self._m2 += (value - old_mean) * (value - self.mean)
        else:
            leaving = self._slots[self._next]
            self.mean += (value - leaving) / size
            self._m2 += (value - leaving) * (
                value - self.mean + leaving - old_mean)
        self._slots[self._next] = value
        self._next = (self._next + 1) % size

    @property
    def variance(self):
        return self._m2 / (self._filled - 1) if self._filled > 1 else 0.0


if __name__ == "__main__":
    from statistics import mean, variance

    readings = [20.1, 20.4, 19.8, 25.0, 20.2, 20.0, 19.9, 20.3]
    window = RollingWindow(4)
    for i, reading in enumerate(readings):
        window.push(reading)
        tail = readings[max(0, i - 3):i + 1]
        assert abs(window.mean - mean(tail)) < 1e-9
        if len(tail) > 1:
            assert abs(window.variance - variance(tail)) < 1e-9
        print(f"{reading:5.1f}  mean {window.mean:6.3f}  var {window.variance:7.4f}")
