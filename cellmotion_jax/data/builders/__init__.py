"""TFDS builders: one module per kind of sample, each with a function that returns a random-access source."""
