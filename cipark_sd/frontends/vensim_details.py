"""What a Vensim file says outside its equations: settings and unit synonyms."""

import re
import warnings
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


#: What of a method is otherwise here. Source: Vensim's manual, integration.html.
_OTHERWISE: Mapping[str, str] = {
    **dict.fromkeys(
        ("1", "3"),
        "it asks for Runge-Kutta in steps that are made as small as needed; here each is the TIME STEP: halve it and "
        "see whether the numbers stay",
    ),
    "2": "it asks for the method Diff, which saves auxiliaries as they were at the saved time before; here they are "
    "those of the time itself",
}


def vensim_method(text: str) -> Method:
    """The integration method of the settings line ``15:``; Euler where there is none."""
    return _METHODS.get(_number(text), "euler")


def say_method(name: str, text: str) -> None:
    """Warn where the method of a file is another one in Vensim."""
    if reason := _OTHERWISE.get(_number(text)):
        warnings.warn(f"{name}: {reason}", stacklevel=2)


def _number(text: str) -> str:
    setting = re.search(r"^15:([^\r\n]*)", text, flags=re.MULTILINE)
    fields = [] if setting is None else [field.strip() for field in setting.group(1).split(",")]
    return fields[3] if len(fields) > 3 else "0"


def vensim_synonyms(text: str) -> tuple[tuple[str, ...], ...]:
    """Units that the settings lines ``22:`` declare to be the same."""
    lines = re.findall(r"^22:([^\r\n]*)", text, flags=re.MULTILINE)
    groups = (tuple(name.strip() for name in line.split(",") if name.strip()) for line in lines)
    return tuple(group for group in groups if group)
