"""bioneuro: sparse networks that learn by local, multiplicative plasticity, set beside backpropagation.

>>> import bioneuro as bn
>>> data = bn.datasets.load("digits")
>>> model = bn.BioClassifier(random_state=0).fit(data.X_train, data.y_train)
>>> model.score(data.X_test, data.y_test)  # doctest: +SKIP
>>> bn.plot.weight_distribution(model)  # doctest: +SKIP
"""

from importlib.metadata import version as _version

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
from .io import load, save
from .model_report import pathway_report, report
from .schedule import Schedule
from .supervision import Supervision
from .synapses import Synapses

__version__ = _version("bioneuro")

__all__ = [
    "BioClassifier",
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


def __getattr__(name: str) -> object:
    """``bioneuro.research``, on which nothing in the library depends: imported when somebody asks for it."""
    if name == "research":
        from importlib import import_module

        return import_module(".research", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def show_config() -> dict[str, object]:
    """Print how this installation was built and runs: compiler, SIMD path, threads; returns it as a dict."""
    import sys

    import numpy

    config = {"bioneuro": __version__, "python": sys.version.split()[0], "numpy": numpy.__version__, **_core.config()}
    for name, value in config.items():
        print(f"{name:>10}: {value}")
    return config
