"""XMILE is read by one strict parser: no other file, no expansion without end."""

from pathlib import Path

import pytest

from cipark_sd.base.errors import ModelFileError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Const
from cipark_sd.simulations.simulation import simulate

SPACE = "http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"


def xmile(doc: str = "", equation: str = "2", *, head: str = "", root: str = f'xmile xmlns="{SPACE}"') -> str:
    return (
        f'{head}<{root} version="1.0"><header><name>m</name></header>'
        "<sim_specs><start>0</start><stop>1</stop><dt>1</dt></sim_specs><model><variables>"
        f'<aux name="a"><eqn>{equation}</eqn><doc>{doc}</doc></aux></variables></model></{root.split()[0]}>'
    )


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(12)
)
HOSTILE = {
    "external entity": ("<!DOCTYPE x [<!ENTITY s SYSTEM '{secret}'>]>", "&s;"),
    "external document type": ("<!DOCTYPE x SYSTEM '{secret}'>", ""),
    "parameter entity": ("<!DOCTYPE x [<!ENTITY % s SYSTEM '{secret}'> %s;]>", ""),
    "document type of the network": ("<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>", ""),
    "plain document type": ("<!DOCTYPE xmile>", ""),
    "expansion": (LAUGHS + "]>", "&m;"),
    "loop": ("<!DOCTYPE x [<!ENTITY a '&b;'><!ENTITY b '&a;'>]>", "&a;"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_document_type_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("a secret", encoding="utf-8")
    head, doc = (text.replace("{secret}", (tmp_path / "secret.txt").as_uri()) for text in HOSTILE[kind])
    path = tmp_path / "model.xmile"
    path.write_text(xmile(doc, head=head), encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"document type declaration|is not XML") as refused:
        read_model(path)
    assert "\n" not in str(refused.value)
    assert "a secret" not in str(refused.value)


def test_an_inclusion_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("a secret", encoding="utf-8")
    inclusion = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="secret.txt" parse="text"/>'
    path = tmp_path / "model.xmile"
    path.write_text(xmile(inclusion), encoding="utf-8")
    assert "secret" not in read_model(path)["a"].doc


def test_bytes_that_are_no_text_are_let_be_in_the_drawing_alone(tmp_path: Path) -> None:
    """Stella saves such names of fonts."""
    path, font = tmp_path / "model.xmile", b'header_font_family="\xd0R^\xff"'
    path.write_bytes(xmile().encode().replace(b"</model>", b"<views><table " + font + b"/></views></model>"))
    assert read_model(path)["a"].pieces[0].expr == Const(2.0)  # type: ignore[union-attr]
    path.write_bytes(xmile(doc="FONT").encode().replace(b"FONT", b"\xd0R"))
    with pytest.raises(ModelFileError, match="is not XML: Invalid bytes in character encoding, line 1"):
        read_model(path)


def test_what_is_broken_is_not_repaired_for_pysd(tmp_path: Path) -> None:
    path = tmp_path / "model.xmile"
    path.write_text(xmile().replace("</doc>", "</dok>"), encoding="utf-8")
    with pytest.raises(ModelFileError, match="is not XML: Opening and ending tag mismatch"):
        read_model(path)


def test_depth_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.xmile"
    path.write_text(xmile("<b>" * 100_000 + "</b>" * 100_000), encoding="utf-8")
    with pytest.raises(ModelFileError, match="is not XML"):
        read_model(path)


@pytest.mark.parametrize("engine", ["native", "pysd"])
@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (xmile(equation="1 <!-- not all --> + 1"), "utf-8"),
        (xmile(root=f'x:xmile xmlns:x="{SPACE}"').replace("</", "</x:").replace("</x:x:", "</x:"), "utf-8"),
        (xmile(head='<?xml version="1.0" encoding="utf-16"?>'), "utf-16"),
    ],
    ids=["comment", "prefix", "utf-16"],
)
def test_what_xml_allows_is_read_by_all_engines(text: str, encoding: str, engine: str, tmp_path: Path) -> None:
    if "x:xmile" in text:
        for tag in ("header", "name", "sim_specs", "start", "stop", "dt", "model", "variables", "aux", "eqn", "doc"):
            text = text.replace(f"<{tag}>", f"<x:{tag}>").replace(f"<{tag} ", f"<x:{tag} ")
    path = tmp_path / "model.xmile"
    path.write_bytes(text.encode(encoding))
    model = read_model(path)
    assert simulate(model, save=["a"], engine=engine)["a"].to_numpy().tolist() == [2, 2]


def test_a_file_without_the_namespace_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.xmile"
    path.write_text(xmile(root="xmile"), encoding="utf-8")
    with pytest.raises(ModelFileError, match="has no XMILE namespace; its root needs xmlns="):
        read_model(path)
