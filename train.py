"""Trains an experiment: ``python train.py [EXPERIMENT] [--overrides]``; ``--list`` names them all."""

import sys

from cellmotion_jax.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
