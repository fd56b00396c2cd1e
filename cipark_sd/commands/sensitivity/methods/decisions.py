"""Claims and choices of a study: which constants they rest on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.claims import classify
from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import DRAWS, Job, Method
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.sensitivities.verdicts import choice_sentences, claim_sentences, deciding, evidence_of, plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, slots=True)
class Decisions(Method):
    """Claims against the priors; which alternative is best only where data stand behind the draws."""

    name: ClassVar[str] = "decisions"
    joint: ClassVar[bool] = True
    sources: ClassVar[Mapping[str, str]] = {
        "claims": "Claims: correlation ratios over slices of a constant (Pearson 1905; adjusted, Kelley 1935).",
        "choices": "Choices: the index of several outputs together (Gamboa et al. 2014) over the same slices.",
    }

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Claims over the draws and over the priors, and the best alternative in each draw."""
        from cipark_sd.sensitivities.deciding import Sampling, best_alternatives, claims_over_draws, with_classes

        request, inputs = job.request, job.inputs
        decisions, draws = inputs.question.decisions, max(DRAWS, request.rows // 4)
        results = {}
        sampling = Sampling(draws, request.seed, request.resamples, job.response, job.progress)
        if decisions.claims:
            claims = claims_over_draws(inputs.question, sampling)
            prior = claims if inputs.unseen else claims_over_draws(inputs.prior, sampling, "claims over the priors")
            worth = inputs.independent
            results["claims"] = with_classes(claims, prior, None if worth is None else min(draws, worth))
        if decisions.choices and not inputs.unseen:
            results["choices"] = best_alternatives(inputs.question, sampling)
        return results

    def is_in(self, findings: Findings) -> bool:
        """Claims or alternatives."""
        return not findings.results.keys().isdisjoint(self.sources)

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """The probability of each claim, and how often each alternative is best."""
        claims, choices = findings.of("claims"), findings.of("choices")
        if claims is not None:
            basis = findings.over_runs(int(claims.attrs["draws"]))
            for place in range(claims.sizes["claim"]):
                at_place = claims.isel(claim=place)
                name, title, true = (
                    str(at_place["claim"].item()),
                    str(at_place["title"].item()),
                    float(at_place["true"]),
                )
                if np.isfinite(true):
                    estimand = f"claim {name}: {title}"
                    yield findings.record(estimand, true, unit="", kind="probability", basis=basis)
        if choices is not None:
            basis = findings.over_runs(int(choices.attrs["draws"]))
            for choice in map(str, choices["choice"].to_numpy()):
                at_place = choices.sel(choice=choice)
                for i, alternative in enumerate(map(str, at_place["alternative"].to_numpy())):
                    best, low, high = (float(at_place[name][i]) for name in ("best", "best_low", "best_high"))
                    if np.isfinite(best):
                        estimand, bounds = f"{choice}: {alternative} is best", Bounds(low, high, 0.95, "Wilson")
                        yield findings.record(estimand, best, unit="", kind="probability", interval=bounds, basis=basis)

    def sentences(self, findings: Findings) -> Iterator[str]:
        """Alternatives, then claims."""
        choices, claims = findings.of("choices"), findings.of("claims")
        if choices is not None:
            yield from choice_sentences(choices)
        if claims is not None:
            yield from claim_sentences(claims)

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """A line for each claim and alternative, and their indices."""
        result: dict[str, pd.DataFrame] = {}
        claims, choices = findings.of("claims"), findings.of("choices")
        if claims is not None:
            result["claims"] = _claims(claims)
            result["claims_indices"] = claims[["S1", "S1_conf"]].to_dataframe().reset_index()
        if choices is not None:
            names = ["best", "best_low", "best_high", "mean", "regret"]
            result["choices"] = choices[names].to_dataframe().reset_index().dropna(subset=["best"])
            result["choices_indices"] = choices[["S1", "S1_conf"]].to_dataframe().reset_index()
        return result

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Which constants move which claim, and how often each alternative is best."""
        from cipark_sd.plotting import decisions as plot

        claims, choices = findings.of("claims"), findings.of("choices")
        if claims is not None:
            yield Drawing("claims", plot.claims_map, (claims,))
        if choices is not None:
            yield Drawing("choices", plot.choice_bars, (choices,))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Alternatives, then claims."""
        claims, choices = findings.of("claims"), findings.of("choices")
        blocks: list[Block]
        if choices is not None:
            blocks = [Paragraph(sentence) for sentence in choice_sentences(choices)]
            blocks += pictures.show("choices", "How often each alternative is the best, and what decides that.")
            blocks += [_ends_table(choices, choice) for choice in map(str, choices["choice"].to_numpy())]
            yield Section("How often the best policy changes", tuple(blocks))
        if claims is not None:
            blocks = [
                Paragraph(
                    "Each claim compares two runs with the same constants; its margin is the difference in the "
                    "direction of the claim. The index of a constant is the share of the margin's variance that it "
                    "explains alone."
                ),
                Listing(tuple(claim_sentences(claims))),
                _claims_table(findings, claims),
                *pictures.show("claims", "Which constants move which claim."),
            ]
            yield Section("Basis of each claim", tuple(blocks))


def _claims(claims: "xr.Dataset") -> "pd.DataFrame":
    """One row for each claim: class, probabilities before and after the fit, the Bayes factor between them."""
    import pandas as pd

    rows = []
    for place in range(claims.sizes["claim"]):
        at_place = claims.isel(claim=place)
        evidence = evidence_of(at_place)
        classified = classify([evidence])
        facts: dict[str, object] = {
            "claim": str(at_place["claim"].item()),
            "title": str(at_place["title"].item()),
            "class": classified.kind,
            "side": classified.side,
            "n_failed": int(at_place["n_failed"]),
            "true": float(at_place["true"]),
        }
        rows.append(facts | evidence.columns)
    return pd.DataFrame(rows)


def _ends_table(choices: "xr.Dataset", choice: str) -> Table:
    """How the shares of the alternatives change with the constants that decide."""
    at_place = choices.sel(choice=choice)
    known = [i for i, best in enumerate(at_place["best"].to_numpy()) if best >= 0.05]
    titles = [str(choices["title"].to_numpy()[i]) for i in known]
    rows = []
    for name, _, _ in deciding(at_place, count=5):
        low, high = (at_place[end].sel(parameter=name).to_numpy() for end in ("best_at_low", "best_at_high"))
        rows.append((name, *(f"{low[i]:.0%} to {high[i]:.0%}" for i in known)))
    question = f"{choice[:1].upper()}{choice[1:]}"
    caption = f"{question}: how often each is best with the constant in its lowest fifth, to its highest fifth"
    return Table(("constant", *titles), tuple(rows), caption)


def _claims_table(findings: Findings, claims: "xr.Dataset") -> Table:
    after_data, fitted = not findings.unseen, findings.facts.independent is not None
    rows = []
    for place in range(claims.sizes["claim"]):
        at_place = claims.isel(claim=place)
        low, middle, high = at_place["margin"].to_numpy()
        evidence = evidence_of(at_place)
        after = [f"{float(at_place['true']):.2f}"] if after_data else []
        after += [str(evidence.factor)] if fitted else []
        rows.append(
            (
                str(at_place["claim"].item()),
                str(at_place["title"].item()),
                str(classify([evidence])),
                f"{evidence.prior.share:.2f}",
                *after,
                f"{middle:.3g} ({low:.3g} to {high:.3g})",
                plain(deciding(at_place)),
            )
        )
    between = f" and {findings.over}" if after_data else ""
    between += ", and the Bayes factor between" if fitted else ""
    caption = (
        f"Probabilities under the priors{between}; margins {findings.over}: median, and 5 to 95 % of the draws; "
        "constants: index and half of its 95 % interval"
    )
    after_fit = (("P posterior", "Bayes factor") if fitted else ("P after the fit",)) if after_data else ()
    head = ("claim", "policy", "class", "P prior", *after_fit)
    return Table((*head, "margin", "moved by"), tuple(rows), caption)
