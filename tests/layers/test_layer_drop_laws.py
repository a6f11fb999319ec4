import dataclasses
import itertools

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.layers.layer_drop_laws import (
    LAWS,
    expected_depth,
    late_layer_drop,
    layer_drop_rates,
    subset_probability,
    suggested_rate,
)


@pytest.mark.parametrize(
    "law, expected",
    [
        ("constant", [0.4] * 5),
        ("linear", [0, 0.1, 0.2, 0.3, 0.4]),
        ("exponential", 0.4 * (2 ** np.array([0, 0.25, 0.5, 0.75, 1]) - 1)),
        ("alternate", [0, 0.4, 0, 0.4, 0]),
    ],
)
def test_laws_by_hand(law, expected):
    rates = layer_drop_rates(law, 5, 0.4)
    np.testing.assert_allclose(rates, expected, atol=1e-12)
    pinned = layer_drop_rates(law, 5, 0.4, pin_first=True, pin_last=True)
    np.testing.assert_allclose(pinned[1:-1], expected[1:-1], atol=1e-12)
    assert pinned[0] == pinned[-1] == 0


def test_late_layer_drop_by_hand():
    share = late_layer_drop(200)
    found = [share(step) for step in (0, 80, 95, 110, 140, 200, 300)]
    np.testing.assert_allclose(found, [0, 0, 0.25, 0.5, 1, 1, 1], atol=1e-12)


def test_every_law_has_rates_for_one_layer():
    for law in LAWS:
        (rate,) = layer_drop_rates(law, 1, 0.4)
        assert rate == (0.4 if law == "constant" else 0.0)


def test_alternate_drops_exactly_what_is_removed():
    rates = layer_drop_rates("alternate", 6, 0.5, kept=(0, 3, 5))
    assert rates == (0, 0.5, 0.5, 0, 0.5, 0)


def test_depths_and_probabilities_by_hand():
    rates = (0.0, 0.5, 0.2)
    assert expected_depth(rates) == pytest.approx(2.3)
    assert subset_probability((0, 2), rates) == pytest.approx(0.5 * 0.8)
    assert subset_probability((1, 2), rates) == 0
    assert suggested_rate(12, 6) == 0.5
    assert expected_depth([suggested_rate(12, 3)] * 12) == pytest.approx(3)


def test_probabilities_of_all_subsets_are_one_together():
    rates = (0.1, 0.35, 0.6, 0.0)
    subsets = [
        subset
        for size in range(5)
        for subset in itertools.combinations(range(4), size)
    ]
    found = np.array([subset_probability(s, rates) for s in subsets])
    assert found.sum() == pytest.approx(1)
    sizes = np.array([len(subset) for subset in subsets])
    assert found @ sizes == pytest.approx(expected_depth(rates))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: layer_drop_rates("cubic", 4, 0.1), "`law` must be one of"),
        (lambda: layer_drop_rates("linear", 4, 1.0), "`rate` must be in"),
        (
            lambda: layer_drop_rates("alternate", 4, 0.1, kept=(0, 4)),
            r"`kept` must be layers from 0 to 3. Received: \[0, 4\]",
        ),
        (lambda: subset_probability((3,), (0.1, 0.2)), "`subset` must be"),
        (lambda: suggested_rate(4, 5), "`kept` must be from 1 to 4"),
        (lambda: late_layer_drop(0), "`steps` must be at least 1. Received: 0"),
        (
            lambda: late_layer_drop(10, begin=0.7, full=0.7),
            "`begin` and `full` must be .* Received: 0.7 and 0.7",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_model_has_the_rates_of_its_config(tiny_config):
    rates = layer_drop_rates("linear", tiny_config.num_layers, 0.4)
    config = dataclasses.replace(tiny_config, layer_drop=rates)
    backbone = kd.BertBackbone(config, seed=0)
    found = [float(layer.rate) for layer in backbone.layer_drops]
    np.testing.assert_allclose(found, rates, atol=1e-7)
    again = kd.BertBackbone.from_config(backbone.get_config())
    assert again.config.layer_drop == rates
    assert config.with_layers(1).layer_drop == 0.0
    for wrong in (rates[1:], (*rates[1:], 1.0)):
        with pytest.raises(ValueError, match="`layer_drop` must be in"):
            dataclasses.replace(tiny_config, layer_drop=wrong)
