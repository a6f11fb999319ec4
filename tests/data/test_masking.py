import itertools
import math

import numpy as np
import pytest
from keras_kd.data.masking import MaskedLMMasking, smoothed_token_probs

SPECIAL_IDS = (0, 1, 2, 3, 4)
PAD, CLS, SEP, MASK = 0, 2, 3, 4
VOCABULARY_SIZE = 1000


def make_masking(**options):
    return MaskedLMMasking(VOCABULARY_SIZE, SPECIAL_IDS, PAD, MASK, **options)


def random_blocks(count, length=128, seed=0):
    generator = np.random.default_rng(seed)
    blocks = generator.integers(5, VOCABULARY_SIZE, (count, length))
    blocks[:, 0], blocks[:, -1] = CLS, SEP
    return blocks.astype("uint16")  # as a token store has them


@pytest.fixture(scope="module")
def many():
    """2000 blocks and their masks: 2000 x 19 = 38,000 tokens chosen."""
    blocks = random_blocks(2000)
    return blocks, *make_masking()(blocks, np.arange(2000), epoch=0)


def choose(masking, block, index=0, epoch=0):
    """Sorted positions chosen in one block."""
    x, _, weights = masking(np.array([block]), [index], epoch)
    return sorted(x["mask_positions"][0][weights[0] == 1].tolist())


# How many


@pytest.mark.parametrize(
    "rate, block_length, positions",
    [
        (0.15, 128, 19),  # 0.15 * 126 = 18.9
        (0.15, 22, 3),  # 0.15 * 20 = 3
        (0.15, 23, 4),  # 3.15, rounded up
        (0.15, 8, 1),  # 0.9
        (0.5, 8, 3),
        (0.99, 8, 6),  # all of them
        (0.001, 8, 1),
    ],
)
def test_positions_per_block_are_the_share_rounded_up(
    rate, block_length, positions
):
    masking = make_masking(rate=rate)
    assert masking.positions_per_block(block_length) == positions
    x, y, weights = masking(random_blocks(3, block_length), range(3), 0)
    assert x["mask_positions"].shape == y.shape == weights.shape
    np.testing.assert_array_equal(weights, np.ones((3, positions)))


def test_shapes_and_types(many):
    _, x, y, weights = many
    assert {name: (v.shape, v.dtype.name) for name, v in x.items()} == {
        "token_ids": ((2000, 128), "int32"),
        "segment_ids": ((2000, 128), "int32"),
        "padding_mask": ((2000, 128), "int32"),
        "mask_positions": ((2000, 19), "int32"),
    }
    assert (y.shape, y.dtype.name) == ((2000, 19), "int32")
    assert (weights.shape, weights.dtype.name) == ((2000, 19), "float32")
    np.testing.assert_array_equal(x["segment_ids"], np.zeros((2000, 128)))
    np.testing.assert_array_equal(x["padding_mask"], np.ones((2000, 128)))


def test_a_short_block_hides_its_own_share_and_weighs_the_rest_nothing():
    # 6 tokens of 20: ceil(0.9) = 1 of K = 3. Then 7: ceil(1.05) = 2. Then 0.
    blocks = np.zeros((3, 22), int)
    blocks[0, :8] = [CLS, 5, 6, 7, 8, 9, 10, SEP]
    blocks[1, :10] = [CLS, 5, 6, 7, SEP, 8, 9, 10, 11, SEP]
    blocks[2, :8] = [CLS, *[SEP] * 7]
    x, y, weights = make_masking()(blocks, range(3), 0)
    np.testing.assert_array_equal(weights, [[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(y[weights == 0], np.zeros(6))
    np.testing.assert_array_equal(
        x["mask_positions"][weights == 0], np.zeros(6)
    )
    np.testing.assert_array_equal(x["padding_mask"].sum(axis=1), [8, 10, 8])
    np.testing.assert_array_equal(x["padding_mask"][0, :8], np.ones(8))
    np.testing.assert_array_equal(x["token_ids"][2], blocks[2])
    np.testing.assert_array_equal(blocks[0, 8:], np.zeros(14))  # left alone
    assert x["mask_positions"][0, 0] in range(1, 7)
    assert x["mask_positions"][1, 0] in (1, 2, 3, 5, 6, 7, 8)


# Which


def test_special_tokens_are_never_chosen():
    generator = np.random.default_rng(1)
    blocks = generator.integers(0, 10, (500, 32))  # half of them special
    x, y, weights = make_masking(rate=0.9)(blocks, range(500), 0)
    assert weights.sum() > 5000
    assert y[weights == 1].min() == 5
    special = blocks < 5
    np.testing.assert_array_equal(x["token_ids"][special], blocks[special])


def test_no_position_is_chosen_twice(many):
    positions = np.sort(many[1]["mask_positions"], axis=1)
    assert (np.diff(positions, axis=1) > 0).all()


def test_each_position_is_chosen_as_often_as_the_others(many):
    counts = np.bincount(many[1]["mask_positions"].ravel(), minlength=128)
    assert counts[0] == counts[127] == 0  # [CLS], [SEP]
    # Expected 2000 * 19 / 126 = 301.6, standard deviation 16: within 5 of it.
    assert abs(counts[1:127] - 301.6).max() < 80


# What is put there


def test_mask_ids_are_the_originals(many):
    blocks, x, y, _ = many
    rows = np.arange(2000)[:, None]
    np.testing.assert_array_equal(y, blocks[rows, x["mask_positions"]])


def test_tokens_not_chosen_are_unchanged(many):
    blocks, x, y, _ = many
    rows = np.arange(2000)[:, None]
    restored = x["token_ids"].copy()
    restored[rows, x["mask_positions"]] = y
    np.testing.assert_array_equal(restored, blocks)


def test_80_percent_are_masks_10_random_10_as_they_were(many):
    _, x, y, _ = many
    new = x["token_ids"][np.arange(2000)[:, None], x["mask_positions"]]
    masked, same = (new == MASK).mean(), (new == y).mean()
    # Of 38,000: standard deviations 0.0021 and 0.0015; within 5 of them.
    assert abs(masked - 0.8) < 0.010
    assert abs(same - 0.1) < 0.008
    assert abs((1 - masked - same) - 0.1) < 0.008


def test_random_tokens_are_any_but_special_ones():
    blocks = random_blocks(2000)
    masking = make_masking(mask_share=0.0, random_share=1.0)
    x, y, _ = masking(blocks, range(2000), 0)
    new = x["token_ids"][np.arange(2000)[:, None], x["mask_positions"]]
    counts = np.bincount(new.ravel(), minlength=VOCABULARY_SIZE)
    assert counts[:5].sum() == 0
    # Expected 38,000 / 995 = 38.2, standard deviation 6.2: within 6 of it.
    assert counts[5:].min() > 1
    assert counts[5:].max() < 76
    assert (new == y).mean() < 0.003  # by chance one in 995


@pytest.mark.parametrize(
    "mask_share, random_share, expected", [(1.0, 0.0, MASK), (0.0, 0.0, None)]
)
def test_shares_of_nought_and_one_are_exact(mask_share, random_share, expected):
    masking = make_masking(mask_share=mask_share, random_share=random_share)
    x, y, _ = masking(random_blocks(50), range(50), 0)
    new = x["token_ids"][np.arange(50)[:, None], x["mask_positions"]]
    np.testing.assert_array_equal(new, y if expected is None else expected)


# A pure function of (seed, epoch, index)


def test_masks_are_equal_for_equal_seed_epoch_and_index():
    blocks = random_blocks(4)
    first = make_masking(seed=3)(blocks, [7, 1, 9, 4], 2)
    again = make_masking(seed=3)(blocks, [7, 1, 9, 4], 2)
    for name, array in first[0].items():
        np.testing.assert_array_equal(array, again[0][name])
    np.testing.assert_array_equal(first[1], again[1])
    np.testing.assert_array_equal(first[2], again[2])


def test_masks_do_not_depend_on_the_rest_of_the_batch():
    blocks, indices = random_blocks(5), np.array([7, 1, 2**40, 4, 0])
    masking = make_masking()
    x, y, _ = masking(blocks, indices, 3)
    order = [4, 2, 0]
    for rows in ([0], [1], [2], order):
        part, part_y, _ = masking(blocks[rows], indices[rows], 3)
        for name in ("token_ids", "mask_positions"):
            np.testing.assert_array_equal(part[name], x[name][rows])
        np.testing.assert_array_equal(part_y, y[rows])


def test_masks_differ_with_seed_epoch_and_index():
    block = random_blocks(1)[0]
    chosen = [
        choose(make_masking(seed=seed), block, index, epoch)
        for seed, epoch, index in [
            (0, 0, 0),
            (1, 0, 0),
            (0, 1, 0),
            (0, 0, 1),
            (0, 1, 1),
            (1, 1, 1),
        ]
    ]
    assert len({tuple(positions) for positions in chosen}) == 6


def test_masks_are_what_they_were():
    # Were these to change, no earlier run could be resumed or replayed.
    block = np.array([CLS, *range(5, 25), SEP])
    x, y, _ = make_masking(rate=0.3, seed=3)(block[None], [7], 2)
    assert x["mask_positions"].tolist() == [[5, 8, 13, 3, 14, 11]]
    assert y.tolist() == [[9, 12, 17, 7, 18, 15]]
    block[[3, 8, 13]] = MASK
    block[[5, 14]] = 847, 807  # random; position 11 stays
    assert x["token_ids"].tolist() == [block.tolist()]


# Rare tokens more often


def test_smoothed_token_probs_are_powers_of_the_counts():
    counts = np.array([9, 0, 1, 16, 100])
    found = smoothed_token_probs(counts, (0,), smoothing=0.5)
    np.testing.assert_allclose(found, [0, 1, 1, 0.25, 0.1], rtol=1e-12)
    found = smoothed_token_probs([7, 1024], ())  # 2 ** (10 * -0.7)
    np.testing.assert_allclose(found[1], 1 / 128, rtol=1e-12)
    np.testing.assert_array_equal(
        smoothed_token_probs(counts, (1, 4), smoothing=0), [1, 0, 1, 1, 0]
    )


@pytest.mark.parametrize("across_batch", [False, True])
def test_equal_probabilities_choose_what_none_choose(across_batch):
    blocks = random_blocks(20)
    equal = np.full(VOCABULARY_SIZE, 0.3)
    masked = [
        make_masking(token_probs=probs, across_batch=across_batch)(
            blocks, range(20), 0
        )
        for probs in (None, equal)
    ]
    for name, array in masked[0][0].items():
        np.testing.assert_array_equal(array, masked[1][0][name])
    np.testing.assert_array_equal(masked[0][1], masked[1][1])


def one_after_another(probs, count):
    """Exact chances of being among `count` drawn without replacement."""
    chances = np.zeros(len(probs))
    for drawn in itertools.permutations(range(len(probs)), count):
        left, chance = sum(probs), 1.0
        for token in drawn:
            chance *= probs[token] / left
            left -= probs[token]
        chances[list(drawn)] += chance
    return chances


@pytest.mark.parametrize("rate, count", [(0.2, 1), (0.5, 2), (0.7, 3)])
def test_tokens_are_drawn_one_after_another_by_their_probabilities(rate, count):
    # Four tokens of chances 1 : 2 : 4 : 8; drawn one: 1/15, 2/15, 4/15, 8/15.
    probs = np.zeros(VOCABULARY_SIZE)
    probs[5:9] = 1, 2, 4, 8
    block = [CLS, 5, 6, 7, 8, SEP, PAD, PAD]
    blocks = np.tile(block, (20_000, 1))
    masking = make_masking(rate=rate, token_probs=probs)
    x, _, weights = masking(blocks, range(20_000), 0)
    assert (weights.sum(axis=1) == count).all()
    chosen = x["mask_positions"][weights == 1]
    found = np.bincount(chosen, minlength=8)[1:5] / 20_000
    # Standard deviation at most 0.0035; within 5 of it.
    expected = one_after_another([1, 2, 4, 8], count)
    np.testing.assert_allclose(found, expected, atol=0.018)


def test_a_token_of_probability_0_is_never_chosen():
    probs = np.ones(VOCABULARY_SIZE)
    probs[5] = 0
    blocks = np.array([[CLS, 5, 5, 5, 6, 5, 5, SEP]])
    # Half of the one token that can be chosen, rounded up.
    _, y, weights = make_masking(rate=0.5, token_probs=probs)(blocks, [0], 0)
    assert (y[weights == 1] == [6]).all()
    assert weights.sum() == 1
    probs[6] = 0
    _, _, weights = make_masking(rate=0.5, token_probs=probs)(blocks, [0], 0)
    assert weights.sum() == 0


# The share of a whole batch


def words(count, length, seed=0):
    """Blocks of tokens as frequent as words are, and their counts."""
    generator = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, VOCABULARY_SIZE - 4)
    ids = 5 + generator.choice(
        len(frequency), (count, length), p=frequency / frequency.sum()
    )
    ids[:, 0], ids[:, -1] = CLS, SEP
    return ids, np.bincount(ids.ravel(), minlength=VOCABULARY_SIZE)


@pytest.mark.parametrize(
    "length, positions",
    [
        (8, 6),  # no more than can be chosen
        (32, 19),  # 5 + 6 * root of 5
        (128, 47),  # 20 + 6 * root of 20
        (512, 154),  # 2 * 77
    ],
)
def test_a_block_can_hold_more_than_its_share_of_the_batch(length, positions):
    masking = make_masking(across_batch=True)
    assert masking.positions_per_block(length) == positions
    x, y, weights = masking(random_blocks(3, length), range(3), 0)
    assert x["mask_positions"].shape == y.shape == (3, positions)
    assert weights.shape == (3, positions)


def test_the_share_is_of_all_tokens_of_the_batch():
    blocks = random_blocks(10, 64)
    blocks[3, 20:] = PAD
    masking = make_masking(across_batch=True)
    x, y, weights = masking(blocks, range(10), 0)
    # Special tokens count: ceil(0.15 * (9 * 64 + 20)) = ceil(89.4).
    assert weights.sum() == 90
    by_block = weights.sum(axis=1)
    assert by_block[3] < by_block.max()
    assert len(set(by_block)) > 3
    assert (np.diff(weights, axis=1) <= 0).all()  # those left over come last
    rows = np.arange(10)[:, None]
    positions = x["mask_positions"]
    assert (y[weights == 1] == blocks[rows, positions][weights == 1]).all()
    assert (y[weights == 0] == 0).all()
    assert y[weights == 1].min() >= 5
    restored = x["token_ids"].copy()
    for row in range(10):
        here = positions[row][weights[row] == 1]
        assert len(set(here)) == len(here)
        restored[row, here] = blocks[row, here]
    np.testing.assert_array_equal(restored, blocks)


def test_a_batch_with_few_ordinary_tokens_has_them_all_chosen():
    blocks = np.full((2, 12), SEP)
    blocks[1, 4] = 7  # of ceil(0.15 * 24) = 4 wanted
    masking = make_masking(across_batch=True)
    x, _, weights = masking(blocks, range(2), 0)
    np.testing.assert_array_equal(weights.sum(axis=1), [0, 1])
    assert x["mask_positions"][1, 0] == 4
    _, _, weights = masking(blocks[:1], [0], 0)
    assert weights.sum() == 0


def test_a_batch_is_masked_in_law_as_the_scripts_do():
    # Their draw, in NumPy: positions of the flattened batch, one by one.
    blocks, counts = words(8, 32)
    probs = smoothed_token_probs(counts, SPECIAL_IDS)
    chances = probs[blocks].ravel() / probs[blocks].sum()
    wanted, rounds = math.ceil(0.15 * blocks.size), 4000
    generator = np.random.default_rng(1)
    theirs, ours = np.zeros(blocks.size), np.zeros(blocks.shape)
    masking = make_masking(token_probs=probs, across_batch=True)
    for epoch in range(rounds):
        drawn = generator.choice(blocks.size, wanted, False, chances)
        theirs[drawn] += 1 / rounds
        x, _, weights = masking(blocks, range(8), epoch)
        row, slot = np.nonzero(weights)
        ours[row, x["mask_positions"][row, slot]] += 1 / rounds
    # Two shares, each of standard deviation 0.007 at most: within 5.
    np.testing.assert_allclose(ours.ravel(), theirs, atol=0.049)
    assert theirs.max() > 0.2 > 0.03 > theirs[theirs > 0].min()
    np.testing.assert_array_equal(ours.ravel() > 0, theirs > 0)


def test_what_is_beyond_k_in_one_block_is_not_hidden():
    # All chances are in the first block: ceil(0.15 * 64 * 8) = 77 are drawn,
    # 62 of them there, where 10 + 6 * root of 10 = 29 have room.
    probs = np.full(VOCABULARY_SIZE, 1e-9)
    probs[7] = 1.0
    blocks = random_blocks(8, 64)
    blocks[blocks == 7] = 8
    blocks[0, 1:-1] = 7
    masking = make_masking(token_probs=probs, across_batch=True)
    _, _, weights = masking(blocks, range(8), 0)
    assert weights[0].sum() == 29
    assert weights.sum() == 29 + 77 - 62


@pytest.mark.parametrize("length", [32, 128, 512])
def test_next_to_nothing_is_beyond_k(length):
    blocks, counts = words(2048, length)
    probs = smoothed_token_probs(counts, SPECIAL_IDS)
    masking = make_masking(token_probs=probs, across_batch=True)
    wanted = hidden = 0
    for start in range(0, 2048, 32):
        batch = blocks[start : start + 32]
        hidden += masking(batch, np.arange(start, start + 32), 0)[2].sum()
        wanted += math.ceil(0.15 * batch.size)
    assert 1 - hidden / wanted < 1e-4


def test_masks_of_a_batch_can_be_made_again_and_differ_otherwise():
    blocks = random_blocks(4)

    def positions(seed, epoch, indices):
        masking = make_masking(seed=seed, across_batch=True)
        return masking(blocks, indices, epoch)[0]["mask_positions"]

    first = positions(3, 2, [7, 1, 9, 4])
    np.testing.assert_array_equal(first, positions(3, 2, [7, 1, 9, 4]))
    for other in (
        (4, 2, [7, 1, 9, 4]),
        (3, 1, [7, 1, 9, 4]),
        (3, 2, [8, 1, 9, 4]),
    ):
        assert (first != positions(*other)).any()


# Each by itself


def test_each_by_itself_is_hidden_with_the_rate(many):
    blocks = many[0]
    masking = make_masking(mask_share=1, random_share=0, independent=True)
    assert masking.positions_per_block(128) == 20 + 27  # ceil(6 * root of 20)
    x, _, weights = masking(blocks, range(2000), 0)
    counts = weights.sum(axis=1)
    ordinary = (blocks >= 5).sum(axis=1)
    assert abs(counts.sum() / ordinary.sum() - 0.15) < 0.002
    expected = (0.15 * 0.85 * ordinary).mean()
    assert abs(counts.var() / expected - 1) < 0.1  # of a binomial law
    np.testing.assert_array_equal((x["token_ids"] == MASK).sum(axis=1), counts)


# Errors


@pytest.mark.parametrize("rate", [-0.1, 0, 1, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(
        ValueError, match=rf"`rate` must be in \(0, 1\).*{rate}"
    ):
        make_masking(rate=rate)


@pytest.mark.parametrize(
    "mask_share, random_share", [(-0.1, 0.1), (0.8, -0.1), (0.8, 0.3)]
)
def test_shares_out_of_range_are_refused(mask_share, random_share):
    message = f"1 at most together.*: {mask_share} and {random_share}"
    with pytest.raises(ValueError, match=message):
        make_masking(mask_share=mask_share, random_share=random_share)


def test_a_negative_seed_is_refused():
    with pytest.raises(
        ValueError, match="`seed` must be a whole number of 0 or more.*: -1"
    ):
        make_masking(seed=-1)


@pytest.mark.parametrize("smoothing", [-0.1, float("nan"), float("inf")])
def test_a_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=f"`smoothing` must.*{smoothing}"):
        smoothed_token_probs([1, 2], (), smoothing)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_token_probs_out_of_range_or_too_few_are_refused(bad):
    probs = np.ones(VOCABULARY_SIZE)
    with pytest.raises(ValueError, match=r"1.0 to 1.0, shape \(999,\)"):
        make_masking(token_probs=probs[1:])
    probs[6] = bad
    with pytest.raises(ValueError, match="`token_probs` must be finite"):
        make_masking(token_probs=probs)


@pytest.mark.parametrize(
    "options, left_out",
    [
        ({"across_batch": True, "whole_words": np.zeros(1000)}, "whole_words"),
        ({"across_batch": True, "independent": True}, "independent"),
        ({"token_probs": np.ones(1000), "independent": True}, "independent"),
    ],
)
def test_what_cannot_hold_at_once_is_refused(options, left_out):
    with pytest.raises(ValueError, match=f"`{left_out}` must be left out"):
        make_masking(**options)


def test_whole_words_of_another_vocabulary_are_refused():
    with pytest.raises(ValueError, match=r"each of 1000 tokens.*shape \(30,\)"):
        make_masking(whole_words=np.zeros(30))
