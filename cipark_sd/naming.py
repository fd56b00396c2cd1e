"""One rule for names, the modelling languages' own: case, blanks and underscores do not matter."""

import re

_BLANKS = re.compile(r"[\s_]+")


def canonical(label: str) -> str:
    """The form under which a name is compared and stored.

    Vensim and XMILE treat letters of either case as the same, and any run of blanks or underscores as one blank;
    quotes only protect special characters. The result is lower case with single underscores.

    >>> canonical("Total  Residents") == canonical("total_residents") == "total_residents"
    True
    >>> canonical('"R&D budget"')
    'r&d_budget'
    """
    text = label.strip()
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1].replace('\\"', '"')
    text = text.replace("\\n", " ")
    return _BLANKS.sub("_", text.strip()).lower()


def plain_label(label: str) -> str:
    """The modeller's name without protecting quotes and with single blanks, for people to read.

    >>> plain_label('"R&D   budget"')
    'R&D budget'
    """
    text = label.strip()
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1].replace('\\"', '"')
    return re.sub(r"\s+", " ", text.replace("\\n", " ")).strip()
