"""A training problem small enough to run hundreds of times: a noisy line, a network with everything in it."""

import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.training.config import AdamW, Phase, Run
from cellmotion_jax.training.loop import fit


class Toy(nn.Module):
    """An encoder with batch normalisation and dropout under a linear head."""

    @nn.compact
    def __call__(self, images, *, train: bool):
        x = Encoder(name="encoder")(images, train=train)
        return nn.Dense(1, name="head")(x)[:, 0]


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, images, *, train: bool):
        # No bias: normalisation cancels it, and Adam would blow its rounding noise up to full steps.
        x = nn.Dense(6, use_bias=False, name="dense")(images)
        x = nn.BatchNorm(momentum=0.9, name="norm")(x, use_running_average=not train)
        return nn.Dropout(0.2, deterministic=not train)(nn.relu(x))


def objective(outputs, batch):
    loss = jnp.mean(jnp.square(outputs - batch["target"]))
    return loss, {"mse": loss}


def augment(key, batch):
    return {**batch, "image": batch["image"] + 0.01 * jax.random.normal(key, batch["image"].shape)}


def no_augmentation(key, batch):
    del key
    return dict(batch)


def batches(members: int, *, batch_size: int = 8, poison: int | None = None):
    """Batch i is a function of i; at step ``poison`` (counted from 1) the first target is NaN."""

    def iterator(start):
        step = start
        while True:
            rng = np.random.default_rng(step)
            image = rng.normal(size=(members, batch_size, 3)).astype(np.float32)
            target = image.sum(-1) + 0.1 * rng.normal(size=(members, batch_size)).astype(np.float32)
            if step + 1 == poison:
                target[0, 0] = np.nan
            yield {"image": image, "target": target}
            step += 1

    return iterator


def evaluate(state):
    """Distance of every member's head from zero: something that depends on the state alone."""
    return {"norm": np.asarray(jnp.sum(jnp.square(state.params["head"]["kernel"]), axis=(1, 2)))}


def toy_fit(folder: pathlib.Path, *, members: int = 2, phases=(Phase(steps=12),), run=None, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {
        "model": Toy(),
        "objective": objective,
        "augment": augment,
        "optimizer": AdamW(weight_decay=0.01),
        "batches": batches(members),
        "evaluate": evaluate,
        "best_metric": "norm",
        **changes,
    }
    run = run or Run(batch_size=8, log_every=2, evaluate_every=4, checkpoint_every=3)
    return fit(
        phases=phases, run=run, folder=folder, members=[f"member {i}" for i in range(members)], **arguments
    )
