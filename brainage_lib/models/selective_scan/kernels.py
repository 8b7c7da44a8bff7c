"""Compiled loops of the selective scan, forward and backward, for float32 on the CPU.

The innermost loop becomes vector instructions: it runs over neighbouring channels or, where a
group has few of them, over states (the functions named ``narrow``). One (batch, group) is one
task and writes nothing that another task touches, so the result does not depend on the number of
threads. A task goes through time chunk by chunk and through its channels within a chunk, so that
B and C of a chunk, brought into one order, and their gradients stay in the nearest cache. The
state is kept at the start of each chunk only; the backward pass recomputes what lies between.

Shapes: u, dt, y (batch, L, D); A (N, D); B, C (batch, G, N, L), in any memory layout;
starts (batch, chunks, N, D).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

CHUNK = 32
# Where states fill the vectors a chunk is small, and longer runs of B and C are fetched faster.
NARROW_CHUNK = 64
# Channels that a task holds at once: with 16 states, a chunk's states and decays take 128 KiB.
WIDTH = 32

_f32 = np.float32
_ZERO = _f32(0)
_LOG2_E = _f32(1.4426950408889634)
# Adding 1.5·2^23 to a float32 leaves its nearest integer in the lowest bits.
_ROUNDER = _f32(12582912.0)
_LOWEST, _HIGHEST = _f32(-126), _f32(127)
# 2^f for |f| <= 0.5: coefficients of exp2f in the Cephes library (S. L. Moshier).
_P0, _P1, _P2, _P3, _P4, _P5 = (
    _f32(value)
    for value in (
        6.931472028550421e-1,
        2.402264791363012e-1,
        5.550332471162809e-2,
        9.618437357674640e-3,
        1.339887440266574e-3,
        1.535336188319500e-4,
    )
)
_ONE = _f32(1)


def _kept(function: Callable) -> Callable:
    """Compile, and keep what was compiled for the next process, where something can be kept.

    Numba keeps it beside this file or in the user's cache, and refuses to compile at all where
    neither may be written to.
    """
    options = {"nogil": True, "fastmath": {"contract"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)


@intrinsic
def _power_of_two(typing, rounded):
    """2^k for a float32 whose lowest bits hold k (see _ROUNDER), by writing the exponent."""

    def generate(context, builder, signature, arguments):
        integer = ir.IntType(32)
        bits = builder.bitcast(arguments[0], integer)
        exponent = builder.add(bits, ir.Constant(integer, 127))
        return builder.bitcast(builder.shl(exponent, ir.Constant(integer, 23)), ir.FloatType())

    return types.float32(types.float32), generate


@njit(inline="always", fastmath={"contract"})
def _exp2(x):
    """2^x without a branch; relative error about 1e-7 for -126 <= x <= 127, clamped outside."""
    x = _LOWEST if x < _LOWEST else x
    x = _HIGHEST if x > _HIGHEST else x
    rounded = x + _ROUNDER
    f = x - (rounded - _ROUNDER)
    p = _P5 * f + _P4
    p = p * f + _P3
    p = p * f + _P2
    p = p * f + _P1
    p = p * f + _P0
    return (p * f + _ONE) * _power_of_two(rounded)


@njit(fastmath={"contract", "reassoc", "nsz"})
def _dot(x, y, n):
    total = _ZERO
    for i in range(n):
        total += x[i] * y[i]
    return total


@njit(inline="always")
def _fetch(tile, source, begin, steps):
    """Bring some steps of B or C of a group (N, L) into the order (steps, N)."""
    for n in range(source.shape[0]):
        for i in range(steps):
            tile[i, n] = source[n, begin + i]


@njit(inline="always")
def _store(target, tile, begin, steps):
    for n in range(target.shape[0]):
        for i in range(steps):
            target[n, begin + i] = tile[i, n]


@_kept
def scan_forward(first, last, u, dt, A, B, C, y, starts, keep, final):
    """Tasks first … last − 1: y, the state at the start of each chunk (if keep), the last state."""
    _, groups, n_states, length = B.shape
    per_group = u.shape[2] // groups
    blocks = -(-per_group // WIDTH)
    rates = np.empty((blocks, n_states, WIDTH), np.float32)
    states = np.empty((blocks, n_states, WIDTH), np.float32)
    b_chunk = np.empty((CHUNK, n_states), np.float32)
    c_chunk = np.empty((CHUNK, n_states), np.float32)
    step = np.empty(WIDTH, np.float32)
    drive = np.empty(WIDTH, np.float32)
    total = np.empty(WIDTH, np.float32)
    for task in range(first, last):
        b, g = task // groups, task % groups
        for block in range(blocks):
            low = g * per_group + block * WIDTH
            for n in range(n_states):
                for w in range(min(WIDTH, (g + 1) * per_group - low)):
                    rates[block, n, w] = A[n, low + w] * _LOG2_E
                    states[block, n, w] = _ZERO
        for begin in range(0, length, CHUNK):
            steps = min(CHUNK, length - begin)
            _fetch(b_chunk, B[b, g], begin, steps)
            _fetch(c_chunk, C[b, g], begin, steps)
            for block in range(blocks):
                low = g * per_group + block * WIDTH
                width = min(WIDTH, (g + 1) * per_group - low)
                h, rate = states[block], rates[block]
                if keep:
                    for n in range(n_states):
                        for w in range(width):
                            starts[b, begin // CHUNK, n, low + w] = h[n, w]
                for i in range(steps):
                    t = begin + i
                    for w in range(width):
                        step[w] = dt[b, t, low + w]
                        drive[w] = step[w] * u[b, t, low + w]
                        total[w] = _ZERO
                    for n in range(n_states):
                        b_n, c_n = b_chunk[i, n], c_chunk[i, n]
                        for w in range(width):
                            state = _exp2(step[w] * rate[n, w]) * h[n, w] + drive[w] * b_n
                            h[n, w] = state
                            total[w] += c_n * state
                    for w in range(width):
                        y[b, t, low + w] = total[w]
        for block in range(blocks):
            low = g * per_group + block * WIDTH
            for n in range(n_states):
                for w in range(min(WIDTH, (g + 1) * per_group - low)):
                    final[b, n, low + w] = states[block, n, w]


@_kept
def scan_backward(first, last, dy, u, dt, A, B, C, starts, du, ddt, dA, dB, dC):
    """Tasks first … last − 1: gradients of u, dt, A (batch, N, D, float64), B and C.

    dA comes in as zeros. With g the gradient of the state h, from the end:
    g_t = C_t dy_t + exp(dt_{t+1} A) g_{t+1}.
    """
    _, groups, n_states, length = B.shape
    per_group = u.shape[2] // groups
    blocks = -(-per_group // WIDTH)
    slopes = np.empty((blocks, n_states, WIDTH), np.float32)
    rates = np.empty((blocks, n_states, WIDTH), np.float32)
    gradients = np.empty((blocks, n_states, WIDTH), np.float32)
    b_chunk = np.empty((CHUNK, n_states), np.float32)
    c_chunk = np.empty((CHUNK, n_states), np.float32)
    db_chunk = np.empty((CHUNK, n_states), np.float32)
    dc_chunk = np.empty((CHUNK, n_states), np.float32)
    h = np.empty((CHUNK + 1, n_states, WIDTH), np.float32)
    decay = np.empty((CHUNK, n_states, WIDTH), np.float32)
    d_rate = np.empty((n_states, WIDTH), np.float32)
    grad = np.empty(WIDTH, np.float32)
    step = np.empty(WIDTH, np.float32)
    drive = np.empty(WIDTH, np.float32)
    d_out = np.empty(WIDTH, np.float32)
    d_drive = np.empty(WIDTH, np.float32)
    d_step = np.empty(WIDTH, np.float32)
    for task in range(first, last):
        b, g = task // groups, task % groups
        for block in range(blocks):
            low = g * per_group + block * WIDTH
            for n in range(n_states):
                for w in range(min(WIDTH, (g + 1) * per_group - low)):
                    slopes[block, n, w] = A[n, low + w]
                    rates[block, n, w] = slopes[block, n, w] * _LOG2_E
                    gradients[block, n, w] = _ZERO
        for chunk in range(starts.shape[1] - 1, -1, -1):
            begin = chunk * CHUNK
            steps = min(CHUNK, length - begin)
            _fetch(b_chunk, B[b, g], begin, steps)
            _fetch(c_chunk, C[b, g], begin, steps)
            db_chunk[:] = _ZERO
            dc_chunk[:] = _ZERO
            for block in range(blocks):
                low = g * per_group + block * WIDTH
                width = min(WIDTH, (g + 1) * per_group - low)
                slope, rate, carried = slopes[block], rates[block], gradients[block]
                for n in range(n_states):
                    for w in range(width):
                        h[0, n, w] = starts[b, chunk, n, low + w]
                        d_rate[n, w] = _ZERO
                for i in range(steps):
                    for w in range(width):
                        step[w] = dt[b, begin + i, low + w]
                        drive[w] = step[w] * u[b, begin + i, low + w]
                    for n in range(n_states):
                        b_n = b_chunk[i, n]
                        for w in range(width):
                            decay[i, n, w] = _exp2(step[w] * rate[n, w])
                        for w in range(width):
                            h[i + 1, n, w] = decay[i, n, w] * h[i, n, w] + drive[w] * b_n
                for i in range(steps - 1, -1, -1):
                    t = begin + i
                    for w in range(width):
                        step[w] = dt[b, t, low + w]
                        drive[w] = step[w] * u[b, t, low + w]
                        d_out[w] = dy[b, t, low + w]
                        d_drive[w] = _ZERO
                        d_step[w] = _ZERO
                    for n in range(n_states):
                        b_n, c_n = b_chunk[i, n], c_chunk[i, n]
                        for w in range(width):
                            grad[w] = carried[n, w] + c_n * d_out[w]
                        dc_chunk[i, n] += _dot(d_out, h[i + 1, n], width)
                        db_chunk[i, n] += _dot(grad, drive, width)
                        for w in range(width):
                            d_drive[w] += grad[w] * b_n
                            back = grad[w] * decay[i, n, w]
                            carried[n, w] = back
                            back *= h[i, n, w]
                            d_step[w] += back * slope[n, w]
                            d_rate[n, w] += back * step[w]
                    for w in range(width):
                        du[b, t, low + w] = d_drive[w] * step[w]
                        ddt[b, t, low + w] = d_drive[w] * u[b, t, low + w] + d_step[w]
                # In float64 from chunk to chunk: long sums in float32 lose digits.
                for n in range(n_states):
                    for w in range(width):
                        dA[b, n, low + w] += d_rate[n, w]
            _store(dB[b, g], db_chunk, begin, steps)
            _store(dC[b, g], dc_chunk, begin, steps)


@_kept
def scan_forward_narrow(first, last, u, dt, A, B, C, y, starts, keep, final):
    """As `scan_forward`, for groups of few channels: the innermost loop runs over states."""
    _, groups, n_states, length = B.shape
    per_group = u.shape[2] // groups
    rates = np.empty((per_group, n_states), np.float32)
    states = np.empty((per_group, n_states), np.float32)
    b_chunk = np.empty((NARROW_CHUNK, n_states), np.float32)
    c_chunk = np.empty((NARROW_CHUNK, n_states), np.float32)
    for task in range(first, last):
        b, g = task // groups, task % groups
        low = g * per_group
        for w in range(per_group):
            for n in range(n_states):
                rates[w, n] = A[n, low + w] * _LOG2_E
                states[w, n] = _ZERO
        for begin in range(0, length, NARROW_CHUNK):
            steps = min(NARROW_CHUNK, length - begin)
            _fetch(b_chunk, B[b, g], begin, steps)
            _fetch(c_chunk, C[b, g], begin, steps)
            for w in range(per_group):
                d = low + w
                rate, h = rates[w], states[w]
                if keep:
                    for n in range(n_states):
                        starts[b, begin // NARROW_CHUNK, n, d] = h[n]
                for i in range(steps):
                    step = dt[b, begin + i, d]
                    drive = step * u[b, begin + i, d]
                    b_i = b_chunk[i]
                    for n in range(n_states):
                        h[n] = _exp2(step * rate[n]) * h[n] + drive * b_i[n]
                    y[b, begin + i, d] = _dot(c_chunk[i], h, n_states)
        for w in range(per_group):
            for n in range(n_states):
                final[b, n, low + w] = states[w, n]


@_kept
def scan_backward_narrow(first, last, dy, u, dt, A, B, C, starts, du, ddt, dA, dB, dC):
    """As `scan_backward`, for groups of few channels: the innermost loop runs over states."""
    _, groups, n_states, length = B.shape
    per_group = u.shape[2] // groups
    slopes = np.empty((per_group, n_states), np.float32)
    rates = np.empty((per_group, n_states), np.float32)
    gradients = np.empty((per_group, n_states), np.float32)
    b_chunk = np.empty((NARROW_CHUNK, n_states), np.float32)
    c_chunk = np.empty((NARROW_CHUNK, n_states), np.float32)
    db_chunk = np.empty((NARROW_CHUNK, n_states), np.float32)
    dc_chunk = np.empty((NARROW_CHUNK, n_states), np.float32)
    h = np.empty((NARROW_CHUNK + 1, n_states), np.float32)
    decay = np.empty((NARROW_CHUNK, n_states), np.float32)
    d_rate = np.empty(n_states, np.float32)
    grad = np.empty(n_states, np.float32)
    for task in range(first, last):
        b, g = task // groups, task % groups
        low = g * per_group
        for w in range(per_group):
            for n in range(n_states):
                slopes[w, n] = A[n, low + w]
                rates[w, n] = slopes[w, n] * _LOG2_E
                gradients[w, n] = _ZERO
        for chunk in range(starts.shape[1] - 1, -1, -1):
            begin = chunk * NARROW_CHUNK
            steps = min(NARROW_CHUNK, length - begin)
            _fetch(b_chunk, B[b, g], begin, steps)
            _fetch(c_chunk, C[b, g], begin, steps)
            db_chunk[:] = _ZERO
            dc_chunk[:] = _ZERO
            for w in range(per_group):
                d = low + w
                slope, rate, carried = slopes[w], rates[w], gradients[w]
                for n in range(n_states):
                    h[0, n] = starts[b, chunk, n, d]
                    d_rate[n] = _ZERO
                for i in range(steps):
                    step = dt[b, begin + i, d]
                    drive = step * u[b, begin + i, d]
                    b_i, before, after, kept = b_chunk[i], h[i], h[i + 1], decay[i]
                    for n in range(n_states):
                        kept[n] = _exp2(step * rate[n])
                        after[n] = kept[n] * before[n] + drive * b_i[n]
                for i in range(steps - 1, -1, -1):
                    t = begin + i
                    step, x, d_out = dt[b, t, d], u[b, t, d], dy[b, t, d]
                    drive = step * x
                    b_i, c_i, db_i, dc_i = b_chunk[i], c_chunk[i], db_chunk[i], dc_chunk[i]
                    before, after, kept = h[i], h[i + 1], decay[i]
                    for n in range(n_states):
                        grad[n] = carried[n] + c_i[n] * d_out
                        dc_i[n] += d_out * after[n]
                        db_i[n] += drive * grad[n]
                        carried[n] = grad[n] * kept[n]
                        kept[n] = carried[n] * before[n]
                        d_rate[n] += kept[n] * step
                    d_drive = _dot(grad, b_i, n_states)
                    du[b, t, d] = d_drive * step
                    ddt[b, t, d] = d_drive * x + _dot(kept, slope, n_states)
                for n in range(n_states):
                    dA[b, n, d] += d_rate[n]
            _store(dB[b, g], db_chunk, begin, steps)
            _store(dC[b, g], dc_chunk, begin, steps)
