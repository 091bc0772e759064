"""Models of bioneuro for the attacks of other libraries, as oracles of our own, and models of others for ours.

Models of torch and scikit-learn as ours attack them::

    model = from_torch(module, classes=np.arange(10), image_shape=(32, 32, 3))
    model = from_sklearn(RandomForestClassifier().fit(X_train, y_train))
    result = bioneuro.attacks.worst_case(model, X, y, [0.1, 0.2])

The other way round: torch, Foolbox, ART, AutoAttack.

Each adapter wraps a fitted model (see `bioneuro.protocols`) and gives its logits, and their exact gradient, as
functions of images (n, channels, height, width) or of rows (n, features), in [0, 1]. The model itself is never
changed. Their labels are columns of the logits: ``true = np.searchsorted(model.classes_, y)``.

Foolbox (``pip install "bioneuro[attacks]"``; DeepFool, Carlini-Wagner, EAD, Brendel-Bethge, DDN, ...)::

    import foolbox, torch
    images, labels = torch.from_numpy(X.reshape(-1, 1, 28, 28)), torch.from_numpy(true)
    attack = foolbox.attacks.L2CarliniWagnerAttack()
    _, adversarial, success = attack(to_foolbox(model), images, labels, epsilons=1.5)

or as one of our attacks, in ``worst_case`` beside them and counted in the same way::

    cw = FoolboxAttack("L2CarliniWagnerAttack", norm="l2")
    result = bioneuro.attacks.worst_case(model, X, y, [1.0, 1.5], "l2", attacks=["pgd-margin", cw])

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

from .foolbox_attack import FoolboxAttack
from .wrap import from_sklearn, from_torch, to_art, to_foolbox, to_torch

__all__ = ["FoolboxAttack", "from_sklearn", "from_torch", "to_art", "to_foolbox", "to_torch"]
