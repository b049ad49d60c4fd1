# Writes what farringtonFlexible of R's package "surveillance" says about the series of a CSV file.
#
#   Rscript reference.R series.csv answers.csv
#
# series.csv has a column `week` (first days) and one column per series. The last weeks are judged.
suppressWarnings(suppressMessages(library(surveillance)))
arguments <- commandArgs(trailingOnly = TRUE)
series <- read.csv(arguments[1], comment.char = "#", check.names = FALSE)
weeks <- as.Date(series$week)
counts <- as.matrix(series[, -1])
judged <- (nrow(counts) - 1):nrow(counts)
known <- sts(observed = counts, epoch = as.numeric(weeks), epochAsDate = TRUE, frequency = 52)

settings <- list(
  noufaily = list(noPeriods = 10, b = 5, w = 3, weightsThreshold = 2.58, alpha = 0.005,
    pastWeeksNotIncluded = 26, pThresholdTrend = 1, thresholdMethod = "nbPlugin"),
  quantile = list(noPeriods = 10, b = 4, w = 3, weightsThreshold = 2.58, alpha = 0.01,
    pastWeeksNotIncluded = 26, pThresholdTrend = 0.05, thresholdMethod = "muan"),
  farrington = list(noPeriods = 1, b = 5, w = 3, weightsThreshold = 1, alpha = 0.05,
    pastWeeksNotIncluded = 3, pThresholdTrend = 0.05, thresholdMethod = "delta"),
  level = list(noPeriods = 5, b = 5, w = 2, weightsThreshold = 2.58, alpha = 0.005,
    pastWeeksNotIncluded = 26, trend = FALSE, thresholdMethod = "delta"))

answers <- NULL
for (name in names(settings)) {
  control <- c(settings[[name]], list(range = judged, limit54 = c(0, 4), glmWarnings = FALSE))
  said <- farringtonFlexible(known, control = control)
  for (j in seq_len(ncol(counts))) {
    answers <- rbind(answers, data.frame(
      setting = name, series = colnames(counts)[j], week = as.character(weeks[judged]),
      expected = control(said)$expected[, j], threshold = upperbound(said)[, j],
      p = control(said)$pvalue[, j], dispersion = control(said)$phiVector[, j],
      trend = control(said)$trendVector[, j], alarm = alarms(said)[, j] * 1))
  }
}
out <- file(arguments[2], "w")
writeLines(sprintf("# %s; surveillance %s", R.version.string, packageVersion("surveillance")), out)
write.csv(format(answers, digits = 12, trim = TRUE), out, row.names = FALSE, quote = FALSE)
close(out)
