"""Live-cell microscopy as pure, compiled JAX functions.

Vocabulary, used everywhere in this package:

Axes
    In this order: ``batch time y x channel``; ``cell``, ``anchor``, ``level`` and ``feature`` for
    the rest. Images are NHWC. Where several independent trainings run side by side their axis is
    ``member`` and comes first.
Points and boxes
    Points are ``(y, x)`` in pixels, y down. Boxes are ``(y0, x0, y1, x1)``, half-open.
Angles
    Radians in [0, 2 pi), counter-clockwise from +x as a person sees the image. A displacement
    ``(dy, dx)`` therefore has the angle ``atan2(-dy, dx)``, and a unit vector on the circle is
    written ``(cos, sin)``, its second component pointing up.
Units
    Lengths are in pixels unless the name ends in ``_um``, times in frames unless it ends in ``_s``.

Arguments:
    ``predictions`` and ``targets``, ``logits`` and ``labels``; ``where`` is a boolean array that
    says what counts, ``weights`` a real one; ``key`` is a JAX random key and always comes first,
    ``rng`` is a NumPy generator. Data are positional, options are keyword-only.

Importing this package, ``cellmotion_jax.ops``, ``cellmotion_jax.losses`` or
``cellmotion_jax.models`` pulls in jax, flax, numpy and jaxtyping and nothing else.
"""

__version__ = "0.1.0"
