"""The claims about the network, each an experiment with controls and a verdict.

A claim is one class in a file of its own and one line of `CLAIMS`; ``python -m bioneuro claims`` runs them. A verdict
says in which form a property holds: strong (it emerges), weak (it follows from an assumption, which is named) or not
shown.
"""

from typing import Any

from .ablation import WhyRobust
from .base import Claim, Found, Settings, Verdict
from .capacity import SynapticCapacity
from .circuit import CircuitCompetition
from .continual import ContinuousAdaptation
from .dale import DaleSegregation
from .few_shot import FewShotLearning
from .lognormal import LognormalWeights
from .one_network import OneNetwork
from .representations import PlausibleRepresentations
from .resources import ResourceAllocation
from .robustness import Robustness
from .sparsity import EmergentSparsity
from .task_encoding import TaskEncoding

__all__ = ["CLAIMS", "Claim", "Found", "Settings", "Verdict"]

CLAIMS: dict[str, Claim[Any]] = {
    claim.number: claim
    for claim in (
        EmergentSparsity(),
        LognormalWeights(),
        DaleSegregation(),
        Robustness(),
        FewShotLearning(),
        PlausibleRepresentations(),
        TaskEncoding(),
        ContinuousAdaptation(),
        ResourceAllocation(),
        CircuitCompetition(),
        SynapticCapacity(),
        OneNetwork(),
        WhyRobust(),
    )
}
