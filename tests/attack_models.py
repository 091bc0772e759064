"""Models written out, so that the right answer of an attack is known."""

import numpy as np

D = 36


EPSILONS = {"linf": [0.01, 0.02, 0.04, 0.08], "l2": [0.05, 0.1, 0.2, 0.4]}


class Linear:
    """Logits W x + b. Sums row by row, so the rounding of a sample does not depend on its batch."""

    def __init__(self, W, b=0.0, classes=None):
        self.W, self.b = np.asarray(W, float), b
        self.classes_ = np.arange(len(self.W)) if classes is None else np.asarray(classes)

    def hidden(self, X):
        return X

    def decision_function(self, X):
        return (self.hidden(X)[:, None, :] * self.W).sum(axis=2) + self.b

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def hidden_gradient(self, X, y, loss):
        z = self.decision_function(X)
        rows, true = np.arange(len(X)), np.searchsorted(self.classes_, y)
        if loss == "ce":
            dz = np.exp(z - z.max(axis=1, keepdims=True))
            dz /= dz.sum(axis=1, keepdims=True)
        else:
            z[rows, true] = -np.inf
            dz = np.zeros_like(z)
            dz[rows, z.argmax(axis=1)] = 1
        dz[rows, true] -= 1
        return dz @ self.W

    def input_gradient(self, X, y, loss="ce"):
        return self.hidden_gradient(X, y, loss)

    def robust(self, X, y, epsilon, norm):
        """Closed form for two classes and no clipping: the margin exceeds epsilon times the dual norm."""
        W, b = self.W[1] - self.W[0], np.subtract(*np.broadcast_to(self.b, 2)[::-1])
        margin = np.where(y == self.classes_[1], 1, -1) * (X @ W + b)
        return margin > epsilon * np.linalg.norm(W, 1 if norm == "linf" else 2)


class OnePass(Linear):
    """The same model, that gives logits and gradients in one pass."""

    def input_vjp(self, X):
        return self.decision_function(X), lambda D: (D[:, :, None] * self.W).sum(axis=1)


class Contrast(Linear):
    """A linear model behind the contrast response r(x) = x^n (1 + s^n) / (x^n + s^n), n = 4, s = 1/2."""

    n, s = 4, 0.5

    def response(self, X):
        return X**self.n * (1 + self.s**self.n) / (X**self.n + self.s**self.n)

    def response_inverse(self, R):
        return (R * self.s**self.n / (1 + self.s**self.n - R)) ** (1 / self.n)

    def response_gradient(self, X, y, loss="ce"):
        return self.hidden_gradient(X, y, loss)

    hidden = response

    def response_slope(self, X):
        power = X**self.n + self.s**self.n
        return self.n * X ** (self.n - 1) * self.s**self.n * (1 + self.s**self.n) / power**2

    def input_gradient(self, X, y, loss="ce"):
        return self.response_slope(X) * self.hidden_gradient(X, y, loss)

    def worst_margin(self, X, y, epsilon):
        """Of two classes: each response sits at the end of its box that hurts the most."""
        w = np.where(y == self.classes_[1], 1, -1)[:, None] * (self.W[1] - self.W[0])
        low, high = (self.response(np.clip(X + e, 0, 1)) for e in (-epsilon, epsilon))
        return np.minimum(w * low, w * high).sum(axis=1)


class Quantised(Linear):
    """Masked on purpose: pixels are rounded to a few levels, whose gradient is zero almost everywhere."""

    def hidden(self, X):
        return np.round(X * 8) / 8

    def input_gradient(self, X, y, loss="ce"):
        return np.zeros_like(X)

    def surrogates(self):
        return {"not quantised": Linear(self.W, self.b, self.classes_)}


class Saturated(Linear):
    """Masked on purpose: competition so sharp that the losers' rates are 0, and with them every gradient.

    Votes of competing cells, one a class: log(softmax(beta (W x + b)) + floor). Labels are those of `Linear`.
    """

    beta, floor = 1e5, 1e-6

    def rates(self, X):
        a = self.beta * super().decision_function(X)
        y = np.exp(a - a.max(axis=1, keepdims=True))
        return y / y.sum(axis=1, keepdims=True)

    def decision_function(self, X):
        return np.log(self.rates(X) + self.floor)

    def hidden_gradient(self, X, y, loss):
        rates, soft = self.rates(X), Linear(np.eye(len(self.W)), classes=self.classes_)
        dy = soft.hidden_gradient(self.decision_function(X), y, loss) / (rates + self.floor)
        return self.beta * rates * (dy - (rates * dy).sum(axis=1, keepdims=True)) @ self.W

    def surrogates(self):
        return {"softer": Linear(self.W, self.b, self.classes_)}


class Threshold(Linear):
    """A linear model of binarised pixels, whose gradient with respect to x is that with respect to what it sees."""

    def hidden(self, X):
        return (X >= 0.5).astype(float)

    def changes(self, X, y):
        """Of two classes: the margin (n,) and, pixel by pixel, what crossing takes from it and costs (n, D)."""
        w = np.where(y == self.classes_[1], 1, -1)[:, None] * (self.W[1] - self.W[0])
        bias = np.where(y == self.classes_[1], 1, -1) * np.subtract(*np.broadcast_to(self.b, 2)[::-1])
        seen = self.hidden(X)
        return (w * seen).sum(axis=1) + bias, w * (2 * seen - 1), (X - 0.5) ** 2


class OfferedThreshold(Threshold):
    """The same, and it says what it sees."""

    response = Threshold.hidden

    def response_inverse(self, R):
        return (R >= 0.5).astype(float)

    def response_gradient(self, X, y, loss="ce"):
        return self.hidden_gradient(X, y, loss)
