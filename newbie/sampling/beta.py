"""The beta distribution's cumulative probability in float64, so that one schedule does not need SciPy."""

from __future__ import annotations

import math

TINY = 1e-300


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), to about 1e-15 for moderate a and b.

    Continued fraction of the Handbook of Mathematical Functions (26.5.8), evaluated by Lentz's method as
    modified by Thompson and Barnett. It converges fast left of the mean; right of it, I_x(a, b) is taken as
    1 - I_(1-x)(b, a).
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta) / a
    value = c = 1.0
    d = 0.0
    for m in range(500):
        if m == 0:
            coefficient = 1.0
        elif m % 2:
            k = (m - 1) // 2
            coefficient = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
        else:
            k = m // 2
            coefficient = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        d = 1.0 / ((1.0 + coefficient * d) or TINY)
        c = (1.0 + coefficient / c) or TINY
        value *= c * d
        if m and abs(c * d - 1.0) < 1e-16:
            break
    return front * (value - 1.0)
