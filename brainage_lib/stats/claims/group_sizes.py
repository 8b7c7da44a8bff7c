"""Group sizes that would make a table by group agree with the overall errors.

The paper prints no group sizes. Sizes that are zero or more and add up to the test set
form a polytope, cut by one pair of planes a model: the weighted mean of its group MAEs is
its overall MAE. Linear programmes find whether it is empty and how far it reaches. Sizes
may be fractions here.
"""

from __future__ import annotations

import numpy as np


class GroupSizes:
    """The sizes that are possible.

    Parameters
    ----------
    by_group : (groups, models) array of float
        Printed MAE in years.
    overall : (models,) array of float
        Printed overall MAE in years.
    n : int
        Number of scans in all.
    half : float
        Half of the last printed digit. Group values and overall values are both rounded,
        so weighted means may differ from the printed ones by twice as much.
    """

    def __init__(self, by_group: np.ndarray, overall: np.ndarray, n: int, half: float = 0.005):
        self.groups = len(by_group)
        self.n = n
        means = by_group.T / n
        self._below = np.concatenate([means, -means])
        self._limit = np.concatenate([overall + 2 * half, -(overall - 2 * half)])

    def feasible(self) -> bool:
        """Whether any sizes agree with the printed numbers."""
        return self._solve(np.zeros(self.groups)) is not None

    def largest(self) -> np.ndarray:
        """Give the highest possible size of each group."""
        return np.array([-self._solve(-unit) for unit in np.eye(self.groups)])

    def smallest(self) -> np.ndarray:
        """Give the lowest possible size of each group."""
        return np.array([self._solve(unit) for unit in np.eye(self.groups)])

    def most_even(self) -> float:
        """Give the highest possible size of the smallest group."""
        from scipy.optimize import linprog

        # One more variable, which no group may be below.
        below = np.block(
            [
                [self._below, np.zeros((len(self._below), 1))],
                [-np.eye(self.groups), np.ones((self.groups, 1))],
            ]
        )
        limit = np.concatenate([self._limit, np.zeros(self.groups)])
        aim = np.zeros(self.groups + 1)
        aim[-1] = -1
        whole = np.append(np.ones(self.groups), 0)[None]
        found = linprog(aim, A_ub=below, b_ub=limit, A_eq=whole, b_eq=[self.n])
        return float(-found.fun)

    def mean_ages(self, ages: np.ndarray, variance: tuple[float, float]) -> tuple[float, float]:
        """Lowest and highest mean age that the sizes and an age variance allow.

        Parameters
        ----------
        ages : (groups,) array of float
            The middle of each age group, where its scans are put.
        variance : (low, high)
            Years².
        """
        inside = next(
            m for m in np.linspace(ages.min(), ages.max(), 76) if self._at(m, ages, variance)
        )
        low = _edge(lambda m: self._at(m, ages, variance), ages.min(), inside)
        start = next(
            m for m in np.linspace(ages.max(), ages.min(), 76) if self._at(m, ages, variance)
        )
        high = _edge(lambda m: self._at(m, ages, variance), ages.max(), start)
        return low, high

    def _at(self, mean: float, ages: np.ndarray, variance: tuple[float, float]) -> bool:
        squares = ages**2 / self.n
        below = np.vstack([self._below, squares, -squares])
        limit = np.concatenate([self._limit, [variance[1] + mean**2, -(variance[0] + mean**2)]])
        extra = (ages, self.n * mean)
        return self._solve(np.zeros(self.groups), below, limit, extra) is not None

    def _solve(self, aim, below=None, limit=None, extra=None) -> float | None:
        from scipy.optimize import linprog

        equal, value = [np.ones(self.groups)], [float(self.n)]
        if extra is not None:
            equal.append(extra[0])
            value.append(extra[1])
        found = linprog(
            aim,
            A_ub=self._below if below is None else below,
            b_ub=self._limit if limit is None else limit,
            A_eq=np.array(equal),
            b_eq=value,
        )
        return float(found.fun) if found.success else None


def _edge(possible, outside: float, inside: float) -> float:
    """Bisect to 0.01 years between an impossible and a possible mean age."""
    while abs(inside - outside) > 0.01:
        middle = (inside + outside) / 2
        if possible(middle):
            inside = middle
        else:
            outside = middle
    return inside
