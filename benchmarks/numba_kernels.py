"""The products as numba loops: what a user who knows numba would write, tuned.

``X``, ``Y``, ``dY`` are tiles of samples, (n_tiles, n_cells, width), so that the innermost loop runs over neighbours in
memory and a tile stays in the cache. Eight (four) synapses at a time save as many loads and stores of the sums; without
that the loops are half as fast.
"""

from __future__ import annotations

import numba
from numba import prange

#: Samples a tile: 128 was the fastest of 32, 64 and 128.
WIDTH = 128

_parallel = numba.njit(parallel=True, fastmath=True, nogil=True)


@_parallel
def pack(X, tiles):
    """(batch, cells) to tiles."""
    n_tiles, n_cells, width = tiles.shape
    for t in prange(n_tiles):
        for j in range(n_cells):
            for b in range(width):
                tiles[t, j, b] = X[t * width + b, j]


@_parallel
def unpack(tiles, X):
    """And back."""
    n_tiles, n_cells, width = tiles.shape
    for row in prange(n_tiles * width):
        for j in range(n_cells):
            X[row, j] = tiles[row // width, j, row % width]


@_parallel
def product_vector(indptr, indices, data, x, y):
    """``y = A x``."""
    for i in prange(len(y)):
        total = data.dtype.type(0)
        for k in range(indptr[i], indptr[i + 1]):
            total += data[k] * x[indices[k]]
        y[i] = total


@_parallel
def product(indptr, indices, data, X, Y):
    """``Y = A X`` tile by tile."""
    n_tiles, n_rows, width = Y.shape
    for row in prange(n_tiles * n_rows):
        t, i = row // n_rows, row % n_rows
        x, y = X[t], Y[t, i]
        for b in range(width):
            y[b] = 0
        end = indptr[i + 1]
        for k in range(indptr[i], end - 7, 8):
            w0, w1, w2, w3 = data[k], data[k + 1], data[k + 2], data[k + 3]
            w4, w5, w6, w7 = data[k + 4], data[k + 5], data[k + 6], data[k + 7]
            x0, x1, x2, x3 = x[indices[k]], x[indices[k + 1]], x[indices[k + 2]], x[indices[k + 3]]
            x4, x5, x6, x7 = x[indices[k + 4]], x[indices[k + 5]], x[indices[k + 6]], x[indices[k + 7]]
            for b in range(width):
                first = (w0 * x0[b] + w1 * x1[b]) + (w2 * x2[b] + w3 * x3[b])
                y[b] += first + ((w4 * x4[b] + w5 * x5[b]) + (w6 * x6[b] + w7 * x7[b]))
        for k in range(end - (end - indptr[i]) % 8, end):
            w, xk = data[k], x[indices[k]]
            for b in range(width):
                y[b] += w * xk[b]


@_parallel
def sampled_vector(indptr, indices, x, dy, G):
    """``G_ij = dy_i x_j`` on the stored synapses."""
    for i in prange(len(dy)):
        for k in range(indptr[i], indptr[i + 1]):
            G[k] = dy[i] * x[indices[k]]


@_parallel
def sampled(indptr, indices, X, dY, G):
    """``G_ij = sum_b dY_ib X_jb`` on the stored synapses."""
    n_tiles, n_rows, width = dY.shape
    for i in prange(n_rows):
        start, end = indptr[i], indptr[i + 1]
        rest = end - (end - start) % 4
        for k in range(start, end):
            G[k] = 0
        for t in range(n_tiles):
            x, d = X[t], dY[t, i]
            for k in range(start, rest, 4):
                x0, x1, x2, x3 = x[indices[k]], x[indices[k + 1]], x[indices[k + 2]], x[indices[k + 3]]
                s0 = s1 = s2 = s3 = G.dtype.type(0)
                for b in range(width):
                    s0 += d[b] * x0[b]
                    s1 += d[b] * x1[b]
                    s2 += d[b] * x2[b]
                    s3 += d[b] * x3[b]
                G[k] += s0
                G[k + 1] += s1
                G[k + 2] += s2
                G[k + 3] += s3
            for k in range(rest, end):
                xk = x[indices[k]]
                s = G.dtype.type(0)
                for b in range(width):
                    s += d[b] * xk[b]
                G[k] += s
