"""Evidence in, one cause out. Pure: no sockets, no files, no clock."""

from openmid.diagnosis.answers import diagnose_answer
from openmid.diagnosis.evidence import Evidence
from openmid.diagnosis.report import Cause, diagnose

__all__ = ["Cause", "Evidence", "diagnose", "diagnose_answer"]
