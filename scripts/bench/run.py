#!/usr/bin/env python3
"""Runs the benchmarks and writes docs/benchmarks/DATE.md.

    scripts/bench/run.py [--only NAME[,NAME]] [--rounds N] [--write]

`make bench` sets everything up, builds, and runs all with --write. With --only nothing is written unless
--write is given. Tables go to standard output, what is going on to standard error. Exit codes: 0 if
everything was measured, whether promises were kept or not; 1 if something could not be.
"""
import argparse
import datetime
import importlib
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from rig import ROOT, Finding, Promise, Rig, Trouble, machine, said  # noqa: E402

# In this order: what is asked for most comes first.
NAMES = ["pages", "scaling", "training", "softmax", "overlap", "memory", "commands", "rescale", "gpu"]


def versions():
    commit = said(["git", "describe", "--always", "--dirty"])
    found = {
        "seseragi": commit, "rustc": said(["rustc", "--version"]).removeprefix("rustc "),
        "libtorch": "2.11.0", "python": sys.version.split()[0], "mecab": said(["mecab", "--version"]).removeprefix("mecab of "),
    }
    listed = said([str(ROOT / ".peers/venv/bin/pip"), "list", "--format=freeze", "--disable-pip-version-check"])
    wanted = ("beautifulsoup4", "natto-py", "gensim", "selectolax", "fugashi", "ipadic", "numpy")
    found |= dict(line.split("==") for line in listed.splitlines() if line.startswith(wanted))
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)


def measured(name, rig):
    """What a benchmark found; trouble is a finding as well."""
    begun = time.monotonic()
    print(f"{name}:", file=sys.stderr, flush=True)
    try:
        finding = importlib.import_module(name).measure(rig)
    except Trouble as trouble:
        print(f"  {trouble}", file=sys.stderr)
        return Finding(name.capitalize(), notes=[f"Not measured: {trouble}"]), False
    except Exception as mistake:  # of ours: the others are measured all the same
        traceback.print_exc()
        return Finding(name.capitalize(), notes=[f"Not measured, by a mistake in its script: {mistake!r}"]), False
    print(f"  {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return finding, True


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--only", metavar="NAME[,NAME]", help=f"of {', '.join(NAMES)}")
    asked.add_argument("--rounds", type=int, default=3, help="how often what is compared runs in turns (3)")
    asked.add_argument("--write", action="store_true", help="write docs/benchmarks/DATE.md")
    asked = asked.parse_args()
    names = asked.only.split(",") if asked.only else NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"error: no benchmark is called {', '.join(unknown)}; there are: {', '.join(NAMES)}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, as Ctrl-C does
    now = datetime.datetime.now().astimezone()
    head = [
        f"# Benchmarks, {now:%Y-%m-%d}", "",
        f"Machine: {machine()}.", "", f"Versions: {versions()}.", "",
        "Each figure is the median of its rounds, and its spread their least and greatest. Ratios of one table come from "
        "one run in turns; figures of two tables were not taken side by side. [README.md](README.md) says what each means.", "",
    ]
    (ROOT / "runs").mkdir(exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "runs"))
    findings, well = [], True
    try:
        for name in names:
            folder = work / name
            folder.mkdir()
            finding, measures = measured(name, Rig(folder, asked.rounds))
            findings.append(finding)
            well = well and measures
            print(finding.markdown(), flush=True)
            if measures:
                shutil.rmtree(folder)  # pages and runs, by the hundred megabytes
    finally:
        if well:
            shutil.rmtree(work, ignore_errors=True)
        else:
            print(f"what it left is in {work}", file=sys.stderr)

    promises = [promise for finding in findings for promise in finding.promises]
    kept = sum(promise.kept is True for promise in promises)
    summary = f"{kept} of {len(promises)} promises kept; {sum(promise.kept is None for promise in promises)} not judged here."
    print(summary)
    if asked.write:
        path = ROOT / f"docs/benchmarks/{now:%Y-%m-%d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*head, summary, "", *(finding.markdown() for finding in findings)]), "utf-8")
        print(f"written to {path.relative_to(ROOT)}", file=sys.stderr)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
