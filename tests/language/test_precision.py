"""Products follow the recorded precision inside the block only, and sums stay float32."""

import pytest
import torch

from saelib.language.model import LanguageModel
from saelib.language.precision import Precision, factor_type, matrix_products
from tests.helpers.small_models import VOCABULARY, random_rows, small_model, small_tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel("small", "0", small_model(), small_tokenizer())


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_settings_come_back_also_after_an_error(precision: Precision) -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(ArithmeticError), matrix_products(precision, CPU):
            assert torch.get_float32_matmul_precision() == "highest"  # TF32 is a matter of CUDA
            assert torch.is_autocast_enabled("cpu") is (precision == "bfloat16")
            raise ArithmeticError
        assert torch.get_float32_matmul_precision() == "medium"
        assert not torch.is_autocast_enabled("cpu")
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.cuda
def test_tf32_is_allowed_on_cuda_and_nowhere_else() -> None:
    with matrix_products("tf32", torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_pass_in_bfloat16_is_near_the_one_in_float32_and_keeps_a_float32_stream(model: LanguageModel) -> None:
    tokens = torch.from_numpy(random_rows(4)).long()
    exact = model.residual_streams(tokens, [0, 2])
    with matrix_products("bfloat16", CPU):
        rounded = model.residual_streams(tokens, [0, 2])
    with matrix_products("float32", CPU):
        assert torch.equal(model.residual_streams(tokens, [0, 2]), exact)
    assert rounded.dtype == torch.float32
    off = (rounded - exact).norm() / exact.norm()
    assert 1e-5 < off < 2e-2  # it is rounded, and no more than that
    assert model.vocabulary == VOCABULARY


def test_the_factors_of_a_step_are_narrow_in_bfloat16_alone() -> None:
    assert [factor_type(name) for name in ("float32", "tf32", "bfloat16")] == [
        torch.float32,
        torch.float32,
        torch.bfloat16,
    ]
