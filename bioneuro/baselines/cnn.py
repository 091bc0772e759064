"""Convolutional network trained by backpropagation, in torch: the dense baseline for images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from ..checks import Integer, Number, check_count
from ..extras import wanted
from ..image_shapes import row_or_image
from ..protocols import Pullback
from ..white_box import Front
from .backprop import BackpropClassifier
from .input_responses import input_response
from .pathways import feed_forward

if TYPE_CHECKING:
    import torch

__all__ = ["ConvNet"]


@dataclass(kw_only=True, eq=False, repr=False)
class ConvNet(BackpropClassifier):
    """Two convolutions with ReLU and max-pooling, one hidden dense layer with dropout, softmax cross-entropy, Adam.

    ``conv -> ReLU -> 2 x 2 max`` twice, ``h = (W flat + b)+``, ``z = V dropout(h) + c``. Convolutions keep the size of
    the image (zero padding); pooling windows at the border may be cut. Weights decay apart from the gradient; in
    ``fit`` the learning rate falls linearly to 0 over the second half of the updates, in ``partial_fit`` it stays.

    Parameters
    ----------
    channels : (int, int), each >= 1
        Filters of the two convolutions.
    kernel_size : odd int >= 1
        Side of the filters in pixels.
    hidden : int >= 1
        Cells of the dense layer.
    image_shape : "auto", (height, width) or (height, width, channels)
        How the features of a row of X make an image. ``"auto"``: a square one of one channel if their number is a
        square, else an image of one row.
    dropout : float in [0, 1)
        Share of the hidden cells that are silent in an update, each time others.
    shift : int >= 0
        Augmentation: each image is shown shifted by up to so many pixels down and across, each time anew, with 0 where
        it leaves its frame. 0: none.
    learning_rate : float > 0
        Of Adam (beta 0.9 and 0.999, epsilon 1e-8).
    n_epochs : "auto" or int >= 1
        Passes over the data in ``fit``; ``"auto"``: at least 10 passes and at least 1,500 updates.
    binarise : None or float in (0, 1]
        With it only ``x >= binarise`` counts; its gradient is straight-through, see
        :class:`bioneuro.baselines.input_responses.Threshold`. Not together with ``contrast``.
    random_state : int, RandomState, Generator or None
        Of the first weights, the order of the samples, dropout, shifts and adversarial images. torch's global
        generator is neither used nor changed.
    n_threads : int >= 1, "auto" or None
        Threads of torch while this network computes; None leaves torch as it is. Rounding may depend on it.
    batch_size, weight_decay, contrast, adversarial, dtype, progress
        See :class:`~bioneuro.baselines.backprop.BackpropClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    image_shape_ : (height, width, channels)
    parameters_ : list of torch.Tensor
        Weights and bias of each layer in turn, from the input to the logits.
    loss_curve_ : list of float
        Mean loss of each pass so far, with dropout.

    Raises
    ------
    ImportError
        torch is not installed: ``pip install "bioneuro[torch]"``.

    References
    ----------
    Kingma & Ba 2015, Adam, arXiv:1412.6980; Loshchilov & Hutter 2019, decoupled weight decay, arXiv:1711.05101; first
    weights N(0, 2 / fan-in): He et al. 2015, arXiv:1502.01852; dropout: Srivastava et al. 2014, JMLR 15:1929.
    """

    _description = "convolutional network"
    _min_epochs = 10

    channels: tuple[int, int] = field(default=(16, 32), kw_only=False)
    kernel_size: int = 5
    hidden: int = 128
    image_shape: tuple[int, ...] | Literal["auto"] = "auto"
    dropout: float = 0.5
    shift: int = 0
    binarise: float | None = None

    constraints = {
        "kernel_size": (Integer(),),
        "hidden": (Integer(),),
        "shift": (Integer(0),),
        "dropout": (Number(0, 1, ends="[)"),),
    }

    # --- learning -----------------------------------------------------------------------------------------

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.image_shape_ = row_or_image(self.image_shape, self.n_features_in_)
        self.parameters_ = [self._first_weights(shape) for shape in self._shapes(len(classes))]
        self._optimizer = _torch().optim.AdamW(
            [
                {"params": self.parameters_[::2], "weight_decay": self.weight_decay},
                {"params": self.parameters_[1::2], "weight_decay": 0.0},
            ],
            lr=self.learning_rate,
        )

    def _shapes(self, n_classes: int) -> Iterator[tuple[int, ...]]:
        """Shapes of weights and bias of every layer."""
        height, width, n_in = self.image_shape_
        for n_out in self.channels:
            yield n_out, n_in, self.kernel_size, self.kernel_size
            yield (n_out,)
            height, width, n_in = -(-height // 2), -(-width // 2), n_out
        yield self.hidden, height * width * n_in
        yield (self.hidden,)
        yield n_classes, self.hidden
        yield (n_classes,)

    def _first_weights(self, shape: tuple[int, ...]) -> torch.Tensor:
        values = np.zeros(shape)  # biases start at 0
        if len(shape) > 1:
            values = self._rng.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)
        weights = _torch().from_numpy(values.astype(self.dtype))
        if weights.ndim == 4:  # the order of the images' values: convolutions take half the time
            weights = weights.contiguous(memory_format=_torch().channels_last)
        return weights.requires_grad_()

    def _update(self, R: NDArray, true: NDArray) -> float:
        torch = _torch()
        done = self._n_done / self._n_planned if self._n_planned else 0.0
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate * min(1.0, 2 * (1 - done))
        noise = torch.Generator().manual_seed(int(self._rng.integers(2**63)))
        with _threads(self.n_threads):
            logits = self._layers(torch.from_numpy(R), noise)
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(true))
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        return float(loss.detach())

    def _augment(self, batch: NDArray) -> NDArray:
        if not self.shift:
            return batch
        height, width, channels = self.image_shape_
        s = self.shift
        padded = np.pad(batch.reshape(-1, height, width, channels), ((0, 0), (s, s), (s, s), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        down, across = self._rng.integers(0, 2 * s + 1, (2, len(batch)))
        shifted = windows[np.arange(len(batch)), down, across]  # (n, channels, height, width)
        return np.ascontiguousarray(shifted.transpose(0, 2, 3, 1)).reshape(batch.shape)

    # --- the network --------------------------------------------------------------------------------------

    def _layers(self, R: torch.Tensor, noise: torch.Generator | None = None) -> torch.Tensor:
        """Logits of responses (n, n_features); with a generator of noise, dropout."""
        F = _torch().nn.functional
        W1, b1, W2, b2, W3, b3, W4, b4 = self.parameters_
        h = R.reshape(-1, *self.image_shape_).permute(0, 3, 1, 2)
        for W, b in ((W1, b1), (W2, b2)):
            # the maximum of rectified rates is the rectified maximum, which is less to rectify
            h = F.relu(F.max_pool2d(F.conv2d(h, W, b, padding="same"), 2, ceil_mode=True))
        h = F.relu(F.linear(h.flatten(1), W3, b3))
        if noise is not None and self.dropout:
            h = h * h.new_empty(h.shape).bernoulli_(1 - self.dropout, generator=noise) / (1 - self.dropout)
        return F.linear(h, W4, b4)

    def _network(self, R: NDArray) -> NDArray:
        torch = _torch()
        with _threads(self.n_threads), torch.no_grad():
            return self._layers(torch.from_numpy(R)).numpy()

    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        torch = _torch()
        responses = torch.from_numpy(np.array(R)).requires_grad_()
        with _threads(self.n_threads), torch.enable_grad():
            logits = self._layers(responses)

        def pullback(dlogits: NDArray) -> NDArray:
            D = torch.from_numpy(np.ascontiguousarray(dlogits, R.dtype))
            with _threads(self.n_threads):
                return torch.autograd.grad(logits, responses, D, retain_graph=True)[0].numpy()

        return logits.detach().numpy(), pullback

    # --- for reports --------------------------------------------------------------------------------------

    def weights(self) -> dict[str, csr_array]:
        """Every layer's weights (rows: post-synaptic cells), by name; what is changed in them changes nothing here.

        ``"conv_1"`` and ``"conv_2"``: a row for each filter, over the values of its patch (channels, then rows, then
        columns): its cells have the same weights at every place of the image. Then ``"hidden_1"`` and ``"output"``.
        """
        return {name: csr_array(W.reshape(len(W), -1)) for name, W in self._kernels().items()}

    def outgoing(self) -> dict[str, dict[str, csr_array]]:
        """What each population makes: ``{"inputs": {"conv_1": W}, "conv_1": ..., "conv_2": ..., "hidden_1": ...}``.

        Columns of a convolution are channels, each a cell away from the border of the image: all others of its channel
        make the same synapses.
        """
        made = {name: _by_channel(W) if W.ndim == 4 else W for name, W in self._kernels().items()}
        return feed_forward({name: csr_array(W) for name, W in made.items()})

    def _kernels(self) -> dict[str, NDArray]:
        check_is_fitted(self, "parameters_")
        names = ("conv_1", "conv_2", "hidden_1", "output")
        return {name: W.detach().numpy() for name, W in zip(names, self.parameters_[::2], strict=True)}

    # --- checks -------------------------------------------------------------------------------------------

    def _front(self) -> Front:
        return input_response(self.contrast, self.binarise)

    def _bounded_by(self) -> str:
        return super()._bounded_by() or ("binarise" if self.binarise is not None else "")

    def _check_parameters(self) -> None:
        _torch()
        super()._check_parameters()
        if not isinstance(self.channels, tuple | list) or len(self.channels) != 2:
            raise ValueError(f"channels must be two integers >= 1, got {self.channels!r}")
        for n in self.channels:
            check_count("channels", n)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")


def _by_channel(W: NDArray) -> NDArray:
    """Filters (n_out, n_in, side, side) with a column for each channel that they read."""
    return W.transpose(0, 2, 3, 1).reshape(-1, W.shape[1])


def _torch() -> Any:
    """torch, an optional extra: only those who want a convolutional network need it."""
    return wanted("torch", "ConvNet needs torch", "torch")


@contextmanager
def _threads(n: Any) -> Iterator[None]:
    """torch's number of threads, a global of the process, set and put back."""
    torch = _torch()
    before = torch.get_num_threads()
    if n not in (None, "auto", before):
        torch.set_num_threads(n)
    try:
        yield
    finally:
        if n not in (None, "auto", before):
            torch.set_num_threads(before)
