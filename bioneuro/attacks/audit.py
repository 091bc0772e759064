"""Is a robustness figure to be believed? The signs of gradient masking, each measured: pass, warn or a value.

After Athalye, Carlini & Wagner 2018 (arXiv 1802.00420), section 3.1, and Carlini et al. 2019, "On evaluating
adversarial robustness" (arXiv 1902.06705). The checks are in `bioneuro.attacks.masking_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from ..checks import Flag, check, check_count
from ..extras import pandas
from ..progress import track
from ..protocols import WhiteBox
from .gradient import PGD
from .inputs import check_budget, check_input, checked_names
from .masking_checks import CHECKS, Case

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["audit"]


def audit(
    model: WhiteBox,
    X: ArrayLike,
    y: ArrayLike,
    epsilon: float = 0.1,
    norm: str = "linf",
    *,
    n_steps: int = 40,
    n_queries: int = 1000,
    sources: Sequence[WhiteBox] | Mapping[str, WhiteBox] = (),
    random_state: int = 0,
    batch_size: int = 256,
    progress: bool = False,
) -> pd.DataFrame:
    """Look for masked gradients and broken attacks, the usual reasons for robustness that is not there.

    Parameters
    ----------
    model : WhiteBox
    X : array of shape (N, features), in [0, 1]
        A hundred samples do; with N samples, differences of robust accuracy up to max(1 / N, 0.01) pass.
    y : array of shape (N,)
        True labels.
    epsilon : float > 0
        Budget of the comparisons; best where the model's robust accuracy is neither 0 nor 100 %.
    norm : {"linf", "l2"}
    n_steps : int >= 1
        Steps of PGD; also four times as many are run.
    n_queries : int >= 1
        Queries of the black-box attacks; of those that see labels only at least 128.
    sources : sequence of WhiteBox, or dict name -> WhiteBox
        Further models with the same classes, to transfer from and to; without names they are 0, 1, ...
    random_state : int >= 0
    batch_size, progress
        See `Attack.__call__`.

    Returns
    -------
    DataFrame with columns check, value, status
        One row a check; status is "pass", "warn", or "value" where there is no right or wrong. White-box is PGD (in L2
        also `FrankWolfe`) on both losses, and on the margin through each surrogate that the model offers (`Adaptive`);
        differences are of robust accuracy. The values:

        ========================================  =========================================================
        clean accuracy                            share; warns at chance or below
        predict against decision_function         share of samples where they disagree
        determinism                               largest difference between two identical calls
        gradient error (loss, variable)           relative error against finite differences
        response inverse, response increasing     largest error; share of features that break it
        vanished gradients (loss)                 share of samples whose gradient is (next to) zero
        zero gradient entries (loss)              share of entries that are exactly zero
        tiny gradient entries (loss)              value: share below 1e-6 of the sample's largest
        gradient against random direction         share of samples whose margin loss is at least as high one
                                                  full step along the gradient as along a random direction
        single step minus iterative               difference, >= 0 expected
        n steps minus 4 n steps                   difference; warns also above 0.05: not converged
        1 start minus 4 starts                    the same, of PGD's random starts
        plain minus adaptive                      value: what the model's own gradient leaves standing and
                                                  surrogates break; only for models that offer some
        black-box minus white-box                 difference, Square, >= 0 expected
        small steps minus white-box               value, L2 only: what PGD on both losses leaves standing and
                                                  the rest breaks
        few pixels minus white-box                difference, `FewPixels`, L2 only, >= 0 expected
        decision-based minus white-box            the same, RayS (Linf) or CGBA (L2), which see labels only
        transfer i minus white-box                the same, for each of `sources`
        white-box images on i                     value: share that each source still gets right, of the
                                                  images that broke the model (and that it got right before)
        rise over epsilon                         largest rise of robust accuracy with a growing budget
        robust accuracy, unbounded                at a budget that allows any image; 0 expected
        budget excess                             largest distance beyond epsilon, or outside [0, 1]
        ========================================  =========================================================

    Raises
    ------
    TypeError, ValueError
        As `Attack.__call__`.
    ImportError
        pandas is not installed.
    """
    pd = pandas()
    PGD(norm=norm, n_steps=n_steps).check_model(model)
    images, labels, budgets = check_input(model, X, y, epsilon)
    check_count("random_state", random_state, 0)
    check("progress", progress, Flag())
    named = dict(sources) if isinstance(sources, Mapping) else {str(i): source for i, source in enumerate(sources)}
    epsilon = check_budget(budgets)
    case = Case(model, images, labels, epsilon, norm, n_steps, n_queries, named, random_state, batch_size)
    with checked_names(model, X):
        findings = [finding for check in track(CHECKS, progress, "audit") for finding in check(case)]
    rows = [(name, float(value), status) for name, value, status in findings]
    return pd.DataFrame(rows, columns=["check", "value", "status"])
