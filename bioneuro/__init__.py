"""bioneuro: sparse networks that learn by local, multiplicative plasticity, set beside backpropagation.

>>> import bioneuro as bn
>>> data = bn.datasets.load("digits")
>>> model = bn.BioClassifier(random_state=0).fit(data.X_train, data.y_train)
>>> model.score(data.X_test, data.y_test)  # doctest: +SKIP
>>> bn.plot.weight_distribution(model)  # doctest: +SKIP
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

try:
    from . import _core
except ImportError as error:
    # an environment variable out of range, or an unsupported interpreter: its message says which
    if "BIONEURO_" in str(error) or "subinterpreter" in str(error):
        raise
    raise ImportError(
        "the C core of bioneuro is not built for this Python: run 'pip install .' (or 'pip install -e .') in the "
        "project's folder"
    ) from error

if TYPE_CHECKING:
    from . import (
        adapters,
        analysis,
        attacks,
        baselines,
        connectivity,
        continual,
        corruptions,
        datasets,
        fewshot,
        io,
        kernels,
        layers,
        natural,
        omniglot,
        plot,
        reference,
        rules,
        threads,
    )
    from .classifier import BioClassifier
    from .history import History
    from .io import load, save
    from .model_report import pathway_report, report
    from .network_classifier import NetworkClassifier
    from .schedule import Schedule
    from .supervision import Supervision
    from .synapses import Synapses

__version__ = _version("bioneuro")

__all__ = [
    "BioClassifier",
    "History",
    "NetworkClassifier",
    "Schedule",
    "Supervision",
    "Synapses",
    "adapters",
    "analysis",
    "attacks",
    "baselines",
    "connectivity",
    "continual",
    "corruptions",
    "datasets",
    "fewshot",
    "io",
    "kernels",
    "layers",
    "load",
    "natural",
    "omniglot",
    "pathway_report",
    "plot",
    "reference",
    "report",
    "rules",
    "save",
    "show_config",
    "threads",
]

#: Where public names that are no modules come from.
_HOMES = {
    "BioClassifier": "classifier",
    "History": "history",
    "NetworkClassifier": "network_classifier",
    "Schedule": "schedule",
    "Supervision": "supervision",
    "Synapses": "synapses",
    "load": "io",
    "pathway_report": "model_report",
    "report": "model_report",
    "save": "io",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for: scikit-learn alone takes a second."""
    if name in _HOMES:
        value = getattr(_import_module(f".{_HOMES[name]}", __name__), name)
    elif name in __all__ or name == "research":  # on which nothing in the library depends
        value = _import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def show_config() -> dict[str, object]:
    """Print how this installation was built and runs: compiler, SIMD path, threads.

    Returns
    -------
    dict
        What is printed.
    """
    import sys

    import numpy

    config = {"bioneuro": __version__, "python": sys.version.split()[0], "numpy": numpy.__version__, **_core.config()}
    for name, value in config.items():
        print(f"{name:>10}: {value}")
    return config
