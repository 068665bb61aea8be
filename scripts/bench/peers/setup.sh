#!/usr/bin/env bash
# Brings what the benchmarks compare with into .peers/: Python packages by pip into a venv, and MeCab with
# IPADIC by apt-get where the system has none (that needs root). Safe to repeat.
# PyTorch is the one that set-up has made importable, in .libtorch/python.
set -euo pipefail
cd "$(dirname "$0")/../../.."

home=.peers
python=${PYTHON:-python3}
packages="beautifulsoup4==4.15.0 natto-py==1.0.1 gensim==4.4.0 fugashi==1.5.2 ipadic==1.0.0 selectolax==1.0.2 numpy==2.4.6 matplotlib==3.11.2 pyarrow==26.0.1 pyppmd==1.3.1"
# natto-py reads MeCab's own configuration; where IPADIC is not the system's choice, it is named.
if ! command -v mecab >/dev/null 2>&1 || ! command -v mecab-config >/dev/null 2>&1 || [ ! -e /var/lib/mecab/dic/ipadic-utf8/sys.dic ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "peers: the original stack needs MeCab with IPADIC; as root: apt-get install --no-install-recommends mecab libmecab-dev mecab-ipadic-utf8" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mecab libmecab-dev mecab-ipadic-utf8 >/dev/null
fi

stamp=$home/complete-$(echo "$packages" | sha256sum | cut -c1-12)
if [ -e "$stamp" ]; then echo "peers: already there"; exit 0; fi
mkdir -p $home
[ -x $home/venv/bin/python ] || "$python" -m venv $home/venv
# shellcheck disable=SC2086
$home/venv/bin/pip install -q --disable-pip-version-check $packages
rm -f $home/complete-*
: > "$stamp"
echo "peers: $("$home/venv/bin/python" --version), $(mecab --version), $packages"
