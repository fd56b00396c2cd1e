"""The README for the page of a package index, where the files of the repository are not: names in place of links to
them, no pictures, no comments. The build of wheel and sdist calls it (``pyproject.toml``).
"""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: What leads to a file beside the README.
_BESIDE = r"\((?!https?://|#)[^)]*\)"
_PICTURE = re.compile(rf"\[?!\[[^\]]*\]{_BESIDE}(?:\]{_BESIDE})?\n*|<!--.*?-->\n*", re.DOTALL)
_LINK = re.compile(rf"\[([^\]]+)\]{_BESIDE}")


class RegistryReadme(MetadataHookInterface):
    """Fills ``readme``, which ``pyproject.toml`` calls dynamic."""

    def update(self, metadata: dict[str, object]) -> None:
        """Put the text in its place."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = _LINK.sub(r"\1", _PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
