"""Vector instructions for compiled functions: small pieces of LLVM code that a plain loop would not become.

Each function below is called from numba-compiled code with addresses (int64) and becomes a few machine instructions.
Vectors are written 16 numbers wide; LLVM splits them on processors with narrower registers. `HAS_VNNI` says whether
this processor multiplies bytes (AVX-512 VNNI); `int8_dots` may be called only then. A kernel for AMX tiles would be a
third function beside `int8_dots` and `float_dots`.

Layouts. A *line* is one row of bfloat16 numbers as stored. A *tile* holds 64 rows turned on their side, so that one
vector covers 16 rows: step s is 4 vectors of 32-bit words, at byte 256 s. In the byte tile a word holds four bytes of a
row, in the float tile one float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I8, I32, I64, FLOAT = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
BYTE_POINTER = I8.as_pointer()
INTS, FLOATS, BYTES = ir.VectorType(I32, 16), ir.VectorType(FLOAT, 16), ir.VectorType(I8, 64)
WORD_BYTES, VECTOR_BYTES, STEP_BYTES = 4, 64, 256
QUERIES = 4  # queries a tile is multiplied with at a time: 4 x 4 vectors of sums stay in registers
HIGH_HALF = -65536  # the upper 16 bits of a word: the odd bfloat16 of a pair, as a float32

_FEATURES = llvmlite.binding.get_host_cpu_features()
# The instruction takes vectors of bytes since LLVM 22, before that of words.
HAS_VNNI = bool(
    llvmlite.binding.llvm_version_info[0] >= 22 and _FEATURES.get("avx512f") and _FEATURES.get("avx512vnni")
)


def instruction(build: Callable[..., Any]) -> Any:
    """A function for compiled code that becomes the LLVM code which `build` writes."""
    return intrinsic(build)


def _integer(value: int, kind: ir.Type = I64) -> ir.Constant:
    return ir.Constant(kind, value)


def _load(builder: Any, address: Any, kind: ir.Type) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=1)


def _offset(builder: Any, address: Any, index: Any, step: int) -> Any:
    return builder.add(address, builder.mul(index, _integer(step)))


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with `value` in every lane."""
    nothing = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(nothing, value, _integer(0, I32))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def _call(builder: Any, name: str, result: ir.Type, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    declare: Any = cgutils.get_or_insert_function
    return builder.call(declare(builder.module, kind, name), arguments)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the processor can."""
    return _call(builder, "llvm.fma.v16f32", FLOATS, [a, b, c])


def _floats(builder: Any, words: Any) -> tuple[Any, Any]:
    """Words of two bfloat16 each -> the even ones and the odd ones as float32."""
    shift = ir.Constant(INTS, [16] * 16)
    mask = ir.Constant(INTS, [HIGH_HALF] * 16)
    return builder.bitcast(builder.shl(words, shift), FLOATS), builder.bitcast(builder.and_(words, mask), FLOATS)


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """16 vectors of 16 words -> the 16 columns, by four rounds of exchanges between vectors 1, 2, 4, 8 apart."""
    rows = list(rows)
    for apart in (1, 2, 4, 8):
        low = [16 + lane - apart if lane & apart else lane for lane in range(16)]
        high = [16 + lane if lane & apart else lane + apart for lane in range(16)]
        for i in range(16):
            if not i & apart:
                pair = rows[i], rows[i + apart]
                for place, lanes in ((i, low), (i + apart, high)):
                    order = ir.Constant(ir.VectorType(I32, 16), lanes)
                    rows[place] = builder.shuffle_vector(*pair, order)
    return rows


def _sums(builder: Any, start: Any, count: int) -> list[Any]:
    """`count` vectors of sums that live in registers and begin with `start`."""
    make: Any = cgutils.alloca_once
    sums = [make(builder, start.type) for _ in range(count)]
    for each in sums:
        builder.store(start, each)
    return sums


@instruction
def prefetch(context: Any, address: Any) -> Any:
    """Ask for the cache line at `address`."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], BYTE_POINTER)
        read, keep, data = (_integer(value, I32) for value in (0, 3, 1))
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, read, keep, data])
        return target.get_dummy_value()

    return types.void(types.int64), generate


@instruction
def reaching(context: Any, scores: Any, threshold: Any) -> Any:
    """64 float32 at an address -> uint64 whose bit r says scores[r] >= threshold."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = _load(builder, arguments[0], ir.VectorType(FLOAT, 64))
        return builder.bitcast(builder.fcmp_ordered(">=", values, _splat(builder, arguments[1], 64)), I64)

    return types.uint64(types.int64, types.float32), generate


@instruction
def add_boosts(context: Any, scores: Any, factor: Any, words: Any, weights: Any, count: Any) -> Any:
    """scores[r] = scores[r] * factor + the weights of the terms t whose bit r is set, term after term.

    scores 64 float32, words uint64[count] and weights float32[count] at addresses
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scores, factor, words, weights, count = arguments
        wide = ir.VectorType(FLOAT, 64)
        (sums,) = _sums(builder, builder.fmul(_load(builder, scores, wide), _splat(builder, factor, 64)), 1)
        with cgutils.for_range(builder, count) as loop:
            bits = _load(builder, _offset(builder, words, loop.index, 2 * WORD_BYTES), I64)
            weight = _splat(builder, _load(builder, _offset(builder, weights, loop.index, WORD_BYTES), FLOAT), 64)
            has = builder.bitcast(bits, ir.VectorType(ir.IntType(1), 64))
            before = builder.load(sums)
            builder.store(builder.select(has, builder.fadd(before, weight), before), sums)
        _store(builder, builder.load(sums), scores)
        return target.get_dummy_value()

    return types.void(types.int64, types.float32, types.int64, types.int64, types.int64), generate


@instruction
def pack_bytes(context: Any, line: Any, stride: Any, inverse: Any, tile: Any) -> Any:
    """64 bfloat16 of each of 16 lines, `stride` bytes apart -> 16 steps of a byte tile, one vector each.

    A byte is round(x * inverse) + 128. Word l of a line becomes the bytes of its numbers 2l, 2l + 1, 32 + 2l, 33 + 2l:
    queries are put in the same order by `query_bytes`.
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line, stride, inverse, tile = arguments
        scale = _splat(builder, inverse, 16)
        # Adding 1.5 * 2^23 leaves the rounded integer in the lowest bits of a float32.
        magic = ir.Constant(FLOATS, [12582912.0 + 128.0] * 16)
        low_byte = ir.Constant(INTS, [255] * 16)
        words = []
        for row in range(16):
            start = builder.add(line, builder.mul(stride, _integer(row)))
            packed = None
            position = 0
            for half in range(2):
                pairs = _load(builder, builder.add(start, _integer(half * VECTOR_BYTES)), INTS)
                for numbers in _floats(builder, pairs):
                    code = builder.bitcast(_fma(builder, numbers, scale, magic), INTS)
                    code = builder.shl(builder.and_(code, low_byte), ir.Constant(INTS, [8 * position] * 16))
                    packed = code if packed is None else builder.or_(packed, code)
                    position += 1
            words.append(packed)
        for step, vector in enumerate(_transposed(builder, words)):
            _store(builder, vector, builder.add(tile, _integer(step * STEP_BYTES)))
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32, types.int64), generate


@instruction
def pack_floats(context: Any, line: Any, stride: Any, tile: Any) -> Any:
    """32 bfloat16 of each of 16 lines, `stride` bytes apart -> 32 steps of a float tile, one vector each, in order."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line, stride, tile = arguments
        words = [_load(builder, builder.add(line, builder.mul(stride, _integer(row))), INTS) for row in range(16)]
        for pair, vector in enumerate(_transposed(builder, words)):
            for part, numbers in enumerate(_floats(builder, vector)):
                _store(builder, numbers, builder.add(tile, _integer((2 * pair + part) * STEP_BYTES)))
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _tile_product(kind: ir.Type, multiply: Callable[[Any, Any, Any, Any], Any]) -> Any:
    """out[k][r] = first[k] + sum over steps of tile word (step, r) times word `step` of query k."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile, steps, queries, stride, first, out = arguments
        firsts = [_load(builder, builder.add(first, _integer(k * WORD_BYTES)), kind.element) for k in range(QUERIES)]
        sums = [_sums(builder, _splat(builder, firsts[k], 16), 4) for k in range(QUERIES)]
        starts = [builder.add(queries, builder.mul(stride, _integer(k))) for k in range(QUERIES)]
        with cgutils.for_range(builder, steps) as loop:
            step = _offset(builder, tile, loop.index, STEP_BYTES)
            rows = [_load(builder, builder.add(step, _integer(VECTOR_BYTES * part)), INTS) for part in range(4)]
            for k in range(QUERIES):
                word = _splat(builder, _load(builder, _offset(builder, starts[k], loop.index, WORD_BYTES), I32), 16)
                for part in range(4):
                    total = multiply(builder, builder.load(sums[k][part]), rows[part], word)
                    builder.store(total, sums[k][part])
        for k in range(QUERIES):
            for part in range(4):
                total = builder.load(sums[k][part])
                total = builder.sitofp(total, FLOATS) if kind is INTS else total
                _store(builder, total, builder.add(out, _integer(k * STEP_BYTES + part * VECTOR_BYTES)))
        return target.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@instruction
def int8_dots(context: Any, tile: Any, steps: Any, queries: Any, stride: Any, first: Any, out: Any) -> Any:
    """QUERIES byte queries times a byte tile, exact in int32, then as float32 [QUERIES,64] at `out`.

    Bytes of the tile count as 0 to 255, those of a query as -127 to 127; `first` holds int32[QUERIES] that are added,
    -128 times the sum of a query's bytes. No result leaves int32 up to 65,536 numbers.
    """

    def multiply(builder: Any, total: Any, rows: Any, word: Any) -> Any:
        operands = [builder.bitcast(each, BYTES) for each in (rows, word)]
        return _call(builder, "llvm.x86.avx512.vpdpbusd.512", INTS, [total, *operands])

    return _tile_product(INTS, multiply)


@instruction
def float_dots(context: Any, tile: Any, steps: Any, queries: Any, stride: Any, first: Any, out: Any) -> Any:
    """QUERIES float32 queries times a float tile plus `first` float32[QUERIES] -> float32 [QUERIES,64] at `out`."""

    def multiply(builder: Any, total: Any, rows: Any, word: Any) -> Any:
        return _fma(builder, builder.bitcast(rows, FLOATS), builder.bitcast(word, FLOATS), total)

    return _tile_product(FLOATS, multiply)


@instruction
def slot_dots(context: Any, slots: Any, rows: Any, line: Any, groups: Any, query: Any, out: Any) -> Any:
    """The rows of 16 slots times one query -> 16 float32 at `out`.

    slots   address of int32[16]
    rows    address of the first row; `line` bytes further comes the next
    groups  how many times 32 numbers
    query   float32 [groups,2,16]: the even numbers of 32, then the odd ones
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        slots, rows, line, groups, query, out = arguments
        chosen = builder.sext(_load(builder, slots, INTS), ir.VectorType(I64, 16))
        offsets = builder.mul(chosen, _splat(builder, line, 16))
        addresses = [builder.add(rows, builder.extract_element(offsets, _integer(row, I32))) for row in range(16)]
        sums = _sums(builder, ir.Constant(FLOATS, [0.0] * 16), 16)
        with cgutils.for_range(builder, groups) as loop:
            parts = _offset(builder, query, loop.index, 2 * VECTOR_BYTES)
            even = _load(builder, parts, FLOATS)
            odd = _load(builder, builder.add(parts, _integer(VECTOR_BYTES)), FLOATS)
            for row in range(16):
                words = _load(builder, _offset(builder, addresses[row], loop.index, VECTOR_BYTES), INTS)
                low, high = _floats(builder, words)
                total = _fma(builder, high, odd, _fma(builder, low, even, builder.load(sums[row])))
                builder.store(total, sums[row])
        vectors = [builder.bitcast(builder.load(each), INTS) for each in sums]
        columns = [builder.bitcast(each, FLOATS) for each in _transposed(builder, vectors)]
        while len(columns) > 1:
            columns = [builder.fadd(a, b) for a, b in zip(columns[::2], columns[1::2], strict=True)]
        _store(builder, columns[0], out)
        return target.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@instruction
def write_slots(context: Any, bits: Any, first: Any, out: Any) -> Any:
    """first + the positions of the set bits, ascending, as int32 at `out`; up to 64 bytes beyond are overwritten."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, first, out = arguments
        half = ir.IntType(16)
        lanes = ir.VectorType(ir.IntType(1), 16)
        numbers = builder.add(ir.Constant(INTS, list(range(16))), _splat(builder, builder.trunc(first, I32), 16))
        for part in range(4):
            some = builder.trunc(builder.lshr(bits, _integer(16 * part)), half)
            slots = builder.add(numbers, ir.Constant(INTS, [16 * part] * 16))
            arguments = [slots, builder.bitcast(some, lanes), slots]
            _store(builder, _call(builder, "llvm.experimental.vector.compress.v16i32", INTS, arguments), out)
            written = builder.zext(builder.ctpop(some), I64)
            out = _offset(builder, out, written, WORD_BYTES)
        return target.get_dummy_value()

    return types.void(types.uint64, types.int64, types.int64), generate


@instruction
def add_boosts_on(context: Any, scores: Any, slots: Any, bitmaps: Any, weights: Any, count: Any) -> Any:
    """scores[l] += the weights of the terms t whose bitmap has the bit of slots[l], term after term.

    scores float32[16], slots int32[16], bitmaps int64[count] (each an address) and weights float32[count] at addresses
    """

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scores, slots, bitmaps, weights, count = arguments
        chosen = _load(builder, slots, INTS)
        longs, pointers = ir.VectorType(I64, 16), ir.VectorType(I32.as_pointer(), 16)
        whole = builder.lshr(chosen, ir.Constant(INTS, [5] * 16))  # of 32 bits
        offsets = builder.shl(builder.zext(whole, longs), ir.Constant(longs, [2] * 16))
        places = builder.and_(chosen, ir.Constant(INTS, [31] * 16))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(1), 16), [1] * 16)
        (sums,) = _sums(builder, _load(builder, scores, FLOATS), 1)
        with cgutils.for_range(builder, count) as loop:
            weight = _splat(builder, _load(builder, _offset(builder, weights, loop.index, WORD_BYTES), FLOAT), 16)
            bitmap = _splat(builder, _load(builder, _offset(builder, bitmaps, loop.index, 2 * WORD_BYTES), I64), 16)
            addresses = builder.inttoptr(builder.add(offsets, bitmap), pointers)
            gathered = [addresses, _integer(4, I32), everywhere, ir.Constant(INTS, [0] * 16)]
            words = _call(builder, "llvm.masked.gather.v16i32.v16p0", INTS, gathered)
            has = builder.trunc(builder.lshr(words, places), ir.VectorType(ir.IntType(1), 16))
            before = builder.load(sums)
            builder.store(builder.select(has, builder.fadd(before, weight), before), sums)
        _store(builder, builder.load(sums), scores)
        return target.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@instruction
def line_dot(context: Any, line: Any, groups: Any, query: Any) -> Any:
    """One line times one query, float32; `groups` and `query` as for `slot_dots`."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line, groups, query = arguments
        (total,) = _sums(builder, ir.Constant(FLOATS, [0.0] * 16), 1)
        with cgutils.for_range(builder, groups) as loop:
            parts = _offset(builder, query, loop.index, 2 * VECTOR_BYTES)
            even = _load(builder, parts, FLOATS)
            odd = _load(builder, builder.add(parts, _integer(VECTOR_BYTES)), FLOATS)
            low, high = _floats(builder, _load(builder, _offset(builder, line, loop.index, VECTOR_BYTES), INTS))
            builder.store(_fma(builder, high, odd, _fma(builder, low, even, builder.load(total))), total)
        values = builder.load(total)
        for apart in (8, 4, 2, 1):
            order = ir.Constant(ir.VectorType(I32, 16), [(lane + apart) % 16 for lane in range(16)])
            values = builder.fadd(values, builder.shuffle_vector(values, values, order))
        return builder.extract_element(values, _integer(0, I32))

    return types.float32(types.int64, types.int64, types.int64), generate
