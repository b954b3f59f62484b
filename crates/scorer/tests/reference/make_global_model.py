"""Makes global_model.json: generated series, and what the Python reference of the global model forecasts for them.

usage: make_global_model.py FOLDER      the folder that holds the reference's common.py and run_ml.py; needs numpy

The series are generated here, from a generator of its own, so that the fixture holds no data of anybody.
"""
import json
import math
import os
import sys

sys.path.insert(0, sys.argv[1])
import numpy as np
from common import build_windows, origin_features
from run_ml import lad_fit_predict

HORIZONS, STRIDE, WINDOWS_MAX, HISTORY_MIN = 6, 4, 120, 30


def noise(state):
    """A generator of numbers from -1 to 1 that needs no library."""
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 33) / 2**30 - 1


def series(number):
    numbers = noise(number + 1)
    level, values = 50.0 + 20 * number, []
    for week in range(70 + 17 * number):
        level += 2 * next(numbers) ** 3
        season = 0.2 * level * math.sin(2 * math.pi * week / 52 + number)
        burst = 30.0 if next(numbers) > 0.97 else 0.0
        values.append(round(max(level + season * (number % 3) / 2 + burst + 3 * next(numbers), 0.0), 3))
    return values


if __name__ == "__main__":
    all_series = [series(number) for number in range(12)]
    arrays = [np.array(values) for values in all_series]
    common, seasonal, moves, _, of_series, _ = build_windows(arrays, HORIZONS, STRIDE, WINDOWS_MAX, HISTORY_MIN)
    at_ends, seasonal_at_ends, scales, _ = origin_features(arrays, HORIZONS)
    forecast = lad_fit_predict("lad_asinh", (common, seasonal, moves, of_series), (at_ends, seasonal_at_ends), HORIZONS)
    fixture = {
        "horizons": HORIZONS,
        "stride": STRIDE,
        "windows_max": WINDOWS_MAX,
        "history_min": HISTORY_MIN,
        "examples": len(common),
        "series": all_series,
        "scales": scales.tolist(),
        "moves": forecast.tolist(),
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "global_model.json")
    with open(path, "w") as file:
        json.dump(fixture, file)
        file.write("\n")
