"""Small maps that tests share."""

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array, kron


def rook(rows, columns):
    """Cells of a chessboard that share a side, row after row."""

    def line(n):
        return diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[-1, 1], shape=(n, n))

    return csr_array(kron(eye_array(rows), line(columns)) + kron(line(rows), eye_array(columns)))


def queen(rows, columns):
    """Cells of a chessboard that share a side or a corner."""

    def band(n):
        return diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])

    return csr_array(kron(band(rows), band(columns)) - eye_array(rows * columns))
