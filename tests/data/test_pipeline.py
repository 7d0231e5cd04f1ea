import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.data.pipeline import gather, member_batches
from cellmotion_jax.errors import InputError

SOURCE = [
    {
        "image": np.full((2, 3, 1), index, np.float32),
        "angle": np.float32(index / 10),
        "track": np.int32(index),
        "sequence": "Set/01",
    }
    for index in range(40)
]
MEMBERS = [np.arange(0, 13), np.arange(20, 40), np.arange(0, 13)]


def batches(count, *, seed=0, start_step=0, members=MEMBERS, batch_size=4):
    stream = member_batches(SOURCE, members=members, batch_size=batch_size, seed=seed, start_step=start_step)
    return [*itertools.islice(stream, count)]


def test_leaves_have_a_member_and_a_batch_axis():
    (batch,) = batches(1)
    assert {name: value.shape for name, value in batch.items()} == {
        "image": (3, 4, 2, 3, 1),
        "angle": (3, 4),
        "track": (3, 4),
    }
    assert {name: value.dtype for name, value in batch.items()} == {
        "image": np.float32,
        "angle": np.float32,
        "track": np.int32,
    }
    np.testing.assert_array_equal(batch["image"][..., 1, 2, 0], batch["track"])
    np.testing.assert_allclose(batch["angle"], batch["track"] / 10, rtol=1e-6)


def test_every_member_sees_all_of_its_samples_once_an_epoch():
    drawn = np.concatenate([batch["track"] for batch in batches(13)], axis=1)
    for member, indices in enumerate(MEMBERS):
        for epoch in range(2):
            part = drawn[member, epoch * len(indices) : (epoch + 1) * len(indices)]
            np.testing.assert_array_equal(np.sort(part), indices)


def test_orders_differ_between_members_epochs_and_seeds():
    drawn = np.concatenate([batch["track"] for batch in batches(13)], axis=1)
    other = np.concatenate([batch["track"] for batch in batches(13, seed=1)], axis=1)
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0, :13], drawn[0, 13:26])
    assert not np.array_equal(drawn[0], other[0])


@settings(max_examples=5)
@given(start=st.integers(0, 30), seed=st.integers(0, 2**32 - 1))
def test_a_batch_is_a_function_of_the_seed_and_the_step(start, seed):
    from_zero = batches(start + 2, seed=seed)
    for expected, batch in zip(from_zero[start:], batches(2, seed=seed, start_step=start)):
        assert expected.keys() == batch.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], expected[name])


def test_a_batch_as_large_as_the_data():
    (batch,) = batches(1, members=[np.arange(7)], batch_size=7)
    np.testing.assert_array_equal(np.sort(batch["track"][0]), np.arange(7))


def test_a_batch_larger_than_the_data_names_both_numbers():
    sentence = (
        "^batch_size is 14, but member 0 has only 13 samples to train on; choose a smaller batch or more data"
    )
    with pytest.raises(InputError, match=sentence):
        member_batches(SOURCE, members=MEMBERS, batch_size=14, seed=0, start_step=0)


def test_gather_keeps_the_shape_of_the_indices_and_reads_each_sample_once():
    class Counting:
        reads: list[int] = []

        def __len__(self):
            return len(SOURCE)

        def __getitem__(self, index):
            self.reads.append(index)
            return SOURCE[index]

    indices = np.array([[5, 3, 5], [39, 3, 0]])
    gathered = gather(Counting(), indices)
    np.testing.assert_array_equal(gathered["track"], indices)
    assert gathered["image"].shape == (2, 3, 2, 3, 1)
    assert "sequence" not in gathered
    assert sorted(Counting.reads) == [0, 3, 5, 39]
