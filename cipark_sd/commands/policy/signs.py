"""What ``cipark policy`` shows of the priors of a study: signs, and nothing that could be taken for a finding."""

import click

from cipark_sd.claims import BUILT_IN
from cipark_sd.commands.policy.expectations import classified_claims, show_claims
from cipark_sd.commands.policy.page import titled
from cipark_sd.commands.policy.setting import Setting, save
from cipark_sd.commands.policy.words import show
from cipark_sd.experiments.effects import sign
from cipark_sd.pages.blocks import Paragraph, Section, Table

#: What stands above them.
HEADING = (
    "Signs under the priors. No data have been used, so this says what the model assumes and not what is known: no "
    "size is told, and nothing is ranked."
)


def show_signs(setting: Setting) -> list[Section]:
    """Run the catalogue over the priors; a table of signs, what is built in, and their sections of the page."""
    import pandas as pd

    catalogue = setting.catalogue
    result = setting.policies(catalogue.policies, "experiments", parts="policies.parts")
    save(setting, result, "policies.nc")
    if len(catalogue.policies) == 1:
        click.echo("no [[policy]] to compare with the base")
        return []
    outcome, at = catalogue.headline
    shown = tuple(dict.fromkeys((outcome, *catalogue.beside)))
    rows = tuple(
        (policy.title, *(sign(result, policy.id, one, at) for one in shown)) for policy in catalogue.policies[1:]
    )
    caption = (
        f"Whether each policy brings more or less than the base at {at:g}, in the order of the catalogue; a sign is "
        f"told where it is the same in {BUILT_IN:.0%} of the prior draws or more under every structure"
    )
    table = Table(("policy", *(catalogue.outcome_by_id[one].title for one in shown)), rows, caption)
    click.echo(HEADING)
    show(table)
    click.echo()
    frame = pd.DataFrame([(p.id, *row) for p, row in zip(catalogue.policies[1:], rows, strict=True)])
    frame.columns = ["policy", "title", *shown]
    setting.write_csv(frame, "signs.csv")
    claims = show_claims(setting, classified_claims(setting, None))
    return titled("signs", [Paragraph(HEADING, warning=True), table], claims)
