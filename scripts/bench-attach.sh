#!/bin/sh
# What attaching a source costs: bits per character on held-out works in new and in old characters.
#
#   scripts/bench-attach.sh MIRROR [--set KEY=VALUE ...]
#
# MIRROR is a folder with a part of Aozora Bunko in both orthographies. Four runs over it, in
# runs/attach: `old` reads the works in new characters; `attached` goes on from there with the works in
# old characters; `forgetful` does the same without replay; `scratch` reads both from the beginning.
# Prints a table in Markdown and whether the promise holds; fails if it does not.
set -eu

cd "$(dirname "$0")/.."
mirror=${1:?name the folder of the mirror}
shift
seseragi=${SESERAGI:-target/release/seseragi}
home=runs/attach
if [ -e "$home" ]; then
    echo "error: $home is there already; move it away to measure anew" >&2
    exit 1
fi
mkdir -p "$home"

python3 -m http.server -d "$mirror" 8000 --bind 127.0.0.1 2>"$home/server.log" &
server=$!
trap 'kill $server' EXIT

both="$home/both.toml"
late="$home/late.toml"
cat >"$late" <<'TOML'
[[source]]
kind = "aozora"
name = "old-characters"
mirror = "http://127.0.0.1:8000"
wanted.orthography = ["旧字旧仮名"]
TOML
# From scratch the two are mixed from the first epoch on, by the number of their works: 420 and 120.
sed 's/^name = "new-characters"/&\nweight = 7.0/' jobs/attach.toml >"$both"
sed 's/^name = "old-characters"/&\nweight = 2.0/' "$late" >>"$both"

run() {
    name=$1 job=$2
    shift 2
    "$seseragi" run "$job" --json --set "directory=$home/$name" "$@" >"$home/$name.json"
}
attach() {
    name=$1
    shift
    cp -r "$home/old" "$home/$name"
    "$seseragi" attach "$late" --dir "$home/$name"
    run "$name" jobs/attach.toml "$@"
}

run old jobs/attach.toml "$@"
attach attached "$@"
attach forgetful "$@" --set replay.share=0
run scratch "$both" "$@"

for name in attached forgetful scratch; do
    for source in new-characters old-characters; do
        "$seseragi" evaluate "$home/$name" --source "$source" --json >"$home/$name-$source.json"
    done
done
"$seseragi" evaluate "$home/old" --source new-characters --json >"$home/old-new-characters.json"
# Of the works to come `old` has held nothing out: it is scored on the pages of those that were.
"$seseragi" inspect "$home/scratch" --json >"$home/scratch-inspect.json"
python3 - "$home" "$mirror" <<'PYTHON' | tr '\n' '\0' >"$home/late.list"
import json, sys, urllib.parse
home, mirror = sys.argv[1:]
for line in json.load(open(f"{home}/scratch-inspect.json"))["documents"]:
    if line["fate"] == "held_out" and line["source"] == "old-characters":
        print(mirror + urllib.parse.urlsplit(line["url"]).path)
PYTHON
xargs -0 "$seseragi" evaluate "$home/old" --json <"$home/late.list" >"$home/old-old-characters.json"

python3 - "$home" <<'PYTHON'
import json, sys
home = sys.argv[1]
read = lambda name: json.load(open(f"{home}/{name}.json"))
bits = lambda run, source: read(f"{run}-{source}")["bits_per_character"]
steps = {run: read(run)["steps"] for run in ["old", "attached", "forgetful", "scratch"]}
print("| run | steps | new characters | old characters |\n|---|---|---|---|")
for run, what in [
    ("old", "before: new characters only"),
    ("attached", "attached, 30 % replayed"),
    ("forgetful", "attached, nothing replayed"),
    ("scratch", "from scratch on both"),
]:
    own = steps[run] - (steps["old"] if run in ("attached", "forgetful") else 0)
    print(f"| {what} | {own:,} | {bits(run, 'new-characters'):.3f} | {bits(run, 'old-characters'):.3f} |")
reach = bits("attached", "old-characters") / bits("scratch", "old-characters") - 1
share = (steps["attached"] - steps["old"]) / steps["scratch"]
loss = bits("attached", "new-characters") / bits("old", "new-characters") - 1
print(f"\non the new source {reach:+.1%} of scratch (at most +3 %), at {share:.0%} of its steps (at most 60 %); "
      f"on the old one {loss:+.1%} (at most +3 %)")
sys.exit(not (reach <= 0.03 and share <= 0.6 and loss <= 0.03))
PYTHON
