import keras
import numpy as np
from keras_kd.layers.seeds import DrawnSeed, split_seed


def test_one_seed_gives_many_that_differ_and_stay_the_same():
    seeds = split_seed(7, 50)
    assert len(set(seeds)) == 50
    assert seeds == split_seed(7, 50)
    assert seeds != split_seed(8, 50)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_no_seed_gives_another_draw_each_time():
    assert split_seed(None, 4) != split_seed(None, 4)


def test_no_seed_draws_from_kerass():
    found = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        found.append([split_seed(None, 3), split_seed(None, 3)])
    assert found[0] == found[1] != found[2]
    assert found[0][0] != found[0][1]


def test_a_drawn_seed_gives_what_its_generator_would_have_given():
    first, second = (keras.random.SeedGenerator(3) for _ in range(2))
    drawn = DrawnSeed(first.next())
    found = [keras.random.uniform((4,), seed=drawn) for _ in range(2)]
    expected = keras.random.uniform((4,), seed=second)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], expected)  # no state to advance
