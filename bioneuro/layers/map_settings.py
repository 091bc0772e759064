"""The map of images as a parameter: everything about retina and map but the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from ..checks import POSITIVE, Checked, Choice, Integer
from ..connectivity import Init, initialiser
from ..spelling import spelled
from ..threads import Threads
from .feature_map import FeatureMap
from .local_map import LocalMap
from .numeric_limits import GAIN, GATE_EXPONENT
from .retina import Retina

__all__ = ["FEATURE_MAPS", "MapSettings"]

#: Maps of images by name: one line each.
FEATURE_MAPS: dict[str, type[FeatureMap] | type[LocalMap]] = {"tied": FeatureMap, "local": LocalMap}
#: Sides of a patch by the least side of an image.
PATCH_SIZES = {20: 7, 12: 5, 0: 3}


@spelled
@dataclass(frozen=True, kw_only=True)
class MapSettings(Checked):
    """Retina and feature map that are learned from images.

    Parameters
    ----------
    feature_map : {"tied", "local"}, default "tied"
        Receptive fields: the same columns at every position (:class:`bioneuro.layers.FeatureMap`), or separate cells at
        each (:class:`bioneuro.layers.LocalMap`).
    n_columns : int >= 1, default 64
        Columns of the map.
    patch_size : int >= 1 or "auto"
        Side of the retina's patches in pixels; ``"auto"`` is 7 for images with sides of at least 20, 5 from 12 on, else
        3.
    exponent, semi_saturation : float > 0, default 4 and 0.5
        Contrast response of the retina; 1 and inf are the identity.
    c0 : float > 0, default 0.5
        Semi-saturation of the retina's divisive normalisation.
    g0, gate_exponent : float > 0, default 0.5 and 1
        Contrast below which the retina hardly sees a patch, and how steep that gate is, at most 8
        (:class:`bioneuro.layers.Retina`).
    beta : float, default 40
        Gain of the competition among columns, in (0, 1e6].
    init : str or callable, default "uniform"
        Law of the first weights: a name in :data:`bioneuro.connectivity.INITIALISERS` or ``init(rng, n)``, all > 0.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    feature_map: str = "tied"
    n_columns: int = 64
    patch_size: int | Literal["auto"] = "auto"
    exponent: float = 4.0
    semi_saturation: float = 0.5
    c0: float = 0.5
    g0: float = 0.5
    gate_exponent: float = 1.0
    beta: float = 40.0
    init: Init = "uniform"

    _kinds = {
        "feature_map": (Choice(FEATURE_MAPS),),
        "n_columns": (Integer(),),
        "patch_size": (Integer(), "auto"),
        "exponent": (POSITIVE,),
        "semi_saturation": (POSITIVE, np.inf),
        "c0": (POSITIVE,),
        "g0": (POSITIVE,),
        "gate_exponent": (GATE_EXPONENT,),
        "beta": (GAIN,),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        initialiser(self.init)

    def make(
        self,
        image_shape: tuple[int, ...],
        *,
        random_state: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        n_threads: Threads = None,
    ) -> FeatureMap | LocalMap:
        """The map of images of a shape, which has learned nothing yet.

        Parameters
        ----------
        image_shape : (height, width) or (height, width, channels)
        random_state : int, Generator or None
            Of its first weights.
        dtype : float32 or float64
        n_threads : int >= 1, "auto" or None
        """
        least = min(image_shape[:2])
        patch = next(size for side, size in PATCH_SIZES.items() if least >= side)
        retina = Retina(
            patch if self.patch_size == "auto" else int(self.patch_size),
            self.exponent,
            self.semi_saturation,
            c0=self.c0,
            g0=self.g0,
            gate_exponent=self.gate_exponent,
            n_threads=n_threads,
        )
        return FEATURE_MAPS[self.feature_map](
            image_shape,
            n_columns=self.n_columns,
            retina=retina,
            beta=self.beta,
            init=self.init,
            random_state=random_state,
            dtype=dtype,
            n_threads=n_threads,
        )
