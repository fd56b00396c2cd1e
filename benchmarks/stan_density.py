"""Whether Stan computes the log posterior that we compute, of the programs that we write for it.

python benchmarks/stan_density.py [FILE]: needs pystan, which nothing else here does; FILE keeps Stan's numbers, as
tests/calibration/front/stan_densities.json has them.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from calibration.front.study import Study
from calibration.likelihood.posterior import posterior
from calibration.sampling.free_density import prior_draws
from cipark_sd.engines.registry import choose

sys.path.append(str(Path(__file__).parents[1] / "tests" / "shared"))


def points(study: Study, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the priors ``(n, k)`` and our log posterior there ``(n,)``."""
    density = posterior(study.problem, choose("native"))
    theta = prior_draws(density.space, n, np.random.default_rng(3))
    return theta, density.log_posterior(theta)


def stans(text: str, theta: np.ndarray) -> list[float]:
    """What Stan computes, without the Jacobian of its own scales."""
    import stan

    model = stan.build(text)
    free = [model.unconstrain_pars({f"p{i}": value for i, value in enumerate(row, 1)}) for row in theta.tolist()]
    return [model.log_prob(row, adjust_transform=False) for row in free]


def main() -> None:
    from stan_studies import studies

    records = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, study in studies(Path(folder)).items():
            text, (theta, densities) = study.stan(), points(study)
            by_stan = stans(text, theta)
            gap = float(np.max(np.abs(np.array(by_stan) / densities - 1)))
            print(f"{name}: {len(densities)} points, largest relative difference {gap:.2g}")
            digest = hashlib.sha256(text.encode()).hexdigest()
            records[name] = {"program": digest, "theta": theta.tolist(), "log_posterior": by_stan}
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
