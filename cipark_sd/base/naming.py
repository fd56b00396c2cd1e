"""One rule for names, the modelling languages' own: case, blanks and underscores do not matter.

A name that has brackets itself, such as ``"Price [$/kg]"``, keeps its protecting quotes in every form, so that what
follows the quotes is what is in brackets behind a name: ``"Price [$/kg]"[food]``. This file alone takes the two apart,
and puts the quotes round names in TOML files.
"""

import re
from collections.abc import Container, Mapping
from functools import lru_cache
from typing import TypeVar, cast

from cipark_sd.base.inputs import LinedTable

_BLANKS = re.compile(r"[\s_]+")
_QUOTED = re.compile(r'\s*("(?:\\"|[^"])*")')
#: A part of a name in quotes: all of it, or what is between dots, which in XMILE lead into a module.
_PART = re.compile(r'(?:^|(?<=\.))"((?:\\"|[^"])*)"(?=\.|$)')


def _protected(label: str) -> tuple[str, bool]:
    """The text between the quotes of a label, if any, and whether they have to stay."""
    text = label.strip()
    plain = _PART.sub(lambda part: part[1].strip().replace('\\"', '"'), text) if '"' in text else text
    return plain, plain != text and ("[" in plain or "]" in plain)


def _with_quotes(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def bare(label: str) -> str:
    """The label without protecting quotes.

    >>> bare('"Price [$/kg]"'), bare("Price")
    ('Price [$/kg]', 'Price')
    """
    return _protected(label)[0]


def one_name(*labels: str) -> str:
    """A label made of several words and labels, in one pair of quotes where it has brackets.

    >>> one_name('"Level [m]"', "net flow"), one_name("Level", "net flow")
    ('"Level [m] net flow"', 'Level net flow')
    """
    return plain_label(_with_quotes(" ".join(map(bare, labels))))


def canonical(label: str) -> str:
    """The form under which a name is compared and stored.

    Vensim and XMILE treat letters of either case as the same, and any run of blanks or underscores as one blank;
    quotes only protect special characters. The result is lower case with single underscores.

    >>> canonical("Total  Residents") == canonical("total_residents") == "total_residents"
    True
    >>> canonical('"R&D budget"'), canonical('"Price [$/kg]"'), canonical('Farms."meat / milk"')
    ('r&d_budget', '"price_[$/kg]"', 'farms.meat_/_milk')
    """
    text, quotes = _protected(label)
    text = _BLANKS.sub("_", text.replace("\\n", " ").strip()).lower()
    return _with_quotes(text) if quotes else text


def split_name(text: str) -> tuple[str, tuple[str, ...]]:
    """A name and what is in brackets behind it, both as they are spelled.

    >>> split_name("Pool Size[ SOE, East ]"), split_name('"Price [$/kg]"[food]'), split_name('"Price [$/kg]"')
    (('Pool Size', ('SOE', 'East')), ('"Price [$/kg]"', ('food',)), ('"Price [$/kg]"', ()))
    """
    quoted = _QUOTED.match(text)
    start = text.find("[", quoted.end() if quoted else 0)
    if start < 0:
        return text.strip(), ()
    inside = text[start + 1 :].rstrip().removesuffix("]")
    return text[:start].strip(), tuple(element.strip() for element in inside.split(","))


@lru_cache(maxsize=4096)
def split_key(name: str) -> tuple[str, tuple[str, ...]]:
    """The canonical name of a variable, and those of the elements behind it, in any spelling of both.

    >>> split_key("Pool Size[ SOE ]"), split_key("pool_size")
    (('pool_size', ('soe',)), ('pool_size', ()))
    """
    base, elements = split_name(name)
    return canonical(base), tuple(map(canonical, elements))


def base_name(name: str) -> str:
    """The canonical name of the variable in ``Name`` or ``Name[element]``."""
    return split_key(name)[0]


def flat_name(name: str, elements: tuple[str, ...]) -> str:
    """One canonical name for an element of a variable: its key, and its name in a model without subscripts.

    >>> flat_name("residents", ("soe", "large"))
    'residents[soe,large]'

    Parameters
    ----------
    name : canonical
    elements : canonical, in the order of the variable's dimensions; none for a scalar
    """
    return f"{name}[{','.join(elements)}]" if elements else name


def override_key(name: str) -> str:
    """The canonical form of ``Name`` or ``Name[element, element]``.

    >>> override_key("Pool Size[ SOE ]")
    'pool_size[soe]'
    """
    return flat_name(*split_key(name))


def protected_among(text: str, names: Container[str]) -> str:
    """What somebody wrote, with quotes round a name that has brackets itself and is one of ``names``.

    The whole text is looked for first, and then what is before its last bracket.

    >>> names = {'"price_[$/kg]"', "stock"}
    >>> [protected_among(text, names) for text in ("Price [$/kg]", "Price [$/kg][food]", "Stock[food]")]
    ['"Price [$/kg]"', '"Price [$/kg]"[food]', 'Stock[food]']

    Parameters
    ----------
    text : ``Name`` or ``Name[element]``, in any spelling
    names : canonical names, those with brackets in quotes
    """
    if not {"[", "]"} & {*text} or _QUOTED.match(text):
        return text
    before, bracket, after = text.rpartition("[")
    for base, tail in ((text, ""), (before, bracket + after)):
        quoted = _with_quotes(base.strip())
        if {"[", "]"} & {*base} and canonical(quoted) in names:
            return quoted + tail
    return text


#: Characters of a name whose spelling is looked for: a pattern of a million takes 30 s and 600 MiB to compile.
_LONGEST = 1000


def spelling(name: str, text: str) -> str:
    """How a canonical name is written in a text; the name itself where it is not found.

    >>> spelling("_class_", "y = __class__ / 2"), spelling("birth_rate", "x = Birth  Rate"), spelling("a", "b")
    ('__class__', 'Birth Rate', 'a')

    Parameters
    ----------
    name : canonical
    text : in which it may stand
    """
    if len(name) > _LONGEST:
        return name
    blanks = r"[ \t\r\n_]+"
    pattern = rf"(?<![^\W_])(?:{blanks.join(map(re.escape, name.split('_')))})(?!\w)"
    match = re.search(pattern, text, re.IGNORECASE)
    return plain_label(match[0]) if match else name


def plain_label(label: str) -> str:
    """The modeller's name with single blanks for people to read, without protecting quotes but where it has brackets.

    >>> plain_label('"R&D   budget"'), plain_label('"Price [$/kg]"')
    ('R&D budget', '"Price [$/kg]"')
    """
    text, quotes = _protected(label)
    text = re.sub(r"\s+", " ", text.replace("\\n", " ")).strip()
    return _with_quotes(text) if quotes else text


T = TypeVar("T")


def respelled(content: T, names: Container[str], leave: Container[str] = ()) -> T:
    """The content of a TOML file with quotes round each name of ``names`` that has brackets and lacks them.

    Parameters
    ----------
    content : a table, a list or a value of TOML
    names : canonical names, those with brackets in quotes
    leave : keys below which no name of a variable stands, and whose values stay as they are

    Returns
    -------
    T
        Of the same kind as ``content``.
    """
    if isinstance(content, Mapping):
        values = {
            protected_among(key, names): value if key in leave else respelled(value, names, leave)
            for key, value in content.items()
        }
        if isinstance(content, LinedTable):
            lines = {protected_among(key, names): line for key, line in content.lines.items()}
            return cast(T, LinedTable(values, content.file, content.line, lines))
        return cast(T, values)
    if isinstance(content, list):
        return cast(T, [respelled(value, names, leave) for value in content])
    return cast(T, protected_among(content, names)) if isinstance(content, str) else content
