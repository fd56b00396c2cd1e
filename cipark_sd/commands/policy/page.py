"""The page of ``cipark policy``: what each part has to say, what all of it rests on, and what it cannot tell.

Parts are run one at a time or together; what another call on the same draws has put on the page stays there.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cipark_sd.commands.policy.setting import Setting
from cipark_sd.errors import InvalidValue
from cipark_sd.pages.blocks import Block, Listing, Page, Paragraph, Section, Table
from cipark_sd.pages.page import read_page, write_page
from cipark_sd.results import version
from cipark_sd.scenarios import override_key

_EXPECTED = "What was expected, and what can be said of it"
#: Sections in the order of the page, by the part that writes them.
TITLES: Mapping[str, tuple[str, ...]] = {
    "rest": ("Basis and assumptions",),
    "signs": ("Assumed signs under the priors", _EXPECTED),
    "effects": (_EXPECTED, "Effects of each policy"),
    "attribution": ("Attribution: the contribution of each mechanism",),
    "robustness": ("Robust strategies", "Scenario discovery: where the strategy fails"),
    "design": ("Alternatives for the same money",),
    "information": ("Value of information",),
    "rivals": ("The rival structures",),
    "limits": ("Limitations",),
}
#: A posterior variance above this share of the prior's says that the data taught little of a parameter.
LITTLE = 0.7


def titled(part: str, *blocks: Sequence[Block]) -> list[Section]:
    """The sections of a part, those without content left out."""
    return [Section(title, tuple(own)) for title, own in zip(TITLES[part], blocks, strict=True) if own]


def write(setting: Setting, made: Sequence[Section]) -> None:
    """Put sections on the page in the output folder, in place of those of the same titles."""
    identity = _identity(setting)
    title = f"{setting.catalogue.title}: policies"
    sections = {section.title: section for section in _kept(setting, identity)}
    sections |= {section.title: section for section in made}
    sections |= {
        section.title: section
        for part, blocks in (("rest", _rest(setting)), ("rivals", _rivals(setting)), ("limits", _limits(setting)))
        for section in titled(part, blocks)
    }
    order = dict.fromkeys(title for titles in TITLES.values() for title in titles)
    page = Page(title, identity, tuple(sections[title] for title in order if title in sections))
    write_page(page, setting.folder)


def _identity(setting: Setting) -> str:
    model = setting.study.model
    return (
        f"{setting.basis}. Model {model.name} ({model.digest[:12]}), policies {setting.catalogue.digest[:12]}, "
        f"cipark_sd {version()}, engine {setting.settings.engine}, seed {setting.settings.seed}; "
        f"draws {_digest(setting)}."
    )


def _digest(setting: Setting) -> str:
    import hashlib

    digest = hashlib.sha256()
    for rival, draws in setting.draws.items():
        digest.update(f"{rival} {draws.weight}".encode())
        for name, values in sorted(draws.values.items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:12]


def _kept(setting: Setting, identity: str) -> tuple[Section, ...]:
    """Sections of an earlier call, if it had the same draws of the same model and the same catalogue."""
    try:
        page = read_page(setting.folder)
    except InvalidValue:
        return ()
    return page.sections if page.identity == identity else ()


def _rest(setting: Setting) -> list[Block]:
    said: list[Block] = [Paragraph(f"{setting.basis}.", warning=_doubtful(setting)), *map(Paragraph, setting.notes)]
    if setting.catalogue.note:
        said.append(Paragraph(setting.catalogue.note))
    said.append(
        Paragraph(
            "A policy is compared with the base draw by draw: the same parameters, the same structure, other settings. "
            "Effects are those of expected numbers, without the noise of counts."
        )
    )
    return said


def _doubtful(setting: Setting) -> bool:
    """Whether the draws are anything else than those of chains that have converged."""
    return any(draws.origin != "posterior" or not draws.converged for draws in setting.draws.values())


def _rivals(setting: Setting) -> list[Block]:
    """What each structure says and what its draws are; nothing where there is one only."""
    if len(setting.rivals) == 1:
        return []
    rows = []
    for rival in setting.rivals:
        draws = setting.draws[rival.id]
        weight = "" if math.isnan(draws.weight) else f"{draws.weight:.3f}"
        rows.append((rival.id, rival.title, draws.basis.label, weight, setting.unreliable.get(rival.id, "")))
    caption = "Rival structures. Weights, where there are any, are of predictions and not probabilities of being true."
    head = ("rival", "what it says", "draws", "weight", "terms that the weights cannot judge")
    return [Table(head, tuple(rows), caption)]


def _limits(setting: Setting) -> list[Block]:
    """What no reading of the page may take for knowledge."""
    items = []
    little = _untaught(setting)
    if setting.unseen:
        items.append("No data have been used: what is shown was assumed before, and is not known.")
    elif little:
        first = setting.rivals[0].id
        items.append(
            f"Parameters of which the data taught little under {first} (at least {LITTLE:.0%} of the prior variance is "
            f"left), so that what rests on them rests on the prior: {', '.join(little)}."
        )
    if setting.catalogue.uncertainties:
        inputs = ", ".join(f"{one.title} ({one.low:g} to {one.high:g})" for one in setting.catalogue.uncertainties)
        items.append(
            f"Inputs that no data inform, varied over a range and taken to be as likely everywhere in it: {inputs}."
        )
    if len(setting.rivals) == 1:
        items.append("One structure only: nothing is attributed to one cause rather than another that the model lacks.")
    priced = [lever for lever in setting.catalogue.levers if lever.cost]
    if priced:
        unit = setting.catalogue.money
        prices = "; ".join(
            f"{lever.title} {lever.cost:g}{' ' + unit if unit else ''} a unit ({lever.source or 'no source given'})"
            for lever in priced
        )
        items.append(f"Costs: {prices}.")
    return [Listing(tuple(items))] if items else []


def _untaught(setting: Setting) -> list[str]:
    """Parameters whose draws under the first rival are nearly as wide as their prior, on the parameter's own scale."""
    draws = setting.draws[setting.rivals[0].id]
    grid = (np.arange(2000) + 0.5) / 2000
    found = []
    for parameter in setting.study.parameters:
        values = draws.values.get(override_key(parameter.name))
        if values is None:
            continue
        if parameter.scale(values).var() > LITTLE * parameter.scale(parameter.quantile(grid)).var():
            found.append(parameter.name)
    return found
