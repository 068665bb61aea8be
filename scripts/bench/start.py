#!/usr/bin/env python3
"""How soon the program answers, and how soon a small run takes its first step.

    scripts/bench/start.py [--program target/release/seseragi] [--runs 21] [--steps 21]

Commands that need no model are timed from before they are started until they have ended: `--help`,
and `status`, `scale` and `attach` on a run that goes (paused, so that it takes no processor time
itself), and `inspect --json` on one that has ended. Beside them stand `true`, which is what starting any
process costs here, and the engine's own `--help`, which is what loading libtorch costs. The first step is that of
`run` over ten files of some 2 kB with default settings but for the shape of the model: timed from before the
program is started until its line about the step is read. Prints a table in Markdown. Where other work has
the cores too, the column of processor time, user's and system's, tells what a quiet machine would wait.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# The model of the job; the defaults (two layers of 512) are for larger libraries than ten files.
JOB = """
directory = {directory}
[[source]]
kind = "files"
paths = [{paths}]
[model]
layers = 1
hidden = 256
embedding = 128
"""

SENTENCES = """\
朝の汽車は川に沿って走り、窓の外を白い霧が流れていった。
祖母は縁側に腰かけて、豆の筋を一つずつ取っている。
港の倉庫には古い網が積まれ、潮の匂いがいつまでも抜けない。
雨が上がると、子供たちは長靴のまま水たまりへ駆けていった。
峠の茶屋はとうに閉じていたが、看板だけが風に鳴っていた。
彼は返事を書きかけて、三度やめ、とうとう葉書を一枚買いに出た。
畑の向こうで犬が吠え、それに答えるように鶏が鳴いた。
夜の図書館では、時計の音と頁をめくる音だけが聞こえる。
姉は糸を選びながら、今年の冬は早いだろうと言った。
橋の工事は春に終わるはずだったのに、夏になっても足場が残っている。
店の奥から出てきた老人は、眼鏡を拭いてから切手を数えた。
山の上の観測所には、毎朝六時に気温を記録する人がいる。
弟の描いた魚は、どれもこちらを向いて笑っているように見えた。
駅前の時計が五分遅れていることを、町の者は皆知っている。
米を研ぐ水が澄むまで、母は歌を二つ歌う。
知らない街で道に迷うと、空の広さばかりが目につく。
船頭は櫂を置き、しばらく流れにまかせようと言った。
雪の日の郵便は昼を過ぎて届き、封筒の角が少し濡れていた。
工場の笛が鳴ると、坂道はたちまち自転車でいっぱいになる。
井戸の底に映った月を、誰かが汲み上げようとしている。
""".split()


def text(number):
    """A text of some 2 kB, another for each number: every third sentence, and again shifted."""
    count = len(SENTENCES)
    order = [(number * 7 + place * 3 + place // count) % count for place in range(24)]
    return "".join(SENTENCES[place] + ("\n" if place % 4 == 0 else "") for place in order) + "\n"


def processor():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command):
    """Seconds from before a command is started until it has ended, and its processor time."""
    before = processor()
    begun = time.perf_counter()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    took, used = time.perf_counter() - begun, processor() - before
    if ended.returncode != 0:
        sys.exit(f"error: {command} failed:\n{ended.stderr}")
    return took, used


def told(measured):
    seconds = [took for took, _ in measured]
    used = [used for _, used in measured if used is not None]
    number = lambda each: f"{1000 * each:.1f}" if statistics.median(seconds) < 0.1 else f"{1000 * each:.0f}"
    middle = number(statistics.median(seconds))
    of_processor = number(statistics.median(used)) if used else ""
    return f"{middle} | {number(min(seconds))} to {number(max(seconds))} | {of_processor} | {len(measured)}"


def first_step(program, folder, number):
    """Starts a run of its own directory; from before its start until its first step, and to its end."""
    job = write_job(folder, f"run-{number}")
    begun = time.perf_counter()
    run = subprocess.Popen(
        [program, "run", job], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    took = None
    said = []
    for line in run.stderr:
        if took is None and line.startswith("first step"):
            took = time.perf_counter() - begun
        said.append(line)
    if run.wait() != 0 or took is None:
        sys.exit("error: the run failed:\n" + "".join(said))
    return took, None


def write_job(folder, name, more=""):
    job = folder / f"{name}.toml"
    quoted = lambda path: json.dumps(str(path))
    job.write_text(
        JOB.format(directory=quoted(folder / name), paths=quoted(folder / "texts" / "*.txt")) + more
    )
    return job


def measure(program, folder, runs, step_runs):
    (folder / "texts").mkdir()
    for number in range(10):
        (folder / "texts" / f"{number}.txt").write_text(text(number))
    rows = {}

    def row(name, command):
        timed(command)  # whatever is read first is in memory after that
        rows[name] = [timed(command) for _ in range(runs)]

    row("`true`", ["true"])
    row("`--help`", [program, "--help"])
    first_step(program, folder, "before")
    steps = [first_step(program, folder, number) for number in range(step_runs)]
    row("`inspect --json`", [program, "inspect", str(folder / "run-before"), "--json"])

    # A run that goes on, for it waits for files; and its texts are learnt before anything is timed.
    (folder / "later").mkdir()
    endless = '[[source]]\nkind = "files"\nname = "later"\nwatch = true\n'
    endless += f"paths = [{json.dumps(str(folder / 'later' / '*.txt'))}]\n"
    endless += f'[allow]\nfiles = [{json.dumps(str(folder / "texts"))}]\n'
    job = write_job(folder, "going", endless + '[held_out]\nshare = 0\n[commit]\nevery = "0 s"\n')
    going = subprocess.Popen(
        [program, "run", job], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        if not any(line.startswith("committed epoch") for line in going.stderr):
            sys.exit("error: the run that was to go on has ended")
        address = ["--dir", str(folder / "going")]
        timed([program, "pause", *address])
        row("`status`", [program, "status", *address])
        row("`scale 1`", [program, "scale", "1", *address])
        sources = []
        for number in range(runs + 1):
            source = folder / f"source-{number}.toml"
            paths = json.dumps(str(folder / "texts" / "0.txt"))
            source.write_text(f'kind = "files"\nname = "source-{number}"\npaths = [{paths}]\n')
            sources.append(source)
        took = [timed([program, "attach", str(source), *address]) for source in sources]
        rows["`attach`"] = took[1:]
    finally:
        going.terminate()
        going.communicate()
    row("the engine's `--help`", [engine_of(program), "--help"])
    rows["`run`, to its first step"] = steps
    return rows


def engine_of(program):
    return str(pathlib.Path(program).with_name("seseragi-engine"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    home = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--program", default=str(home / "target/release/seseragi"))
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--steps", type=int, help="runs to their first step [default: as --runs]")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        # From the checkout, where the dictionary is found.
        rows = measure(program, pathlib.Path(folder), arguments.runs, arguments.steps or arguments.runs)
    print("| command | median, ms | range, ms | processor, ms | runs |\n|---|---|---|---|---|")
    for name, measured in rows.items():
        print(f"| {name} | {told(measured)} |")


if __name__ == "__main__":
    main()
