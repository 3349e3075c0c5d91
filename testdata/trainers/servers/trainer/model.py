"""The model, and how it is exported."""

from __future__ import annotations

import keras
import tensorflow as tf


def make() -> keras.Model:
    """float32 pixels [n, 64] of 0..16 -> logits [n, 10]."""
    keras.utils.set_random_seed(17)
    pixels = keras.Input((64,), name="pixels")
    hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Rescaling(1 / 16)(pixels))
    return keras.Model(pixels, keras.layers.Dense(10)(hidden))


def export(trained: keras.Model, folder: str) -> None:
    """Write a SavedModel of the signature `serving_default`: float32 `pixels` [n, 64] -> float32 `probabilities`
    [n, 10], int64 `digit` [n].

    The weights move to a model that no strategy knows, so that saving takes this process alone.
    """
    model = make()
    model.set_weights(trained.get_weights())

    @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, "pixels")], autograph=False)
    def score(pixels):
        probabilities = tf.nn.softmax(model(pixels))
        return {"probabilities": probabilities, "digit": tf.argmax(probabilities, axis=1)}

    module = tf.Module()
    module.owned = [variable.value for variable in model.variables]
    tf.saved_model.save(module, folder, signatures={"serving_default": score})
