"""A figure that a notebook shows as a picture, whichever of matplotlib's backends is in use."""

import base64
from collections.abc import Collection

from matplotlib import figure

from cipark_sd.pages.figures.files import rendered

#: Dots an inch of the picture for programs that show no SVG.
DPI = 110


class Figure(figure.Figure):
    """A figure of matplotlib's that is not pyplot's, and is shown all the same."""

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """The SVG, and the PNG for who cannot show it."""
        return {
            "image/svg+xml": rendered(self, "svg", dpi=DPI).decode(),
            "image/png": base64.b64encode(rendered(self, "png", dpi=DPI)).decode(),
        }
