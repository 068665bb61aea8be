#!/usr/bin/env bash
# Counts the instructions that each stage takes over fixed pages, and holds them against those that are
# kept in docs/benchmarks/instructions.txt: fails where one has grown by more than 5 %.
#
#   scripts/count-instructions.sh            compare
#   scripts/count-instructions.sh --update   write the counts down
#
# They are counted by valgrind, in the release build, so they do not depend on how busy the machine is.
set -euo pipefail
cd "$(dirname "$0")/.."
kept=docs/benchmarks/instructions.txt
stages=(extract tokenize embed chunk)

if ! command -v valgrind >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind libc6-dbg >/dev/null
  else
    echo "count-instructions: there is no valgrind: install it (Debian: apt-get install valgrind)" >&2
    exit 1
  fi
fi

# Of the stages and what they stand on only: libtorch's glue is not built for it.
cargo build --release --quiet --example instructions
log=$(mktemp)
trap 'rm -f "$log"' EXIT

count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*measured*' \
    target/release/examples/instructions "$1" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  counted=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$log")
  if [ -z "$counted" ] || [ "$counted" -lt 1000 ]; then
    cat "$log" >&2
    echo "count-instructions: valgrind counted nothing of $1" >&2
    exit 1
  fi
}

compiler="$(rustc --version), $(valgrind --version)"
if [ "${1:-}" = --update ]; then
  {
    echo "# Instructions of each stage over the sample library: scripts/count-instructions.sh --update"
    echo "# $compiler"
    for stage in "${stages[@]}"; do
      count "$stage"
      echo "$stage $counted"
    done
  } >"$kept.new"
  mv "$kept.new" "$kept"
  cat "$kept"
  exit
fi

grep -qxF "# $compiler" "$kept" ||
  echo "count-instructions: counted by $compiler; kept: $(sed -n 2p "$kept")" >&2
failed=0
for stage in "${stages[@]}"; do
  before=$(sed -n "s/^$stage //p" "$kept")
  if [ -z "$before" ]; then
    echo "count-instructions: $kept has no count of $stage: run $0 --update" >&2
    exit 1
  fi
  count "$stage"
  change=$(awk "BEGIN { printf \"%+.2f\", 100 * ($counted - $before) / $before }")
  echo "$stage: $counted instructions, $change % of the $before kept"
  if [ "$counted" -gt $((before + before / 20)) ]; then
    failed=1
    echo "count-instructions: $stage takes over 5 % more than before: make it cheaper, or say in" \
      "docs/benchmarks/log.md why it has to, and run $0 --update" >&2
  fi
done
exit "$failed"
