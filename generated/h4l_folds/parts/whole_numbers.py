"""Whole numbers that never wrap: int64 or uint64 comes in, whatever holds the result goes out.

That is int64 where it is exact, else uint64 where that is, else float64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]  # of int64, uint64 or float64
MODULAR = {"+": np.add, "-": np.subtract, "*": np.multiply, "**": np.power}
ORDERS = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
LARGEST = np.uint64(2**63 - 1)


def widened(numbers: NDArray[Any]) -> Numbers:
    """Return numbers or conditions, of whatever size, as int64, uint64 or float64."""
    if numbers.dtype.kind == "f":
        return numbers.astype(np.float64, copy=False)
    return narrowed(numbers) if numbers.dtype == np.uint64 else numbers.astype(np.int64, copy=False)


def narrowed(numbers: NDArray[np.uint64]) -> Numbers:
    """Return unsigned numbers as signed ones, if all are small enough."""
    return numbers.astype(np.int64) if (numbers <= LARGEST).all() else numbers


def computed(sign: str, one: Numbers, other: Numbers) -> Numbers:
    """Return + - * or ** of whole or real numbers."""
    operation = MODULAR[sign]
    whole = "f" not in one.dtype.kind + other.dtype.kind
    if whole and not (sign == "**" and (other < 0).any()):
        if bound(sign, largest_size(one), largest_size(other)) < 2**63:
            signs = (each.astype(np.int64, copy=False) for each in (one, other))
            return np.asarray(operation(*signs))
        return modular(sign, one, other)
    return np.asarray(operation(one.astype(np.float64), other.astype(np.float64)))


def modular(sign: str, one: Numbers, other: Numbers) -> Numbers:
    """Return + - * or ** of whole numbers that may be too large.

    Modulo 2**64 integers are always right. float64 is wrong by 2**17 at most wherever a result fits
    64 bits, so if both are near to each other, the integer is the result.
    """
    operation = MODULAR[sign]
    real = np.asarray(operation(one.astype(np.float64), other.astype(np.float64)))
    bits = np.asarray(operation(one.astype(np.uint64), other.astype(np.uint64)))
    for whole in (bits.astype(np.int64), bits):
        if (np.abs(real - whole.astype(np.float64)) < 2.0**62).all():
            return whole
    return real


def largest_size(numbers: Numbers) -> int:
    """Return the largest absolute value of whole numbers."""
    return max(abs(int(numbers.min())), abs(int(numbers.max()))) if numbers.size else 0


def bound(sign: str, one: int, other: int) -> int:
    """Return what a result cannot exceed, by the largest absolute values."""
    if sign == "**":
        return int(one ** min(other, 64))
    return one * other if sign == "*" else one + other


def magnitude(numbers: NDArray[Any]) -> NDArray[np.uint64]:
    """Return absolute values of whole numbers."""
    bits = numbers.astype(np.uint64)
    return np.asarray(np.where(numbers < 0, np.negative(bits), bits))


def signed(negative: NDArray[np.bool_], size: NDArray[np.uint64]) -> Numbers:
    """Return numbers of a sign and an absolute value of at most 2**63 where they are negative."""
    bits = np.where(negative, np.negative(size), size)
    if (negative | (size <= LARGEST)).all():
        return bits.astype(np.int64)
    real = size.astype(np.float64)
    return np.where(negative, -real, real) if (negative & (size > 0)).any() else bits


def remainder(one: Numbers, other: Numbers) -> Numbers:
    """Return what is left after a division, which has the sign of `other`; nan for a zero there."""
    if "f" in one.dtype.kind + other.dtype.kind:
        return np.asarray(np.remainder(one.astype(np.float64), other.astype(np.float64)))
    zero = other == 0
    divisor = np.where(zero, other.dtype.type(1), other)
    if one.dtype == divisor.dtype:
        left = np.asarray(np.remainder(one, divisor))
    else:
        size = magnitude(divisor)
        left = magnitude(one) % size
        opposite = ((one < 0) != (divisor < 0)) & (left > 0)
        left = signed(divisor < 0, np.where(opposite, size - left, left))
    return np.where(zero, np.nan, left.astype(np.float64)) if zero.any() else left


def common_bits(sign: str, one: Numbers, other: Numbers) -> Numbers:
    """Return the bits that both whole numbers have ("and"), or that any of them has ("or")."""
    operation = np.bitwise_and if sign == "and" else np.bitwise_or
    bits = np.asarray(operation(bits_of(one), bits_of(other)))
    negative = np.asarray(operation(one < 0, other < 0))
    return signed(negative, np.where(negative, np.negative(bits), bits))


def bits_of(numbers: Numbers) -> NDArray[np.uint64]:
    """Return the 64 bits of whole numbers, which are real ones where nothing else holds all."""
    bits = numbers.astype(np.uint64)
    return np.where(numbers < 0, numbers.astype(np.int64).astype(np.uint64), bits)


def ordered(sign: str, one: Numbers, other: Numbers) -> NDArray[np.bool_]:
    """Return a comparison of whole or real numbers as they are, not as float64 rounds them."""
    operation = ORDERS[sign]
    kinds = one.dtype.kind + other.dtype.kind
    if "f" not in kinds or kinds == "ff":
        return np.asarray(operation(one, other))
    if kinds[0] != "f":
        mirrored = sign.translate(str.maketrans("<>", "><"))
        return ordered(mirrored, other, one)
    # Above all whole numbers stands infinity: the largest ones round to 2**64.
    one = np.where(one >= 2.0**64, np.inf, one)
    found = np.asarray(operation(one, other.astype(np.float64)))
    # Below 2**53 all whole numbers are float64; above, all float64 are whole numbers.
    large = (np.abs(one) >= 2.0**53) & (one >= -(2.0**63)) & (one < np.inf)
    if not large.any():
        return found
    above = large & (one > 0)
    below = large & (one < 0)
    found = np.where(above, operation(np.where(above, one, 0).astype(np.uint64), other), found)
    return np.where(below, operation(np.where(below, one, 0).astype(np.int64), other), found)
