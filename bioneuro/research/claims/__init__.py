"""The claims about the network, each an experiment with controls and a verdict.

A claim is one class in a file of its own and one line of `CLAIMS`; ``python -m bioneuro claims`` runs them. A verdict
says in which form a property holds: strong (it emerges), weak (it follows from an assumption, which is named) or not
shown.
"""

from typing import Any

from .adversarial_robustness import AdversarialRobustness
from .circuit_competition import CircuitCompetition
from .claim import Claim
from .continuous_adaptation import ContinuousAdaptation
from .dale_segregation import DaleSegregation
from .emergent_lognormality import EmergentLognormality
from .emergent_sparsity import EmergentSparsity
from .few_shot_learning import FewShotLearning
from .one_network import OneNetwork
from .plausible_representations import PlausibleRepresentations
from .resource_allocation import ResourceAllocation
from .rows import Found
from .settings import Settings
from .synaptic_capacity import SynapticCapacity
from .task_encoding import TaskEncoding
from .verdict import Verdict
from .why_robust import WhyRobust

__all__ = ["CLAIMS", "Claim", "Found", "Settings", "Verdict"]

CLAIMS: dict[str, Claim[Any]] = {
    claim.number: claim
    for claim in (
        EmergentSparsity(),
        EmergentLognormality(),
        DaleSegregation(),
        AdversarialRobustness(),
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
