"""Training step of the probing CNN at batch 32 beside the same model in Keras (JAX backend).

``python benchmarks/probing_cnn.py``. One step is forward, the squared L1 distance on the circle (Eq. 8), its
gradient and an Adam update. Both start from the same parameters and see the same batch; before anything is
timed their losses and gradients are checked to agree. Keras runs jitted, once through ``train_on_batch`` and
once through its stateless interface with donated buffers, which leaves out its bookkeeping and is its best.
"""

from __future__ import annotations

import functools
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
from timing import interleaved, print_table

from cellmotion_jax.losses.circular import circle_distance_squared
from cellmotion_jax.models.direction import ProbingCNN
from cellmotion_jax.ops.angles import encode_circle, sigmoid_activation

BATCH = 32
SIZE = 128
LEARNING_RATE = 1e-3
OURS = "cellmotion_jax"


class OurTraining:
    """The Linen module with optax."""

    def __init__(self, images, targets):
        self.batch = images, targets
        self.model = ProbingCNN(neurons=2)
        self.params = self.model.init(jax.random.key(0), images[:1], train=False)["params"]
        self.optimizer = optax.adam(LEARNING_RATE, eps=1e-7)
        self.opt_state = self.optimizer.init(self.params)

    def loss(self, params, images, targets):
        """Mean over the batch."""
        outputs = self.model.apply({"params": params}, images, train=True)
        return jnp.mean(circle_distance_squared(sigmoid_activation(outputs.encoding), targets))

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
    def update(self, params, opt_state, images, targets):
        """The next parameters and optimiser state."""
        loss, gradients = jax.value_and_grad(self.loss)(params, images, targets)
        updates, opt_state = self.optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def step(self):
        """One update."""
        self.params, self.opt_state, loss = self.update(self.params, self.opt_state, *self.batch)
        return loss


def keras_model(params) -> keras.Model:
    """Table 1 in Keras, with our parameters."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((SIZE, SIZE, 1)),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(2, activation=lambda x: keras.ops.tanh(x / 2)),
        ]
    )
    model.set_weights([np.array(weights) for weights in in_the_order_of_keras(params)])
    return model


def in_the_order_of_keras(params) -> list[jax.Array]:
    """Kernel and bias of every layer, from the image to the direction."""
    layers = [
        params["conv1"],
        params["conv2"],
        params["dense1"],
        params["dense2"],
        params["head"]["direction"],
    ]
    return [layer[name] for layer in layers for name in ("kernel", "bias")]


def squared_distance(targets, predictions):
    return keras.ops.square(keras.ops.sum(keras.ops.abs(predictions - targets), axis=-1))


class KerasStateless:
    """The interface that Keras documents for own training loops in JAX."""

    def __init__(self, images, targets, params):
        self.batch = images, targets
        self.model = keras_model(params)
        self.optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self.optimizer.build(self.model.trainable_variables)
        self.state = [
            [jnp.array(variable.value) for variable in variables]
            for variables in (self.model.trainable_variables, self.optimizer.variables)
        ]
        self.fixed = [variable.value for variable in self.model.non_trainable_variables]

    def loss(self, trainable, images, targets):
        """Mean over the batch."""
        predictions, _ = self.model.stateless_call(trainable, self.fixed, images, training=True)
        return keras.ops.mean(squared_distance(targets, predictions))

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def update(self, state, images, targets):
        """The next parameters and optimiser state."""
        trainable, optimizer_state = state
        loss, gradients = jax.value_and_grad(self.loss)(trainable, images, targets)
        return self.optimizer.stateless_apply(optimizer_state, gradients, trainable), loss

    def step(self):
        """One update."""
        state, loss = self.update(self.state, *self.batch)
        self.state = list(state)
        return loss


class KerasTrainOnBatch:
    """What most users of Keras call."""

    def __init__(self, images, targets, params):
        self.batch = images, targets
        self.model = keras_model(params)
        self.model.compile(keras.optimizers.Adam(LEARNING_RATE), squared_distance, jit_compile=True)

    def step(self):
        """One update."""
        return self.model.train_on_batch(*self.batch)


def check_same_function(ours: OurTraining, theirs: KerasStateless) -> None:
    """A model that computes something else is no peer."""
    loss, gradients = jax.value_and_grad(ours.loss)(ours.params, *ours.batch)
    their_loss, their_gradients = jax.value_and_grad(theirs.loss)(theirs.state[0], *theirs.batch)
    np.testing.assert_allclose(loss, their_loss, rtol=1e-4)
    for gradient, their_gradient in zip(in_the_order_of_keras(gradients), their_gradients):
        np.testing.assert_allclose(gradient, their_gradient, atol=2e-3 * float(jnp.abs(gradient).max()))


def main() -> None:
    images = jax.random.normal(jax.random.key(1), (BATCH, SIZE, SIZE, 1))
    targets = encode_circle(jax.random.uniform(jax.random.key(2), (BATCH,), maxval=2 * jnp.pi))
    ours = OurTraining(images, targets)
    stateless = KerasStateless(images, targets, ours.params)
    on_batch = KerasTrainOnBatch(images, targets, ours.params)
    check_same_function(ours, stateless)
    seconds = interleaved(
        {OURS: ours.step, "Keras, stateless": stateless.step, "Keras, train_on_batch": on_batch.step},
        rounds=15,
        calls=3,
    )
    print(f"Training step, {BATCH} images of {SIZE} x {SIZE}")
    print_table(seconds, ours=OURS, packages=("jax", "flax", "optax", "keras"))


if __name__ == "__main__":
    main()
