"""What can be worked out, by name; another analysis is another line here."""

from data.analyses import coverage, forecast, hotspots, watch, workload
from data.analyses.work import Analysis

ANALYSES: dict[str, Analysis] = {
    each.ANALYSIS.name: each.ANALYSIS for each in (hotspots, forecast, coverage, workload, watch)
}
