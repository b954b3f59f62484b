#!/usr/bin/env python3
"""Writes cldr.csv: words for week, day, month and hour, names of months and of regions, in many languages.

Usage: npm pack cldr-dates-full cldr-localenames-full, unpack both, then
    cldr.py DATES_PACKAGE LOCALENAMES_PACKAGE > cldr.csv
"""
import csv
import json
import sys
from pathlib import Path

LANGUAGES = (
    "af ar bg bn ca cs da de el en es es-419 et fa fi fil fr he hi hr hu id it ja ko lt lv ms nb nl pl pt pt-PT ro ru"
    " sk sl sr sv th tr uk ur vi zh zh-Hant"
).split()
REGIONS = "US CA MX BR DE AT CH ES FR IT GB IE NL BE SE PL JP AU 001".split()


def load(package, language, file):
    return json.loads((Path(package) / "main" / language / file).read_text(encoding="utf-8"))["main"][language]


def rows(dates, names):
    for language in LANGUAGES:
        fields = load(dates, language, "dateFields.json")["dates"]["fields"]
        for field in ("week", "day", "month", "hour"):
            yield field, "", language, fields[field]["displayName"]
        months = load(dates, language, "ca-gregorian.json")["dates"]["calendars"]["gregorian"]["months"]
        for form in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in months[form][width].items():
                    yield "month_name", number, language, name
        territories = load(names, language, "territories.json")["localeDisplayNames"]["territories"]
        for region in REGIONS:
            for key in (region, region + "-alt-short", region + "-alt-variant"):
                if key in territories:
                    yield "region", region, language, territories[key]


out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(("what", "code", "language", "name"))
seen = set()
for row in rows(sys.argv[1], sys.argv[2]):
    if (row[0], row[1], row[3].lower()) not in seen:
        seen.add((row[0], row[1], row[3].lower()))
        out.writerow(row)
