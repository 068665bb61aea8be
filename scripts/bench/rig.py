"""What the benchmarks share: programs run and measured, rounds interleaved, figures made into tables.

A benchmark is a module with `measure(rig)` that gives a `Finding`. What is compared runs in turns,
A B C A B C, so that whatever else the machine does costs each the same; medians are compared, and
spread is told with each.
"""
import dataclasses
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORES = len(os.sched_getaffinity(0))
# How the trainer's threads wait, for programs that are nothing but it: as in the program itself (src/half.rs), where
# one thread calls libtorch with several of its own, as here.
WAITING = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "10000"}


class Trouble(Exception):
    """A benchmark that cannot be run here: what was tried, and what to do."""


@dataclasses.dataclass
class Ran:
    """A program that has ended: what it printed, and what it took."""

    out: str
    seconds: float  # of the whole process, wall clock
    processor: float  # user and system
    peak_mib: float  # resident

    @property
    def json(self):
        """What it printed last: one value, over several lines or on a line of its own."""
        lines = self.out.strip().splitlines()
        return json.loads(self.out if lines[0] in "{[" else lines[-1])


def start(command, *, log, env=None, cores=None, **options):
    """Starts a program of ours; `cores` are those that it may run on."""
    pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env={**os.environ, **(env or {})}, text=True,
        stdin=subprocess.DEVNULL, stderr=log.open("a"), preexec_fn=pin, **options,
    )


def run(command, *, log, env=None, cores=None):
    """Runs a program to its end. One that fails is trouble, with the end of what it said."""
    begun = time.monotonic()
    with start(command, log=log, env=env, cores=cores, stdout=subprocess.PIPE) as process:
        try:
            out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # whoever interrupts us must not leave it behind
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begun
    if process.returncode != 0:
        said = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise Trouble(f"{' '.join(map(str, command))}: exit code {process.returncode}: {' / '.join(said)}")
    return Ran(out, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(rounds, contestants):
    """Runs each of {name: function} in turns; {name: [what it gave in each round]}."""
    gave = {name: [] for name in contestants}
    for turn in range(rounds):
        for name, contestant in contestants.items():
            print(f"  round {turn + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            gave[name].append(contestant())
    return gave


def median(values):
    return statistics.median(values)


def spread(values, form="{:.2f}"):
    """The least and the greatest, as `0.91–1.04`."""
    return f"{form.format(min(values))}–{form.format(max(values))}"


@dataclasses.dataclass
class Promise:
    """What was promised, and what was found; `kept` is None where it could not be judged here."""

    says: str
    found: str
    kept: bool | None


def at_least(says, value, limit, unit="×"):
    return Promise(says, f"{value:.2f}{unit}", value >= limit)


def at_most(says, value, limit, unit="×"):
    return Promise(says, f"{value:.2f}{unit}", value <= limit)


@dataclasses.dataclass
class Finding:
    """What a benchmark found: tables (header, rows), notes, and promises."""

    title: str
    tables: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    promises: list = dataclasses.field(default_factory=list)
    text: str = ""  # Markdown that stands as it is

    def markdown(self):
        lines = [f"## {self.title}", ""] + ([self.text, ""] if self.text else [])
        for header, rows in self.tables:
            lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
            lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]
        lines += [f"- {note}" for note in self.notes] + ([""] if self.notes else [])
        if self.promises:
            lines += ["| promise | found | |", "|---|---|---|"]
            word = {True: "kept", False: "**not kept**", None: "not judged"}
            lines += [f"| {p.says} | {p.found} | {word[p.kept]} |" for p in self.promises] + [""]
        return "\n".join(lines)


@dataclasses.dataclass
class Rig:
    """Where the programs are, and where the benchmarks may write."""

    work: pathlib.Path  # a folder of its own for this run of the benchmarks
    rounds: int

    @property
    def log(self):
        return self.work / "log.txt"

    @property
    def seseragi(self):
        return built("seseragi")

    @property
    def peer(self):
        """The interpreter with the packages of the peers."""
        python = ROOT / ".peers/venv/bin/python"
        if not python.exists():
            raise Trouble("there is no .peers/venv; run scripts/bench/peers/setup.sh")
        return python

    @property
    def torch(self):
        """The environment in which Python's torch is the one that set-up has brought."""
        if not (ROOT / ".libtorch/python/torch").exists():
            raise Trouble("there is no torch in .libtorch/python; run make setup with a python3 that torch has a wheel for")
        return {"PYTHONPATH": str(ROOT / ".libtorch/python"), "PYTHONWARNINGS": "ignore"}

    def folder(self, name):
        """A new folder of this name."""
        number = 0
        while (folder := self.work / (f"{name}-{number}" if number else name)).exists():
            number += 1
        folder.mkdir(parents=True)
        return folder

    def run(self, command, **options):
        return run(command, log=self.log, **options)

    def export(self, job, *, workers, form="ids", cores=None, **settings):
        """`seseragi export` of a job, without pages kept from before."""
        home = self.folder("export")
        settings = {"directory": home / "run", "workers": workers, "max_workers": workers, **settings}
        command = [self.seseragi, "export", job, "--to", home / "out", "--format", form, "--json"]
        return self.run(command + sets(settings), cores=cores), home

    def train(self, job, **settings):
        """`seseragi run` of a job, from the beginning."""
        settings = {"directory": self.folder("train"), **settings}
        return self.run([self.seseragi, "run", job, "--json", *sets(settings)])


def sets(settings):
    """The arguments that give a job these settings."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def built(name):
    """A release binary of this checkout."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    if not (target / name).is_file():
        raise Trouble(f"there is no {target / name}; run make bench, which builds it")
    return target / name


def said(command):
    """What a program prints, or nothing where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine():
    """The machine in a line."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{cpu}, {CORES} cores, {memory:.0f} GiB, Linux {kernel}; load {load} when it began"
