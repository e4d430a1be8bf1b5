"""Changes of weights, and the ways to make one of several: sums, TIES, DARE and the arc between two.

An adapter changes each weight matrix W (out×in) by Δ = scale·B·A, with A (r×in) and B (out×r). Every method works on Δ, in
float64, and not on A and B by themselves: a mean of A's times a mean of B's is no mean of the products. Sums of products are
products of the stacked factors, so `linear` and `slerp` are exact at the sum of the parents' ranks. `ties` and `dare` leave a
Δ of full rank, of which the best approximation of the wanted rank is kept (Eckart & Young 1936).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from train.params import MergeParams

if TYPE_CHECKING:
    from torch import Tensor

_COLLINEAR = 1 - 1e-9  # of |cos|; beyond it the arc is too short, or not one, to be divided by its sine


@dataclass(frozen=True)
class Factors:
    """The change of one weight matrix: b (out×r) times a (r×in), float64, the scale included."""

    a: Tensor
    b: Tensor

    def delta(self) -> Tensor:
        return self.b @ self.a


def stack(found: Sequence[Factors], weights: Sequence[float]) -> Factors:
    """Σ w·Δ, exactly: the factors side by side, at the sum of their ranks (PEFT's `cat`)."""
    import torch

    return Factors(
        torch.cat([f.a * w for f, w in zip(found, weights, strict=True)]), torch.cat([f.b for f in found], dim=1)
    )


def arc(first: Factors, second: Factors, t: float) -> tuple[float, float]:
    """The coefficients of two Δ for spherical interpolation at `t` (0: first, 1: second) along the arc between them.

    sin((1−t)θ)/sin θ and sin(tθ)/sin θ, θ the angle between the Δ as vectors (Shoemake 1985), applied to Δ of their own length,
    as mergekit does. Where no arc can be told (same or opposite directions, a Δ of 0) they are 1−t and t.
    The products are never formed: ⟨B₁A₁, B₂A₂⟩ = Σ (B₁ᵀB₂ ∘ A₁A₂ᵀ).
    """

    def inner(x: Factors, y: Factors) -> float:
        return float(((x.b.T @ y.b) * (x.a @ y.a.T)).sum())

    lengths = math.sqrt(max(0.0, inner(first, first))) * math.sqrt(max(0.0, inner(second, second)))
    cosine = inner(first, second) / lengths if lengths else 1.0
    if abs(cosine) > _COLLINEAR:
        return 1 - t, t
    angle = math.acos(cosine)
    return math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)


def sparse(deltas: Sequence[Tensor], weights: Sequence[float], params: MergeParams, seed: int) -> Tensor:
    """The merged Δ by TIES (arXiv 2306.01708) or DARE (2311.03099), by the functions under PEFT's `add_weighted_adapter`."""
    import torch
    from peft.utils.merge_utils import dare_linear, dare_ties, ties

    method = {"ties": ties, "dare": dare_linear, "dare_ties": dare_ties}[params.method]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that density 1 prunes nothing
        torch.manual_seed(seed)
        return method(list(deltas), torch.tensor(weights, dtype=torch.float64), params.density)


def lower(found: Factors, rank: int) -> tuple[Factors, float]:
    """`found` at `rank`: as it is, filled up with zeros, or its nearest approximation; and the share kept."""
    import torch

    if found.a.shape[0] <= rank:
        return _filled(found, rank), 1.0
    left, middle_left = torch.linalg.qr(found.b)
    right, middle_right = torch.linalg.qr(found.a.T)
    core, kept = nearest(middle_left @ middle_right.T, rank)  # small: R×R, with the singular values of the whole
    return Factors(core.a @ right.T, left @ core.b), kept


def nearest(delta: Tensor, rank: int) -> tuple[Factors, float]:
    """Factors of the matrix of `rank` nearest to `delta` (out×in), and the share of its squared norm that they hold."""
    import torch

    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    root = s[:rank].sqrt()
    whole = float((s**2).sum())
    kept = float((s[:rank] ** 2).sum()) / whole if whole else 1.0
    return _filled(Factors(root[:, None] * vh[:rank], u[:, :rank] * root), rank), kept


def _filled(found: Factors, rank: int) -> Factors:
    from torch.nn.functional import pad

    lacking = rank - found.a.shape[0]
    return Factors(pad(found.a, (0, 0, 0, lacking)), pad(found.b, (0, lacking))) if lacking else found
