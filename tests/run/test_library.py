"""The library's hash follows what the code does, not how it is written."""

from pathlib import Path

import pytest

from saelib.run.library import code_digest, code_of

CODE = '''"""Doc."""

class Sum:
    """Adds."""

    def of(self, x: int) -> int:
        "One."
        return x + 1
'''


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (CODE.replace('"""Doc."""', "# a comment"), True),
        (CODE.replace("Adds.", "Adds one."), True),
        (CODE.replace("x + 1", "(x  +  1)  # why"), True),
        (CODE.replace('        "One."\n', ""), True),
        (CODE.replace("x + 1", "x + 2"), False),
        (CODE.replace("x + 1", "x - 1"), False),
        (CODE.replace("return x + 1", 'return "x + 1"'), False),
        (CODE.replace("of(self", "at(self"), False),
        (CODE.replace("x: int) -> int", "x: 'float') -> float"), True),
        (CODE.replace("return x + 1", "raise ValueError(x)"), False),
        (CODE + "Sum.zero = None\n", False),
        (CODE + "Sum.zero = ()\n", False),
    ],
)
def test_it_changes_with_the_code_alone(changed: str, same: bool) -> None:
    assert (code_of(changed) == code_of(CODE)) is same


def test_words_of_errors_are_no_part_of_it() -> None:
    """A mended message keeps no long run from going on; another kind of error may be caught elsewhere."""
    first, others = "if x:\n    raise ValueError('no')", ("if x:\n    raise OSError('no')", "if x:\n    raise")
    assert code_of(first) == code_of(first.replace("'no'", "f'{x} is no number; use one'"))
    assert len({code_of(first), *map(code_of, others), code_of("if x:\n    ValueError('no')")}) == 4


def test_a_tree_is_written_without_what_is_empty() -> None:
    """By hand: what Python 3.13 leaves out and 3.11 writes must not tell them apart."""
    written = "Module(body=[Assign(targets=[Name(id='x',ctx=Store())],value=Constant(value=1))])"
    assert code_of('"""Doc."""\nx = 1') == written
    assert code_of("x = None") == written.replace("value=1", "")


def test_a_room_is_all_that_is_beneath_it(tmp_path: Path) -> None:
    def digest(*rooms: str) -> str:
        code_digest.cache_clear()
        return code_digest(*rooms, library=tmp_path)

    for name in ("sae/train.py", "sae/training/step.py", "transfer/plans.py", "transfer/figures.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"x = {name!r}")
    rooms = ("sae", "transfer/plans.py")
    first = digest(*rooms)
    assert digest(*reversed(rooms)) == digest("sae", *rooms) == first
    (tmp_path / "transfer/figures.py").write_text("x = 2")
    assert digest(*rooms) == first
    (tmp_path / "sae/training/step.py").write_text("x = 2")
    second = digest(*rooms)
    (tmp_path / "sae/training/step.py").rename(tmp_path / "sae/training/steps.py")
    assert len({first, second, digest(*rooms), digest("sae")}) == 4
    with pytest.raises(FileNotFoundError, match="sea is no room of the library"):
        digest("sea")
