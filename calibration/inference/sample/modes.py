"""Modes of a posterior between which chains seldom go, weighed by their evidence.

Where draws leave a valley in a parameter that chains seldom cross, there is a mode on either side. The share of chains
in each says little of its weight: it is where they began. What the prior and the data say together on one side of the
valley is its evidence, which bridge sampling has from the draws there, whatever chains they are of; the posterior is
the sides, each by its evidence. Each may have valleys of its own.

Source: Yao, Vehtari and Gelman 2022, JMLR 23(79), 1-45, section 2 (chains that are stuck, and why their number is no
weight); Meng and Wong 1996, Statistica Sinica 6, 831-860, as in Gronau et al. 2017, Journal of Mathematical Psychology
81, 80-97 (the bridge), whose error (after Frühwirth-Schnatter 2004, Econometrics Journal 7, 143-167) takes the spectral
density at zero of what the chains give; here it is their variance over the draws that they are worth.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.inference.sample.convergence import Convergence, Criteria, convergence, effective
from calibration.inference.sample.densities import Densities, log_density
from calibration.inference.sample.importance import drawn_apart, weighted_convergence
from calibration.inference.sample.student_mixture import fit_mixture
from cipark_sd.base.arrays import Array

#: Chains that stay in a mode, draws of each chain and draws in a mode at least, the share of draws in it, and draws of
#: the proposal that the bridge of a mode crosses to.
LEAST, LEAST_DRAWS, LEAST_SHARE, PROPOSED = 2, 50, 0.01, 16_000
#: How low draws lie in a valley, as a share of the lesser hill; what share of its draws a chain that stays has on one
#: side; the share of the variance of the sides that chains explain from which on they seldom cross, and of that on a
#: side that they explain at most, or chains are slow and there is no valley; intervals in which draws are counted.
#: Where chains stay in a mode they explain nearly all, and where they mix nearly nothing: halved or doubled SELDOM and
#: SLOW change no draw of flu and of hare and lynx.
DEEP, STAYS, SELDOM, SLOW, INTERVALS = 0.2, 0.9, 0.3, 0.5, 24
#: Draws of a mode that its evidence is computed from, at most.
CROSSING = 10_000
#: Parts of a mode's draws that are compared.
GROUPS = 4
#: Draws that the mixture is fitted to, at most.
FITTED = 4000


@dataclass(frozen=True, eq=False)
class Modes:
    """Draws of several modes, as often as their weights want.

    Parameters
    ----------
    places : (n_groups, n_draws)
        Among all draws, chain after chain.
    weights, errors : (n_modes,)
        The heaviest first, and the standard errors of the logarithms of their evidences.
    evidence : (float, float)
        Log marginal likelihood of all and its standard error.
    apart : str
        The parameter in which the two heaviest lie farthest apart.
    """

    places: NDArray[np.intp]
    lines: tuple[Convergence, ...]
    weights: Array
    errors: Array
    evidence: tuple[float, float]
    apart: str

    @property
    def sentence(self) -> str:
        """What they are."""
        shares = ", ".join(f"{weight:.1%}" for weight in self.weights)
        return (
            f"The posterior has {len(self.weights)} modes, apart in {self.apart}, between which chains seldom go: they "
            f"weigh {shares} by their evidence (bridge sampling, standard errors of the logarithms at most "
            f"{self.errors.max():.2f}), and the draws hold them in these shares."
        )


def boxes(scores: Array) -> list[Array]:
    """One for each mode of the draws ``scores : (n, n_draws, k)`` of chains; together they hold all there is.

    A box is ``(2, k)``: scores above the first row and up to the second lie in it.
    """
    ready, open_boxes = list[Array](), [np.array([[-np.inf], [np.inf]]) * np.ones(scores.shape[-1])]
    while open_boxes:
        box = open_boxes.pop()
        cut = _valley(scores, holds(box, scores))
        if cut is None:
            ready.append(box)
            continue
        position, at = cut
        below, above = box.copy(), box.copy()
        below[1, position] = above[0, position] = at
        open_boxes += [below, above]
    return ready


def holds(box: Array, scores: Array) -> NDArray[np.bool_]:
    """Which scores lie in a box.

    Parameters
    ----------
    box : (2, k)
    scores : (…, k)

    Returns
    -------
    (…) bool
    """
    return np.asarray(((scores > box[0]) & (scores <= box[1])).all(axis=-1))


def _by_mode(
    scores: Array, theta: Array, names: Sequence[str]
) -> tuple[list[Array], list[NDArray[np.intp]], list[tuple[Convergence, ...]]]:
    """Boxes of the modes, the places of their draws, chain after chain, and how well these mix.

    None where there is one, or where there are too few draws to tell; ``scores, theta : (n, n_draws, k)``.
    """
    regions = boxes(scores) if scores.shape[1] >= LEAST_DRAWS else []
    if len(regions) < 2:
        return [], [], []
    flat = theta.reshape(-1, len(names))
    inside = [np.flatnonzero(holds(region, scores)) for region in regions]
    return regions, inside, [convergence(names, _grouped(flat[its])) for its in inside]


def settled(scores: Array, theta: Array, names: Sequence[str], criteria: Criteria) -> bool:
    """Whether there are several modes, and their draws together reach what is wanted once each has its weight.

    Each counts by its share of draws here. With shares ``w`` and effective sizes ``n`` within the modes, a mean over
    all has the variance ``sum w^2 / n`` of one over the draws of each.

    Parameters
    ----------
    scores, theta : (n, n_draws, k)
        Draws of each chain, and the parameters that they stand for.
    """
    _, inside, lines = _by_mode(scores, theta, names)
    if not inside:
        return False
    worth, shares = np.array([_worth(of_mode) for of_mode in lines]), np.array([its.size for its in inside])
    shares = shares / scores[..., 0].size
    size = 1 / (shares**2 / worth).sum()
    return bool(_r_hats(lines, shares).max() < criteria.r_hat and size > criteria.ess)


def _worth(lines: Sequence[Convergence]) -> float:
    """Effective draws of the parameter known worst."""
    return min(min(line.ess_bulk, line.ess_tail) for line in lines)


def _r_hats(lines: Sequence[Sequence[Convergence]], weights: Array) -> Array:
    """R-hat of each parameter ``(k,)`` over modes of these weights, each by ``lines`` of its own.

    Its square less one is the variance of chains' means over that within them: of a mixture at most the mean of both.
    """
    by_mode = np.array([[line.r_hat for line in of_mode] for of_mode in lines])
    return np.asarray(np.sqrt(1 + weights @ (by_mode**2 - 1)))


def _valley(scores: Array, inside: NDArray[np.bool_]) -> tuple[int, float] | None:
    """The coordinate and the place of the deepest valley among draws of chains that seldom cross it."""
    n_inside = inside.sum(axis=1)
    present = n_inside > 0
    best, deepest = None, DEEP
    for position in range(scores.shape[-1]):
        values = scores[..., position]
        depth, at = _deepest(values[inside])
        if depth >= deepest:
            continue
        above = (inside & (values > at)).sum(axis=1)[present] / n_inside[present]
        stay = min((above > STAYS).sum(), (above < 1 - STAYS).sum())
        explained = _explained((values > at).astype(float), inside)
        mixed = min(_explained(values, inside & (values > at)), _explained(values, inside & (values <= at))) < SLOW
        if stay >= LEAST and explained > SELDOM and mixed:
            best, deepest = (position, at), depth
    return best


def _explained(values: Array, inside: NDArray[np.bool_]) -> float:
    """The share of the variance of some of ``values : (n, n_draws)`` that the means of chains have."""
    n_inside = inside.sum(axis=1)
    present = n_inside > 0
    means = np.where(inside, values, 0.0).sum(axis=1)[present] / n_inside[present]
    mean, spread = np.average(means, weights=n_inside[present]), values[inside].var()
    return float(np.average((means - mean) ** 2, weights=n_inside[present]) / spread) if spread > 0 else 1.0


def _deepest(values: Array) -> tuple[float, float]:
    """How low the deepest valley of ``values : (n,)`` lies between two hills, and where; 1 without one."""
    counts, edges = np.histogram(values, bins=INTERVALS)
    # the lesser of the highest hills on either side
    lesser = np.minimum(np.maximum.accumulate(counts), np.maximum.accumulate(counts[::-1])[::-1])
    depth = np.where(lesser > 0, counts / np.maximum(lesser, 1), 1.0)
    # where several are as low, the middle one
    lowest = np.flatnonzero(depth <= depth.min())
    place = int(lowest[len(lowest) // 2])
    at = float((edges[place] + edges[place + 1]) / 2)
    fewest = min((values > at).sum(), (values <= at).sum())
    # of fewer draws neither convergence nor evidence can be told
    return (float(depth[place]), at) if fewest > max(LEAST_SHARE * len(values), LEAST_DRAWS) else (1.0, at)


def weighed(
    densities: Densities,
    scores: Array,
    theta: Array,
    dense: tuple[Array, Array],
    names: Sequence[str],
    n_groups: int,
    rng: np.random.Generator,
) -> Modes | None:
    """Draws of the modes by their weights.

    Parameters
    ----------
    densities : Densities
        Of scores.
    scores, theta : (n, n_draws, k)
        Draws of each chain, and the parameters that they stand for.
    dense : (n, n_more, k) and (n, n_more)
        Draws of the chains and their log densities, for the evidence: a light mode has few of the others.
    n_groups : int
        Chains of the draws that come out.

    Returns
    -------
    Modes or None
        None where there is one mode, or too few draws to tell.
    """
    regions, inside, by_mode = _by_mode(scores, theta, names)
    if not regions:
        return None
    flat_scores, flat = scores.reshape(-1, len(names)), theta.reshape(-1, len(names))
    evidences, errors = np.array([_evidence(densities, box, *dense, rng) for box in regions]).T
    log_evidence = float(np.logaddexp.reduce(evidences))
    weights = np.exp(evidences - log_evidence)
    places, of_places = [], []
    for its, weight, of_mode in zip(inside, weights, by_mode, strict=True):
        worth = _worth(of_mode)
        n = max(2, min(len(its), math.floor(worth) if math.isfinite(worth) else 2))
        places.append(its[np.linspace(0, len(its) - 1, n).round().astype(int)])
        of_places.append(np.full(n, weight / n))
    where, of_where = np.concatenate(places), np.concatenate(of_places)
    drawn = where[drawn_apart(of_where, n_groups, max(4, len(where) // n_groups), rng)]
    # a weight that is not known well bounds what is known of everything that differs between modes
    known = 1 / max(float((weights * (1 - weights) * errors**2).max()), 1e-9)
    r_hats = _r_hats(by_mode, weights)
    lines = tuple(
        replace(
            line,
            r_hat=max(line.r_hat, float(r_hat)),
            ess_bulk=min(line.ess_bulk, known),
            ess_tail=min(line.ess_tail, known),
        )
        for line, r_hat in zip(weighted_convergence(names, flat[where], of_where, flat[drawn]), r_hats, strict=True)
    )
    order = np.argsort(-weights)
    first, second = (flat_scores[inside[i]] for i in order[:2])
    away = np.abs(first.mean(axis=0) - second.mean(axis=0)) / np.hypot(first.std(axis=0), second.std(axis=0))
    apart = names[int(np.argmax(away))]
    evidence = log_evidence, float(np.hypot.reduce(weights * errors))
    return Modes(drawn, lines, weights[order], errors[order], evidence, apart)


def _evidence(
    densities: Densities, box: Array, scores: Array, logs: Array, rng: np.random.Generator
) -> tuple[float, float]:
    """Log evidence of a box and its standard error, from draws there, evenly spaced."""
    inside = np.flatnonzero(holds(box, scores))
    chosen = inside[:: math.ceil(len(inside) / CROSSING)]
    points, heights = scores.reshape(-1, scores.shape[-1])[chosen], logs.ravel()[chosen, None]

    def target(proposed: Array) -> Array:
        return np.where(holds(box, proposed), log_density(densities, proposed), -np.inf)

    return log_evidence_of(target, _grouped(points), _grouped(heights)[..., 0], PROPOSED, rng)


def _grouped(values: Array) -> Array:
    """Draws ``(n, k)``, chain after chain, as ``(4, n // 4, 1, k)``: four parts, each mostly of chains of its own."""
    n_draws = len(values) // GROUPS
    return values[: GROUPS * n_draws].reshape(GROUPS, n_draws, 1, -1)


def log_evidence_of(
    target: Callable[[Array], Array], points: Array, logs: Array, n_proposed: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The constant that normalises a density, from draws of it.

    The bridge goes to a mixture fitted to the first half of the steps; the second half and ``n_proposed`` draws of the
    mixture cross it.

    Parameters
    ----------
    target : function
        Log density ``(n,)`` of points ``(n, k)``.
    points : (n_ensembles, n_steps, n_walkers, k)
    logs : (n_ensembles, n_steps, n_walkers)
        Their log densities.
    n_proposed : int
        Draws of the mixture.

    Returns
    -------
    float, float
        Its logarithm, and the standard error of that.
    """
    k, half = points.shape[-1], points.shape[1] // 2
    fitted = points[:, :half].reshape(-1, k)
    fitted = fitted[rng.permutation(len(fitted))[:FITTED]]
    mixture = fit_mixture(fitted, np.ones(len(fitted)), rng)
    second, proposed = points[:, half:], mixture.draw(n_proposed, rng)
    target_ratios = logs[:, half:] - mixture.log_density(second.reshape(-1, k)).reshape(second.shape[:-1])
    return bridge(target_ratios, target(proposed) - mixture.log_density(proposed))


def bridge(target_ratios: Array, proposal_ratios: Array) -> tuple[float, float]:
    """The ratio r of two normalising constants, of a target p over a proposal q.

    The root of ``r = mean_q[h p / q] / mean_p[h]`` with ``h = 1 / (s1 p / (r q) + s2)``, of which s1 and s2 are the
    shares of draws of the target and of the proposal: by iteration, in logarithms (Meng and Wong 1996).

    Parameters
    ----------
    target_ratios : (n_ensembles, n_steps, n_walkers)
        Log ratios of target to proposal at draws of the target, which depend on each other: they count as the draws
        that they are worth, which is the spectral density at zero of Gronau et al.
    proposal_ratios : (n,)
        The same at independent draws of the proposal.

    Returns
    -------
    float, float
        The logarithm of the ratio, and the standard error of that.
    """
    from scipy.special import logsumexp

    n_proposal = len(proposal_ratios)
    n_target = effective(target_ratios)
    if not n_target > 0:
        # the ratio is the same everywhere: the proposal is the target
        return float(target_ratios.mean()), 0.0
    share = n_target / (n_target + n_proposal)
    log_share, log_remainder = math.log(share), math.log(1 - share)
    guess = float(np.median(target_ratios))

    def weights(guess: float) -> tuple[Array, Array]:
        with np.errstate(over="ignore"):
            up = proposal_ratios - guess - np.logaddexp(log_share + proposal_ratios - guess, log_remainder)
            down = -np.logaddexp(log_share + target_ratios - guess, log_remainder)
        return up, down

    for _ in range(1000):
        up, down = weights(guess)
        new = guess + float(logsumexp(up) - math.log(n_proposal) - logsumexp(down) + math.log(target_ratios.size))
        settled = abs(new - guess) < 1e-10
        guess = new
        if settled:
            break
    up, down = (np.exp(logs) for logs in weights(guess))
    size = effective(down)
    error = up.var() / up.mean() ** 2 / n_proposal + down.var() / down.mean() ** 2 / (size if size > 0 else np.inf)
    return guess, float(np.sqrt(error))
