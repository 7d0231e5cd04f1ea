"""``cellmotion import-weights``: converts published weights to the parameter names of this library."""

from __future__ import annotations

import dataclasses
import pathlib

import tyro

from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.settings import Settings
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import import_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ImportOptions(Settings):
    """Converts published weights of a network to a safetensors file with this library's parameter names.

    Every tensor of the source is checked; if one is missing, unknown or of another shape, the import stops.
    No code in the source is run: pickles are read as data. Neither Keras nor torch is needed.
    """

    source: tyro.conf.Positional[pathlib.Path]
    """File with the weights: Keras .h5, .weights.h5 or .keras, torch state dict, safetensors or npz."""
    model: str
    """Name of the network that the weights belong to, from the list above."""
    out: pathlib.Path
    """The safetensors file to write."""
    licence: str = ""
    """Licence of the weights, stored in the file."""


def convert_weights(arguments: list[str]) -> None:
    """Converts published weights."""
    options = parse_options(
        _ImportOptions,
        arguments,
        prog="cellmotion import-weights",
        more_help=f"Models: {', '.join(CATALOGUE)}.",
    )
    report = import_weights(options.source, model=options.model, out=options.out, licence=options.licence)
    print(  # noqa: T201
        f"Wrote {options.out}: {report.model}, {report.tensors} tensors of {report.values:,} values "
        f"({', '.join(report.source_types)} in the source)."
    )
    if report.left_out:
        print(f"Left out, the network has no such parts: {', '.join(report.left_out)}.")  # noqa: T201
