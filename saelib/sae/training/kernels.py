"""The loops of the sparse step, compiled by numba: each touches the active features of a batch alone.

In: plain float32 arrays, rows contiguous. Out: the same arrays, filled. numba knows no vector of numbers, and LLVM
does not vectorise loops through a list of rows; so this module has a type of 16 numbers, `lanes`, and what the loops
do with it. Vectors and loops stand in one file because numba's cache looks at the file of a loop alone.

Lists of entries, "by token" and "by feature": entry k of row i is where `starts[i] <= k < starts[i + 1]`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel import PrimitiveModel
from numba.extending import intrinsic, register_model

from saelib.sae.training.compiling import compiled
from saelib.sae.training.workspace import LANES

FLOAT, INT32 = ir.FloatType(), ir.IntType(32)
FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT32, LANES)

exactly = compiled()  # sums in the order that is written, and no "fastmath": a NaN must stay one


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="lanes")


lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _load(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    place = _pointer(context, builder, array_type, array, index)
    return builder.load(builder.bitcast(place, FLOATS.as_pointer()), align=4)


def _repeat(builder: Any, value: Any, kind: Any) -> Any:
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, INT32(0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(INTS, [0] * LANES))


@intrinsic
def load(_: Any, array: Any, index: Any) -> Any:
    """16 numbers of a flat array, from `index` on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(context, builder, signature.args[0], values[0], values[1])

    return lanes(array, types.intp), generate


@intrinsic
def store(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Write 16 numbers into a flat array, from `index` on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, signature.args[0], values[0], values[1])
        builder.store(values[2], builder.bitcast(place, FLOATS.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic
def repeat(_: Any, value: Any) -> Any:
    """One number, 16 times."""
    return lanes(types.float32), lambda context, builder, signature, values: _repeat(builder, values[0], FLOATS)


@intrinsic
def times_plus(_: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, number by number, rounded once where the processor can."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        product = builder.fmul(values[0], values[1], flags=("contract",))
        return builder.fadd(product, values[2], flags=("contract",))

    return lanes(lanes, lanes, lanes), generate


@intrinsic
def total(_: Any, value: Any) -> Any:
    """Sum of 16 numbers, halves first: the order is the same on every processor."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rest, width = values[0], LANES
        while width > 1:
            width //= 2
            kind = ir.VectorType(INT32, width)
            low, high = (ir.Constant(kind, list(range(start, start + width))) for start in (0, width))
            nothing = ir.Constant(rest.type, ir.Undefined)
            rest = builder.fadd(builder.shuffle_vector(rest, nothing, low), builder.shuffle_vector(rest, nothing, high))
        return builder.extract_element(rest, INT32(0))

    return types.float32(lanes), generate


@intrinsic
def keep_active(_: Any, source: Any, index: Any, features: Any, values: Any, place: Any, first: Any) -> Any:
    """Append those of 16 numbers that are active (not 0 or less, so that NaN is seen), and which they are; how many.

    `features` and `values` are lists of int32 and float32 with `place` entries so far; `first` is the number of the
    first of the 16 features.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, first = arguments[4:]
        numbers = _load(context, builder, signature.args[0], *arguments[:2])
        active = builder.fcmp_unordered(">", numbers, ir.Constant(FLOATS, [0.0] * LANES))
        which = builder.add(_repeat(builder, first, INTS), ir.Constant(INTS, list(range(LANES))))
        for name, kept, position in (("v16i32", which, 2), ("v16f32", numbers, 3)):
            start = _pointer(context, builder, signature.args[position], arguments[position], place)
            kinds = [kept.type, start.type, active.type]
            write = builder.module.declare_intrinsic(
                f"llvm.masked.compressstore.{name}", (), ir.FunctionType(ir.VoidType(), kinds)
            )
            builder.call(write, [kept, start, active])
        count = builder.ctpop(builder.bitcast(active, ir.IntType(LANES)))
        return builder.zext(count, context.get_value_type(types.intp))

    return types.intp(source, types.intp, features, values, types.intp, types.int32), generate


@exactly
def find_active(before, starts, features, values):  # type: ignore[no-untyped-def]
    """List the active entries of pre-activations by token; False where the lists are too short for them."""
    tokens, d_sae = before.shape
    flat, place = before.reshape(before.size), 0
    starts[0] = 0
    for token in range(tokens):
        if place + d_sae > len(values):
            return False
        for feature in range(0, d_sae, LANES):
            place += keep_active(flat, token * d_sae + feature, features, values, place, np.int32(feature))
        starts[token + 1] = place
    return True


@exactly
def list_by_feature(starts, features, values, feature_starts, tokens, token_values):  # type: ignore[no-untyped-def]
    """The same entries by feature, tokens rising."""
    feature_starts[:] = 0
    for entry in range(starts[-1]):
        feature_starts[features[entry] + 1] += 1
    for feature in range(len(feature_starts) - 1):
        feature_starts[feature + 1] += feature_starts[feature]
    next_place = feature_starts[:-1].copy()
    for token in range(len(starts) - 1):
        for entry in range(starts[token], starts[token + 1]):
            place = next_place[features[entry]]
            next_place[features[entry]] += 1
            tokens[place], token_values[place] = token, values[entry]


@exactly
def _four(numbers, entry):  # type: ignore[no-untyped-def]
    return repeat(numbers[entry]), repeat(numbers[entry + 1]), repeat(numbers[entry + 2]), repeat(numbers[entry + 3])


@exactly
def _four_places(numbers, entry, width):  # type: ignore[no-untyped-def]
    return (numbers[entry] * width, numbers[entry + 1] * width, numbers[entry + 2] * width, numbers[entry + 3] * width)


@exactly
def _add_row(sums, at, factor, rows, row, width):  # type: ignore[no-untyped-def]
    for d in range(0, width, LANES):
        store(sums, at + d, times_plus(factor, load(rows, row + d), load(sums, at + d)))


@exactly
def _add_rows(sums, at, factors, rows, places, width):  # type: ignore[no-untyped-def]
    """Four rows at once: their sum is loaded and stored once for all."""
    (f0, f1, f2, f3), (r0, r1, r2, r3) = factors, places
    for d in range(0, width, LANES):
        half = times_plus(f0, load(rows, r0 + d), times_plus(f1, load(rows, r1 + d), load(sums, at + d)))
        store(sums, at + d, times_plus(f2, load(rows, r2 + d), times_plus(f3, load(rows, r3 + d), half)))


@exactly
def _product(a, at, b, place, width):  # type: ignore[no-untyped-def]
    products = repeat(np.float32(0))
    for d in range(0, width, LANES):
        products = times_plus(load(a, at + d), load(b, place + d), products)
    return total(products)


@exactly
def _products(a, at, b, places, width):  # type: ignore[no-untyped-def]
    (p0, p1, p2, p3), zero = places, repeat(np.float32(0))
    s0, s1, s2, s3 = zero, zero, zero, zero
    for d in range(0, width, LANES):
        row = load(a, at + d)
        s0, s1 = times_plus(row, load(b, p0 + d), s0), times_plus(row, load(b, p1 + d), s1)
        s2, s3 = times_plus(row, load(b, p2 + d), s2), times_plus(row, load(b, p3 + d), s3)
    return total(s0), total(s1), total(s2), total(s3)


@exactly
def scaled_error(x, W_dec, b_dec, starts, features, values, scale, error, b_dec_grad):  # type: ignore[no-untyped-def]
    """Fill `error` with scale * (reconstruction - x) and add its sum to `b_dec_grad`; the squared error, unscaled."""
    tokens, d_model = x.shape
    inputs, errors, rows = x.reshape(x.size), error.reshape(error.size), W_dec.reshape(W_dec.size)
    one, minus_one, zero = repeat(np.float32(1)), repeat(np.float32(-1)), repeat(np.float32(0))
    squared, factor = 0.0, repeat(scale)
    for token in range(tokens):
        at, entry, end = token * d_model, starts[token], starts[token + 1]
        for d in range(0, d_model, LANES):
            store(errors, at + d, times_plus(load(inputs, at + d), minus_one, load(b_dec, d)))
        while entry + 4 <= end:
            _add_rows(errors, at, _four(values, entry), rows, _four_places(features, entry, d_model), d_model)
            entry += 4
        while entry < end:
            _add_row(errors, at, repeat(values[entry]), rows, features[entry] * d_model, d_model)
            entry += 1
        squared += _product(errors, at, errors, at, d_model)
        for d in range(0, d_model, LANES):
            scaled = times_plus(load(errors, at + d), factor, zero)
            store(errors, at + d, scaled)
            store(b_dec_grad, d, times_plus(scaled, one, load(b_dec_grad, d)))
    return squared


@exactly
def weight_gradients(x, error, W_dec, slope, starts, tokens, values, W_enc_grad, W_dec_grad, b_enc_grad, sums):  # type: ignore[no-untyped-def]
    """Add both weights' gradients, feature by feature, and each feature's sum to `sums`.

    The gradient of an active entry is its decoder row times the error, plus `slope`. `W_enc_grad` is [d_sae, d_model].
    """
    width = x.shape[1]
    inputs, errors, rows = x.reshape(x.size), error.reshape(error.size), W_dec.reshape(W_dec.size)
    enc, dec = W_enc_grad.reshape(W_enc_grad.size), W_dec_grad.reshape(W_dec_grad.size)
    for feature in range(len(starts) - 1):
        at, entry, end = feature * width, starts[feature], starts[feature + 1]
        while entry + 4 <= end:
            places = _four_places(tokens, entry, width)
            p0, p1, p2, p3 = _products(rows, at, errors, places, width)
            g0, g1, g2, g3 = p0 + slope, p1 + slope, p2 + slope, p3 + slope
            _add_rows(dec, at, _four(values, entry), errors, places, width)
            _add_rows(enc, at, (repeat(g0), repeat(g1), repeat(g2), repeat(g3)), inputs, places, width)
            b_enc_grad[feature] += (g0 + g1) + (g2 + g3)
            sums[feature] += (values[entry] + values[entry + 1]) + (values[entry + 2] + values[entry + 3])
            entry += 4
        while entry < end:
            place = tokens[entry] * width
            gradient = _product(rows, at, errors, place, width) + slope
            _add_row(dec, at, repeat(values[entry]), errors, place, width)
            _add_row(enc, at, repeat(gradient), inputs, place, width)
            b_enc_grad[feature] += gradient
            sums[feature] += values[entry]
            entry += 1
