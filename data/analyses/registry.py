"""What can be worked out, by name; another analysis is another line here."""

from data.analyses import watch, workload
from data.analyses.work import Analysis

ANALYSES: dict[str, Analysis] = {each.name: each for each in (workload.ANALYSIS, watch.ANALYSIS)}
