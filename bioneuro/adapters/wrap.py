"""The adapters. Each library is imported on demand; where it is missing, the error says how to install it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from ..attacks.probabilities import with_logits
from ..extras import wanted
from ..protocols import Classifier

if TYPE_CHECKING:
    from foolbox import PyTorchModel
    from torch import nn

    from .art_classifier import ArtClassifier
    from .torch_classifier import TorchClassifier
    from .torch_module import TorchModule

__all__ = ["from_sklearn", "from_torch", "require", "to_art", "to_foolbox", "to_torch"]


def from_torch(module: nn.Module, classes: ArrayLike, image_shape: tuple[int, ...] | None = None) -> TorchClassifier:
    """A trained torch module as a classifier with gradients, for our attacks, audits and protocols.

    Parameters
    ----------
    module : torch.nn.Module
        From images to logits, one for each class; a single one will do for two classes. It is used in evaluation mode,
        where its parameters are and in their dtype, and stays as it is.
    classes : array-like of shape (n_classes,)
        Label of each output.
    image_shape : (height, width) or (height, width, channels), optional
        How a row of X, channels last, is an image; the module gets (n, channels, height, width). None: it gets the rows
        (n, features).

    Returns
    -------
    TorchClassifier
        With ``predict``, ``predict_proba``, ``decision_function``, ``input_gradient`` and ``input_vjp`` on rows
        (n, features) in [0, 1]. It does not learn.

    Raises
    ------
    ImportError
        torch is not installed.
    TypeError, ValueError
        Not a module; labels that are not different; not the shape of an image.
    """
    require("torch", "torch")
    from .torch_classifier import TorchClassifier

    return TorchClassifier(module, classes, image_shape)


def from_sklearn(model: Any) -> Classifier:
    """A fitted scikit-learn classifier, or a pipeline that ends in one, for attacks that need no gradients.

    Parameters
    ----------
    model : classifier with ``predict`` and ``classes_``
        With ``decision_function`` it is returned as it is. With ``predict_proba`` its logits are the logarithms of the
        probabilities. With neither only attacks that see labels alone can run.

    Returns
    -------
    Classifier

    Raises
    ------
    TypeError
        Not a fitted classifier.
    """
    if missing := [name for name in ("predict", "classes_") if not hasattr(model, name)]:
        raise TypeError(f"model must be a fitted classifier, but {type(model).__name__} lacks {', '.join(missing)}")
    return with_logits(model)


def to_torch(model: Classifier, image_shape: tuple[int, ...] | None = None) -> TorchModule:
    """A ``torch.nn.Module`` whose forward pass is the model's logits and whose backward pass is their exact gradient.

    Parameters
    ----------
    model : Classifier
        With ``input_vjp`` or ``input_gradient`` for attacks that follow gradients.
    image_shape : (height, width) or (height, width, channels), optional
        How a row of X is an image, in C order. None takes ``model.image_shape_`` if there is one, else a square gray
        image if ``model.n_features_in_`` is a square, else plain vectors.

    Returns
    -------
    TorchModule
        ``module(images)`` takes a float32 or float64 tensor (n, channels, height, width) or (n, features), on any
        device, and returns logits (n, n_classes) of the same dtype there; the model itself computes on the CPU. What
        lies outside [0, 1] is seen as the nearest image inside. The gradient is exact there, and of first order: a
        second backward pass through it raises RuntimeError. It has no parameters to learn.

    Raises
    ------
    ImportError
        torch is not installed.
    ValueError
        image_shape does not fit the model.
    """
    require("torch", "torch")
    from .torch_module import TorchModule

    return TorchModule(model, image_shape)


def to_foolbox(
    model: Classifier, bounds: tuple[float, float] = (0.0, 1.0), image_shape: tuple[int, ...] | None = None
) -> PyTorchModel:
    """A ``foolbox.PyTorchModel`` of :func:`to_torch`, for all of Foolbox's attacks.

    Parameters
    ----------
    model, image_shape
        As in :func:`to_torch`.
    bounds : (lowest, highest)
        Range of the images that the attacks will be given, which stands for the model's [0, 1]; ``(0, 255)``, say.

    Returns
    -------
    PyTorchModel

    Raises
    ------
    ImportError
        foolbox or torch is not installed.
    ValueError
        bounds are not increasing, or image_shape does not fit the model.
    """
    require("torch", "attacks")
    require("foolbox", "attacks")
    from foolbox import PyTorchModel

    low, high = bounds
    if not low < high:
        raise ValueError(f"bounds must be (lowest, highest), got {bounds}")
    adapted = PyTorchModel(to_torch(model, image_shape), bounds=(0, 1), device="cpu")
    if (low, high) != (0, 1):
        adapted.transform_bounds((low, high), inplace=True)
    return adapted


def to_art(model: Classifier, image_shape: tuple[int, ...] | None = None) -> ArtClassifier:
    """An ART estimator, for those of ART's evasion attacks that are not written for one framework alone.

    It has the bases ClassGradientsMixin, ClassifierMixin, LossGradientsMixin, NeuralNetworkMixin and BaseEstimator,
    predicts logits in float32, has ``clip_values`` (0, 1), puts channels first, and refuses to be trained.

    Parameters
    ----------
    model, image_shape
        As in :func:`to_torch`; a model without ``n_features_in_`` and ``image_shape_`` needs it.

    Returns
    -------
    ArtClassifier

    Raises
    ------
    ImportError
        adversarial-robustness-toolbox is not installed.
    ValueError
        image_shape does not fit the model, or is needed.
    """
    require("art", "attacks")
    from .art_classifier import ArtClassifier

    return ArtClassifier(model, image_shape)


def require(module: str, extra: str) -> None:
    """Raise ImportError, with the command that installs it, if a module is not there."""
    wanted(module, f"this adapter needs {module}", extra)
