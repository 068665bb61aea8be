"""Rescaling a job while it runs: does the trainer wait, and does the river follow?

Two jobs, because on few cores one would spoil the other's figure. `steps`: the trainer is what takes the
time, with a thread of its own; the gaps between its steps around each rescale are held against those of
the rest of the run. `river`: nearly all documents are held out, so nearly nothing is trained and the
workers are what takes the time; documents in words a second are held against the number of workers.
"""
import dataclasses
import functools
import json
import pathlib
import subprocess
import time
import urllib.request

import corpus
from rig import CORES, ROOT, Finding, Promise, Trouble, at_least, at_most, built, median, run, sets, start

# Of the documents of the second job, so much is not trained on.
HELD_OUT = 0.995
STEPS = corpus.BARE + """
[flow]
epoch_entries = 4
[vocabulary]
limit = 4096
[chunk]
words = 32768
[model]
layers = 1
hidden = 128
embedding = 64
[train]
threads = 1
batch = 16
sequence = 64
[held_out]
share = 0.0
every = "never"
[report]
steps = true
"""
# Read far ahead, so that a worker never waits for the other's long page; so little is trained, by so small a
# model, that the trainer never is what takes the time.
RIVER = functools.reduce(lambda job, change: job.replace(*change), [
    ("steps = true", "steps = false"),
    ("share = 0.0", f"share = {HELD_OUT}"),
    ("epoch_entries = 4\n", "epoch_entries = 8\n"),
    ("hidden = 128\nembedding = 64", "hidden = 16\nembedding = 16"),
    ("limit = 4096", "limit = 1024"),
], STEPS)

# Seconds between two rescales, and what counts as around one.
PAUSE = 6.0
# Some dozens of steps: the longest of more than a hundred gaps is beyond their p99 by chance alone.
BEFORE, AFTER = 0.25, 1.0
# How long the river works with each number, and what of that belongs to the change.
STRETCH, SETTLING = 10.0, 2.0
# How often the river is looked at.
LOOK = 0.25


@dataclasses.dataclass
class Job:
    """A run that goes."""

    rig: object
    directory: pathlib.Path
    process: subprocess.Popen

    @classmethod
    def begin(cls, rig, job, name):
        directory = rig.folder(name) / "run"
        settings = {"directory": directory, "workers": 1, "max_workers": max(CORES, 2)}
        process = start([rig.seseragi, "run", job, "--json", *sets(settings)], log=rig.log, stdout=subprocess.DEVNULL)
        return cls(rig, directory, process)

    def goes(self):
        return self.process.poll() is None

    def status(self):
        """How it stands, asked of its control server; nothing before it has one, and after it has ended."""
        try:
            notice = json.loads((self.directory / "control.json").read_text())
            asked = urllib.request.Request(f"http://{notice['address']}/status", headers={"Authorization": f"Bearer {notice['token']}"})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)
        except (OSError, json.JSONDecodeError):
            return None

    def wait_until(self, holds, what, limit=120):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and self.goes():
            status = self.status()
            if status and holds(status):
                return status
            time.sleep(LOOK)
        raise Trouble(f"the job did not come to {what}; see {self.rig.log}")

    def scale(self, workers):
        """Gives the command as anybody would; from when until when that took, and from which epoch on it holds."""
        begun = time.time()
        answer = run([self.rig.seseragi, "scale", workers, "--dir", self.directory, "--json"], log=self.rig.log)
        return begun, time.time(), answer.json

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.terminate()  # a second signal stops at once
            self.process.wait()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def gaps(rig, job, counts):
    """Steps' times of a run that is rescaled again and again: (times, [(workers, around)])."""
    going = Job.begin(rig, job, "steps")
    try:
        going.wait_until(lambda status: status["stages"]["resequence"] > 16, "its first documents")
        time.sleep(PAUSE)
        changes = []
        for count in counts:
            begun, ended, _ = going.scale(count)
            changes.append((count, begun, ended))
            time.sleep(PAUSE)
        if not going.goes():
            raise Trouble("the pages were learnt before the last rescale; more are needed")
    finally:
        going.end()
    lines = (json.loads(line) for line in (going.directory / "metrics.jsonl").read_text().splitlines())
    times = [at for line in lines if line["kind"] == "steps" for at in line["at"]]
    return times, changes


def throughput(rig, job, counts):
    """The river under a job that is rescaled: [(time, documents in words, workers)], [(workers, from)]."""
    going = Job.begin(rig, job, "river")
    seen, changes = [], []

    def watch(seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status = going.status()
            if status:
                seen.append((time.time(), status["stages"]["tokenize"], status["workers"]["active"]))
            time.sleep(LOOK)

    try:
        going.wait_until(lambda status: status["stages"]["tokenize"] > 50, "its first documents")
        changes.append((str(counts[0]), time.time()))
        watch(STRETCH)
        for count in counts[1:]:
            going.scale(count)
            changes.append((str(count), time.time()))
            watch(STRETCH)
        if not going.goes():
            raise Trouble("the pages were read before the last rescale; more are needed")
    finally:
        going.end()
    return seen, changes


def measure(rig):
    library = corpus.corpus(rig.folder("pages"))
    many = corpus.corpus(rig.folder("pages-many"), copies=48)
    most = max(CORES, 2)
    back_and_forth = [2, 1, most, 1, 2, 1]
    times, changes = gaps(rig, corpus.over_files(rig.work / "steps.toml", library, STEPS, embedded=False), back_and_forth)
    steps = list(zip(times[1:], (later - earlier for earlier, later in zip(times, times[1:]))))
    around = lambda at: any(begun - BEFORE <= at <= ended + AFTER for _, begun, ended in changes)
    # Until the first rescale is near, rows and caches are still warming up.
    first = times[0] + 2.0
    steady = [gap for at, gap in steps if at > first and not around(at)]
    if len(steady) < 200:
        raise Trouble(f"only {len(steady)} steps outside the rescales; the p99 of so few says nothing")
    p99 = percentile(steady, 0.99)
    longest = [
        (count, max((gap for at, gap in steps if begun - BEFORE <= at <= ended + AFTER), default=0.0), ended - begun)
        for count, begun, ended in changes
    ]
    ms = lambda seconds: f"{seconds * 1e3:.1f}"
    rows = [("steady", f"{len(steady):,} steps", ms(median(steady)), ms(p99), ms(max(steady)), "")]
    rows += [(f"to {count} workers", "", "", "", ms(gap), f"{gap / p99:.2f}×") for count, gap, _ in longest]
    worst = max(gap for _, gap, _ in longest)

    counts = [1, *(n for n in (2, 4, 8, 16) if n < CORES), CORES, 1, "auto"] if CORES > 1 else [1, 2, 1, "auto"]
    seen, scaled = throughput(rig, corpus.over_files(rig.work / "river.toml", many, RIVER, embedded=False), counts)
    edges = [at for _, at in scaled] + [seen[-1][0]]
    rates = []
    for (count, since), until in zip(scaled, edges[1:]):
        inside = [(at, documents) for at, documents, _ in seen if since + SETTLING <= at <= until]
        active = [workers for at, _, workers in seen if since + SETTLING <= at <= until]
        rates.append((count, (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0]), sum(active) / len(active)))
    alone = rates[0][1]
    table = [(count, f"{active:.1f}", f"{rate:.1f}", f"{rate / alone:.2f}×") for count, rate, active in rates]

    picture = ROOT / "docs/benchmarks/rescale.svg"
    drawn = rig.work / "rescale.json"
    drawn.write_text(json.dumps(dict(seen=seen, scaled=scaled, steps=steps, changes=changes, p99=p99)))
    run([rig.peer, ROOT / "scripts/bench/rescale_picture.py", drawn, picture], log=rig.log)

    promises = [at_most("the longest gap between steps around a rescale ≤ 1.1× of the steady p99", worst / p99, 1.1)]
    numbered = [(int(count), rate) for count, rate, _ in rates if count != "auto"]
    for count, rate in numbered[1:-1]:
        says = f"throughput of a CPU-bound job follows N: {count} workers ≥ {0.8 * count:.1f}× one"
        promises.append(at_least(says, rate / alone, 0.8 * count) if count <= CORES else Promise(says, f"{rate / alone:.2f}×, on {CORES} cores", None))
    promises.append(at_most("and back: one worker again ≤ 1.15× of what it was", numbered[-1][1] / alone, 1.15))
    return Finding("Rescale", [
        (("gaps between steps", "", "median ms", "p99 ms", "longest ms", "of the steady p99"), rows),
        (("workers asked for", "at work, mean", "documents/s", "of one"), table),
    ], [
        f"Gaps: {library.name}, a trainer with one thread (LSTM 1×128), workers as told by `seseragi scale`; around a rescale is "
        f"from {BEFORE} s before the command was given to {AFTER} s after it was answered. What the command's own process takes of the cores is in it.",
        f"Throughput: {len(many.paths):,} pages with distinct texts, of which all but {1 - HELD_OUT:.1%} are held out and so not trained on; "
        f"{STRETCH:.0f} s with each number, the first {SETTLING} s left out. ![over time](rescale.svg)",
        "`auto` follows the backlog: where the river is what takes the time it takes all workers that there are.",
    ], promises)
