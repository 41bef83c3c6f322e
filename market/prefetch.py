"""A hint to the processor, for compiled loops: this row of that array will be read soon.

A loop that jumps from row to row of arrays larger than the cache waits for memory most of the time. Asked early enough
the row is there when it is needed. A hint changes no result and may name any row, even one that does not exist.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

READ, KEEP, DATA = 0, 3, 1  # of llvm.prefetch: to read, in all levels, not instructions


@intrinsic
def prefetch(typing_context: Any, array: Any, row: Any, beyond: Any) -> Any:
    """prefetch(array, row, beyond): the cache line that lies `beyond` bytes behind the beginning of a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, value=arguments[0])
        word = context.get_value_type(types.intp)
        row_at, beyond_at = (
            context.cast(builder, value, of, types.intp)
            for value, of in zip(arguments[1:], signature.args[1:], strict=True)
        )
        stride = builder.extract_value(view.strides, 0)
        where = builder.add(builder.ptrtoint(view.data, word), builder.add(builder.mul(row_at, stride), beyond_at))
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        )
        builder.call(hint, [builder.inttoptr(where, byte), *(flag(value) for value in (READ, KEEP, DATA))])
        return context.get_dummy_value()

    return types.void(array, row, beyond), generate
