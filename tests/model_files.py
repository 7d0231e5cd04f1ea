"""Comparison of a model with what its file gives back."""

import dataclasses

import chex
import jax


def assert_same_model(loaded, model):
    """Every field is equal, and so is every variable."""
    for field in dataclasses.fields(model):
        if field.name != "variables":
            assert getattr(loaded, field.name) == getattr(model, field.name), field.name
    chex.assert_trees_all_equal(jax.device_get(loaded.variables), dict(model.variables))
