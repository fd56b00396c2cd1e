"""Words of a page that not every reader knows: linked where they first stand in a section, explained at its end."""

import html
import re

#: A pattern of the word as it stands in sentences, and what it means there.
WORDS = {
    "prior": ("prior(?:s)?", "what was thought likely before the data were used"),
    "posterior": ("posterior", "what is likely once the data are used, as joint draws of all parameters"),
    "likelihood": ("(?:log )?likelihood", "how probable the data are under given values of the parameters"),
    "profile": (
        "profile(?:s)?(?: likelihoods?| intervals?)?",
        "how well the model still fits when one number is fixed at a value and all others are free",
    ),
    "open": (
        "open on both sides|open(?= to [-\\d])|(?<=to )open",
        "unbounded: neither data nor priors end the interval on that side",
    ),
    "optimum": (
        "(?:MAP |ML )?optimum",
        "the values of the parameters that fit best; MAP: their priors are counted as well, ML: the data alone",
    ),
    "parameter": ("parameter(?:s)?", "a constant of the model that is fitted, or uncertain"),
    "held": (
        "(?:is|are) held|held constants?|constants that are held",
        "fixed at a value; results are conditional on it",
    ),
    "structure": ("structure(?:s)?", "one way in which the model could be built; rivals are fitted to the same data"),
    "noise": ("noise", "how far single numbers scatter around what the model expects"),
    "standard error": ("standard errors?", "how far an estimate would scatter over data sets of the same kind"),
    "binomial": ("binomial", "counts of how many out of a known number"),
    "multinomial": ("multinomial", "counts of how a known number is divided among several kinds"),
    "poisson": ("poisson", "counts of independent events, whose variance is their mean"),
    "nb1": ("nb1", "counts whose variance is a multiple of their mean (negative binomial of the first kind)"),
    "dispersion": ("dispersion", "how many times larger the scatter of counts is than that of independent events"),
    "quantile residual": (
        "quantile residual(?:s)?",
        "how improbable a reported number is, on the scale of a standard normal number",
    ),
    "Fisher information": (
        "Fisher information",
        "how sharply the data distinguish values of the parameters near the optimum",
    ),
    "singular values": (
        "singular values?",
        "how far the expected data move along each combination of parameters; small: weakly identified",
    ),
    "collinearity": ("collinearity", "how far parameters are confounded in the data"),
    "Pareto k": (
        "Pareto k",
        "how far draws are from the posterior; above 0.7 too far to be trusted",
    ),
    "Monte Carlo error": ("Monte Carlo errors?|MC errors?", "how far a number would move with another seed"),
    "R-hat": ("R-hat", "compares chains of draws; near 1 they agree"),
    "converged": ("converged", "chains whose Monte Carlo errors are small enough to print their numbers"),
    "log predictive density": (
        "log predictive density|elpd",
        "how probable data are that were left out of a fit; larger is better",
    ),
    "hold-out": ("hold-outs?|held out", "data left out of the fit and used to score it"),
    "total index": (
        "total ind(?:ex|ices)",
        "the share of an output's variance that would be left if all constants but this one were known",
    ),
    "first-order index": (
        "first(?:-order)? ind(?:ex|ices)",
        "the share of an output's variance that would go if this constant alone were known",
    ),
    "Bayes factor": (
        "Bayes factors?",
        "by how much the data have moved the odds of a claim; near 1 they say nothing of it",
    ),
    "Shapley effect": (
        "Shapley effects?",
        "what knowing a constant takes from the variance, on average over all orders in which constants become known",
    ),
    "Shapley value": (
        "Shapley values?",
        "the share of one mechanism in what all of them bring together, over every order in which they could be added",
    ),
    "futures": (
        "futures?",
        "one future that no one decides: a draw of the constants, a structure, and what may come",
    ),
    "assumed by the model": (
        "assumed by the model",
        "true or false by the equations alone, before any data, and so no finding",
    ),
    "fresh": ("fresh", "not used in a search, and so no part of its luck"),
    "regret": ("regret", "how much worse a policy does than the best one in the same draw"),
    "draws": ("draws", "joint values of all uncertain constants, one model run each"),
}


class Glossary:
    """The words of one document, as far as they stand in it."""

    def __init__(self) -> None:
        self._used: dict[str, None] = {}
        self._in_section: set[str] = set()
        every = "|".join(f"(?P<w{i}>{pattern})" for i, (pattern, _) in enumerate(WORDS.values()))
        self._pattern = re.compile(rf"(?<![\w-])(?:{every})(?![\w-])", re.IGNORECASE)

    def section(self) -> None:
        """Another section begins, in which words are linked anew."""
        self._in_section.clear()

    def linked(self, text: str) -> str:
        """A sentence as HTML, its words linked where they first stand in the section."""
        escaped = html.escape(text)
        return self._pattern.sub(self._link, escaped)

    def _link(self, match: "re.Match[str]") -> str:
        word = list(WORDS)[int((match.lastgroup or "w0")[1:])]
        if word in self._in_section:
            return match[0]
        self._in_section.add(word)
        self._used[word] = None
        return f'<a class="word" href="#{anchor(word)}">{match[0]}</a>'

    def list(self) -> str:
        """The words that were linked, as a list of definitions; empty without any."""
        entries = "".join(
            f'<dt id="{anchor(word)}">{html.escape(word)}</dt><dd>{html.escape(meaning)}</dd>'
            for word, (_, meaning) in WORDS.items()
            if word in self._used
        )
        return f"<dl>{entries}</dl>" if entries else ""


def anchor(word: str) -> str:
    """Where a word is explained.

    >>> anchor("Monte Carlo error")
    'word-monte-carlo-error'
    """
    return "word-" + re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
