"""Models of bioneuro for the attacks of other libraries, as oracles of our own: torch, Foolbox, ART, AutoAttack.

Each adapter wraps a fitted model (see `bioneuro.protocols`) and gives its logits, and their exact gradient, as
functions of images (n, channels, height, width) or of rows (n, features), in [0, 1]. The model itself is never
changed. Their labels are columns of the logits: ``true = np.searchsorted(model.classes_, y)``.

Foolbox (``pip install "bioneuro[attacks]"``; DeepFool, Carlini-Wagner, EAD, Brendel-Bethge, DDN, ...)::

    import foolbox, torch
    images, labels = torch.from_numpy(X.reshape(-1, 1, 28, 28)), torch.from_numpy(true)
    attack = foolbox.attacks.L2CarliniWagnerAttack()
    _, adversarial, success = attack(to_foolbox(model), images, labels, epsilons=1.5)

AutoAttack: the authors' code is packaged on PyPI as pyautoattack (the same extra installs it)::

    from pyautoattack import AutoAttack
    attack = AutoAttack(to_torch(model), norm="Linf", eps=0.3, seed=0)
    adversarial, predicted = attack.run_standard_evaluation(images, labels, batch_size=250)
    robust_accuracy = (predicted == labels).double().mean()

The standard version is APGD-CE, targeted APGD, targeted FAB and Square. It wants images (n, channels, height, width)
and 10 classes; with fewer pass ``version="custom", attacks=["apgd-ce", "fab", "square"]``. ART has an AutoAttack of
its own, a weaker one (no FAB, no targeted APGD unless asked for). It takes nothing but ART's PyTorchClassifier, which
any torch module becomes, and needs ``pip install multiprocess``::

    from art.estimators.classification import PyTorchClassifier
    loss = torch.nn.CrossEntropyLoss()
    classifier = PyTorchClassifier(to_torch(model), loss, (1, 28, 28), nb_classes=10, clip_values=(0, 1))
    adversarial = art.attacks.evasion.AutoAttack(classifier, eps=0.3).generate(images.numpy(), true)

ART's single attacks run without torch::

    from art.attacks.evasion import ElasticNet
    images = X.reshape(-1, 1, 28, 28)
    adversarial = ElasticNet(to_art(model)).generate(images, true)

What they find counts by ``model.predict(adversarial.reshape(X.shape)) != y`` (colour images: channels go last first).

The gradient is that of ``model.input_vjp`` if there is one. A model that only has ``input_gradient`` tells no more than
the differences of its logits: its logits are then given centred (``z - mean_k z_k``), and each backward pass costs one
``input_gradient`` a class. Without either, logits are all there is: attacks that follow gradients are refused.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..protocols import Classifier

if TYPE_CHECKING:
    from foolbox import PyTorchModel

    from .art_classifier import ArtClassifier
    from .torch_module import TorchModule

__all__ = ["to_art", "to_foolbox", "to_torch"]


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
    _need("torch", "bioneuro[torch]")
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

    Raises
    ------
    ImportError
        foolbox or torch is not installed.
    ValueError
        bounds are not increasing, or image_shape does not fit the model.
    """
    _need("torch", "bioneuro[attacks]")
    _need("foolbox", "bioneuro[attacks]")
    from foolbox import PyTorchModel

    low, high = bounds
    if not low < high:
        raise ValueError(f"bounds must be (lowest, highest), got {bounds}")
    adapted = PyTorchModel(to_torch(model, image_shape), bounds=(0, 1), device="cpu")
    return adapted if (low, high) == (0, 1) else adapted.transform_bounds((low, high))


def to_art(model: Classifier, image_shape: tuple[int, ...] | None = None) -> ArtClassifier:
    """An ART estimator, for those of ART's evasion attacks that are not written for one framework alone.

    It has the bases ClassGradientsMixin, ClassifierMixin, LossGradientsMixin, NeuralNetworkMixin and BaseEstimator,
    predicts logits in float32, has ``clip_values`` (0, 1), puts channels first, and refuses to be trained.

    Parameters
    ----------
    model, image_shape
        As in :func:`to_torch`; a model without ``n_features_in_`` and ``image_shape_`` needs it.

    Raises
    ------
    ImportError
        adversarial-robustness-toolbox is not installed.
    ValueError
        image_shape does not fit the model, or is needed.
    """
    _need("art", "bioneuro[attacks]")
    from .art_classifier import ArtClassifier

    return ArtClassifier(model, image_shape)


def _need(module: str, requirement: str) -> None:
    if find_spec(module) is None:
        raise ImportError(f'this adapter needs {module}: pip install "{requirement}"')
