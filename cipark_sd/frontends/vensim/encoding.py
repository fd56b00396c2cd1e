"""The text of a Vensim file, which says by itself, or not, how it is encoded."""

import codecs
import re

#: Byte-order marks of other widths; that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(raw: bytes) -> str:
    """The text of a Vensim file: by its byte-order mark, its first line, else as UTF-8, else as Windows-1252."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding, errors="replace")
    first = raw[:200].splitlines()[0] if raw else b""
    named = re.search(rb"\{([\w-]+)\}", first)
    declared = [named.group(1).decode("ascii", "replace")] if named else []
    for encoding in (*declared, "utf-8-sig"):
        try:
            codecs.lookup(encoding)
            return raw.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
        except (LookupError, UnicodeError):
            continue
    return raw.decode("cp1252", errors="replace")
