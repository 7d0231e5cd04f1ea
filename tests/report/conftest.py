"""What was drawn, for tests that look into a picture and not only at its file."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
    """A list to which every figure is appended when it is written."""
    figures = []
    write = Figure.savefig

    def write_and_keep(figure, *arguments, **options):
        figures.append(figure)
        write(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", write_and_keep)
    return figures
