"""The benchmark of reading a text for features runs, and its page has its numbers."""

from benchmarks.features import SIZES, TIMES, Size, measure, page


def test_it_measures_what_it_says() -> None:
    found = measure(Size(16, 64, 4), 2)
    assert 0.005 < found["density"] < 0.1
    assert found["seconds"] > 0


def test_its_page_has_a_line_for_each_size_and_text() -> None:
    found = {"seconds": 1.5, "megabytes": 42.4, "density": 0.03}
    lines = page([(name, times, found) for name in SIZES for times in TIMES]).splitlines()
    assert "| smollm2 | 576 | 2,304 | 65,536 | 1.5 | 42 |" in lines  # 8 x 64 rows of 128 tokens
    assert len([line for line in lines if line.startswith("| ")]) == 1 + len(SIZES) * len(TIMES)
