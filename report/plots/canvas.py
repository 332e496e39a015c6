"""The canvas that figures are drawn on; only the drawing processes import it, for it brings matplotlib."""

from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine


class Canvas(Figure):
    """matplotlib's figure, drawn once: `savefig` draws all of it twice, the first time for the sake of the layout."""

    def draw(self, renderer: RendererBase) -> None:
        """Lays out as long as the layout is open, which `savefig` then closes; draws when it is closed."""
        engine = self.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.execute(self)
        else:
            super().draw(renderer)
