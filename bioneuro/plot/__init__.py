"""Figures. Every function takes `ax=None`, draws on it or on a new one, and returns it. A title of the axes stays.

Colours are Okabe and Ito's, which colour-blind readers tell apart; series also differ in marker or dash. A new figure
is one function in the file of its subject and one line here.
"""

# not a figure, but what other figures are drawn with
from ._style import BLUE as BLUE
from ._style import COLOURS as COLOURS
from ._style import GREY as GREY
from ._style import MARKERS as MARKERS
from ._style import SKY as SKY
from ._style import VERMILION as VERMILION
from ._style import new_figure as new_figure
from .accuracy import accuracy_bars
from .continual import continual_curve, task_matrix
from .diagram import network_diagram
from .fewshot import episodes, low_data_curve, one_shot_errors, winning_prototypes
from .learning import density_by_turnover, learning_curve, weights_over_time
from .ranks import rank_map
from .robustness import adversarial_examples, loss_by_step, loss_landscape, robustness_curve
from .weights import gabor_fits, rate_distribution, receptive_fields, weight_comparison, weight_distribution

__all__ = [
    "accuracy_bars",
    "adversarial_examples",
    "continual_curve",
    "density_by_turnover",
    "episodes",
    "gabor_fits",
    "learning_curve",
    "loss_by_step",
    "loss_landscape",
    "low_data_curve",
    "network_diagram",
    "one_shot_errors",
    "rank_map",
    "rate_distribution",
    "receptive_fields",
    "robustness_curve",
    "task_matrix",
    "weight_comparison",
    "weight_distribution",
    "weights_over_time",
    "winning_prototypes",
]
