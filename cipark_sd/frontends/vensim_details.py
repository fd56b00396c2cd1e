"""What a Vensim file says outside its equations: settings and unit synonyms."""

import re
from collections.abc import Mapping

from cipark_sd.model.model import Method

#: Fourth number of Vensim's settings line ``15:``: Euler, RK4 auto, difference, RK2 auto, RK2, RK4.
_METHODS: Mapping[str, Method] = {
    "0": "euler",
    "1": "rk4_auto",
    "2": "euler",
    "3": "rk2_auto",
    "4": "rk2",
    "5": "rk4",
}


def vensim_method(text: str) -> Method:
    """The integration method of the settings line ``15:``; Euler where there is none."""
    setting = re.search(r"^15:([^\r\n]*)", text, flags=re.MULTILINE)
    if setting is None:
        return "euler"
    fields = [field.strip() for field in setting.group(1).split(",")]
    return _METHODS.get(fields[3] if len(fields) > 3 else "0", "euler")


def vensim_synonyms(text: str) -> tuple[tuple[str, ...], ...]:
    """Units that the settings lines ``22:`` declare to be the same."""
    lines = re.findall(r"^22:([^\r\n]*)", text, flags=re.MULTILINE)
    groups = (tuple(name.strip() for name in line.split(",") if name.strip()) for line in lines)
    return tuple(group for group in groups if group)
