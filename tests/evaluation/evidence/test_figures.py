import re
import xml.etree.ElementTree as ElementTree

import pytest
from keras_kd.evaluation.evidence.facts import complete
from keras_kd.evaluation.evidence.figures import (
    frequency_chart,
    quality_chart,
    reliability_chart,
)

CHARTS = (quality_chart, frequency_chart, reliability_chart)


def letters(svg):
    """All texts of an SVG."""
    tree = ElementTree.fromstring(svg)
    return [
        "".join(node.itertext())
        for node in tree.iter("{http://www.w3.org/2000/svg}text")
    ]


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_names_every_model_and_needs_no_other_file(chart, results):
    svg = chart(complete(results))
    found = [text.replace("\u200b", "") for text in letters(svg)]
    assert set(results["models"]) <= set(found)
    for target in re.findall(r'(?:href|src)="([^"]*)"', svg):
        assert target.startswith("#")
    assert "<image" not in svg and "@import" not in svg


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_the_same_each_time(chart, results):
    assert chart(complete(results)) == chart(complete(results))


def test_an_empty_bucket_is_left_out_of_the_line(results):
    svg = frequency_chart(complete(results))
    assert "12 to" in letters(svg) and "nan" not in svg.lower()
