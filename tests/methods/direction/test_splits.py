import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.splits import split_by_group, split_by_image


@given(n=st.integers(3, 500), fold=st.integers(0, 9), seed=st.integers(0, 9))
def test_every_sample_is_in_one_part(n, fold, seed):
    split = split_by_image(n, fold=fold, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(n))
    assert all(len(part) > 0 for part in split)
    assert abs(len(split.train) - 0.4 * n) <= 1
    assert abs(len(split.test) - 0.5 * n) <= 1


@given(groups=st.lists(st.integers(0, 20), min_size=3, max_size=200), fold=st.integers(0, 9))
def test_groups_stay_whole(groups, fold):
    groups = np.array([*groups, 100, 101, 102])
    split = split_by_group(groups, fold=fold, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(len(groups)))
    train, validation, test = (set(groups[part].tolist()) for part in split)
    assert min(len(train), len(validation), len(test)) > 0
    assert len(train) + len(validation) + len(test) == len(set(groups.tolist()))


def test_equal_groups_are_split_four_to_one_to_five():
    split = split_by_group(np.repeat(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], 7), fold=2, seed=3)
    assert [len(part) for part in split] == [28, 7, 35]


def test_a_split_is_a_function_of_its_fold_and_seed():
    def test_part(fold, seed):
        return split_by_image(100, fold=fold, seed=seed).test.tolist()

    assert test_part(1, 0) == test_part(1, 0)
    assert len({tuple(test_part(fold, seed)) for fold in range(4) for seed in range(4)}) == 16


@pytest.mark.parametrize("groups", [[1, 1, 2, 2], [5], []])
def test_fewer_than_three_groups_cannot_be_split(groups):
    sentence = (
        rf"^{len(groups)} samples in {len(set(groups))} groups cannot be split; training, validation and test"
    )
    with pytest.raises(InputError, match=sentence):
        split_by_group(np.array(groups), fold=0, seed=0)
