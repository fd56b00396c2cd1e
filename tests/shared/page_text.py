"""The text of a page as it reads."""

import re


def without_links(text: str) -> str:
    """A page whose words are not linked to what they mean."""
    return re.sub(r'<a class="word" href="#[a-z-]+">(.*?)</a>', r"\1", text)
