import io

import keras_kd as kd
import pytest
from rich.console import Console

RESULTS = {
    "teacher": {"masked_cross_entropy": 2.5, "top1": 0.5},
    "student": {"masked_cross_entropy": 3.0, "top1": 0.25, "teacher_kl": 0.125},
}


def test_compare_prints_every_figure_and_a_dash_for_none():
    out = io.StringIO()
    kd.compare(RESULTS, console=Console(file=out, width=80), title="held out")
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["held", "out"] in lines
    assert ["teacher", "2.500", "50.0%", "-"] in lines
    assert ["student", "3.000", "25.0%", "0.125"] in lines


def test_a_row_of_all_columns_fits_a_terminal_of_80():
    out = io.StringIO()
    row = {
        "masked_cross_entropy": 5.123,
        "perplexity": 1234.5,
        "top1": 0.5,
        "top5": 0.6,
        "teacher_kl": 0.25,
        "teacher_agreement": 0.75,
        "parameters": 12_345_678,
        "latency_ms": 12.3,
    }
    console = Console(file=out, width=80)
    kd.compare({"a: teacher's layers": row}, console=console)
    assert "a: teacher's layers" in out.getvalue()
    assert "12.35  12.3" in out.getvalue()
    kd.compare({"a/name/as/long/as/this" * 5: row}, console=console)
    assert out.getvalue().count("12.35  12.3") == 2


def test_versus_best_is_the_distance_to_the_lowest():
    results = kd.compare(RESULTS, console=Console(file=io.StringIO()))
    assert results["teacher"]["versus_best"] == 0.0
    assert results["student"]["versus_best"] == 0.5


def test_the_figure_is_a_picture_and_nothing_is_left_beside_it(tmp_path):
    curves = {"student": [(10, 4.0), (20, 3.0)]}
    path = tmp_path / "comparison.png"
    kd.compare(RESULTS, curves, path, console=Console(file=io.StringIO()))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["comparison.png"]


def test_no_results_and_results_without_cross_entropy_are_refused():
    with pytest.raises(ValueError, match="`results` must map names"):
        kd.compare({})
    with pytest.raises(ValueError, match=r"Received: \['student'\]"):
        kd.compare({"student": {"top1": 0.5}})
