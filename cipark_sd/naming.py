"""One rule for names, the modelling languages' own: case, blanks and underscores do not matter."""

import re

_BLANKS = re.compile(r"[\s_]+")
#: A part of a name in quotes: all of it, or what stands between dots, which in XMILE lead into a module.
_QUOTED = re.compile(r'(?:^|(?<=\.))"((?:\\"|[^"])*)"(?=\.|$)')


def canonical(label: str) -> str:
    """The form under which a name is compared and stored.

    Vensim and XMILE treat letters of either case as the same, and any run of blanks or underscores as one blank;
    quotes only protect special characters. The result is lower case with single underscores.

    >>> canonical("Total  Residents") == canonical("total_residents") == "total_residents"
    True
    >>> canonical('"R&D budget"'), canonical('Farms."meat / milk"')
    ('r&d_budget', 'farms.meat_/_milk')
    """
    text = label.strip()
    if '"' in text:
        text = _QUOTED.sub(lambda part: part[1].strip().replace('\\"', '"'), text)
    text = text.replace("\\n", " ")
    return _BLANKS.sub("_", text.strip()).lower()


def spelling(name: str, text: str) -> str:
    """How a canonical name is written in a text; the name itself where it is not found.

    >>> spelling("_class_", "y = __class__ / 2"), spelling("birth_rate", "x = Birth  Rate"), spelling("a", "b")
    ('__class__', 'Birth Rate', 'a')
    """
    blanks = r"[ \t\r\n_]+"
    pattern = rf"(?<![^\W_])(?:{blanks.join(map(re.escape, name.split('_')))})(?!\w)"
    match = re.search(pattern, text, re.IGNORECASE)
    return plain_label(match[0]) if match else name


def plain_label(label: str) -> str:
    """The modeller's name without protecting quotes and with single blanks, for people to read.

    >>> plain_label('"R&D   budget"')
    'R&D budget'
    """
    text = label.strip()
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1].replace('\\"', '"')
    return re.sub(r"\s+", " ", text.replace("\\n", " ")).strip()
