"""Forecasts the series on standard input, a line each, with statsforecast; prints series a second by model, as JSON."""

import json
import sys
import time
import warnings

import numpy
from statsforecast.models import AutoETS, AutoTheta

warnings.filterwarnings("ignore")
series = [numpy.array([float(cell) for cell in line.split(",")]) for line in sys.stdin]
speeds = {}
for name, model in (("autoets", AutoETS(season_length=52)), ("autotheta", AutoTheta(season_length=52))):
    # The first call compiles or loads what the others use.
    model.forecast(y=series[0], h=8, level=[80, 95])
    begin = time.perf_counter()
    for values in series:
        model.forecast(y=values, h=8, level=[80, 95])
    speeds[name] = len(series) / (time.perf_counter() - begin)
print(json.dumps(speeds))
