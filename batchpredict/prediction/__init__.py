"""A prediction job as work for runners. `transforms` has its pipeline as a Beam transform, and imports Beam."""

from batchpredict.prediction.request import Placement, Request
from batchpredict.prediction.work import PredictionWork

__all__ = ["Placement", "PredictionWork", "Request"]
