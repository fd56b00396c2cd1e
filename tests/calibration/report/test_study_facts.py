"""What a page says of a study beside its numbers: units, names and what is counted."""

from dataclasses import replace
from pathlib import Path

from approved import approved
from small_study import small_study

from calibration.report.collect import quantity_label, study_facts
from cipark_sd.language.read.model_file import read_model

ASKED = """
[[prediction]]
name = "later"
variable = "left"
at = 10
[[prediction]]
name = "slower"
variable = "left"
at = 8
against = { pace = 0.5 }
"""


def test_names_and_units_are_those_of_the_model(tmp_path: Path) -> None:
    facts = study_facts(small_study(tmp_path, ASKED))
    assert facts.units == {"size": "firm", "rate": "1/year"}
    (observed,) = facts.observations
    assert (observed.kind, observed.variables, observed.families) == ("increments", "left", "poisson")
    assert observed.label == "left [firm]"
    later, slower = facts.predictions
    assert (later.name, later.label) == ("later", "left [firm]")
    approved((slower.name, slower.label))
    assert (later.unit, later.observations, later.waits) == ("firm", ("left",), False)


def test_what_has_no_unit_is_named_without_brackets(tmp_path: Path) -> None:
    model = small_study(tmp_path).model
    approved(quantity_label(model, (("left", 1.0), ("stock", -1.0))))
    own = replace(model, variables=tuple(replace(variable, units="Left") for variable in model.variables))
    assert quantity_label(own, (("left", 1.0),)) == "left"
    bare = replace(model, variables=tuple(replace(variable, units="") for variable in model.variables))
    assert quantity_label(bare, (("left", 1.0),)) == "left"


def test_an_element_is_named_and_all_of_them_together_are_the_variable(tmp_path: Path) -> None:
    control = "INITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"
    (tmp_path / "halls.mdl").write_text("{UTF-8}\nHall: North, South ~~|\nSeats[Hall] = 3, 4 ~ seat ~|\n" + control)
    model = read_model(tmp_path / "halls.mdl")
    assert quantity_label(model, (("seats[North]", 1.0),)) == "Seats[North] [seat]"
    assert quantity_label(model, (("seats[North]", 1.0), ("seats[south]", 1.0))) == "Seats [seat]"
