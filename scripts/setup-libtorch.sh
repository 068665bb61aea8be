#!/usr/bin/env bash
# Brings libtorch 2.11.0 into .libtorch/ from the wheels that pip offers. Safe to repeat; needs no root.
#
#   scripts/setup-libtorch.sh [cpu|cuda]     default: cuda where nvidia-smi finds a GPU, else cpu
#
# .libtorch/torch and .libtorch/nvidia lie as in site-packages, because the libraries find each other
# by paths relative to themselves. .libtorch/link is what the linker sees; why it differs is said below.
# .libtorch/python makes the same libraries importable as torch, for scripts/load_in_torch.py and its test.
set -euo pipefail
cd "$(dirname "$0")/.."

torch=2.11.0
home=.libtorch
python=${PYTHON:-python3}

flavour=${1:-}
if [ -z "$flavour" ]; then
  flavour=cpu
  if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then flavour=cuda; fi
fi
case $flavour in cpu|cuda) ;; *) echo "setup-libtorch: unknown flavour \"$flavour\"; use cpu or cuda" >&2; exit 2;; esac

stamp=$home/complete-$torch-$flavour
# Which interpreter the Python half is for; empty where torch has none for it.
interpreter=$("$python" -c 'import sys; print("%d%d" % sys.version_info[:2] if sys.implementation.name == "cpython" else "")' 2>/dev/null || true)
case $interpreter in 310|311|312|313|314) ;; *) interpreter=;; esac
python_stamp=$home/python/complete-$torch-$flavour-cp$interpreter

has_python() { [ -z "$interpreter" ] || [ -e "$python_stamp" ]; }
if [ -e "$stamp" ] && has_python; then echo "libtorch $torch ($flavour): already there"; exit 0; fi

if ! "$python" -m pip --version >/dev/null 2>&1; then
  echo "setup-libtorch: \"$python -m pip\" does not run; install Python 3 with pip (Debian: apt-get install python3-pip), or name one in PYTHON" >&2
  exit 1
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "setup-libtorch: there is a recipe for Linux on x86-64 only; elsewhere unpack libtorch $torch and point LIBTORCH and LIBTORCH_LIB at it" >&2
  exit 1
fi

aside=$home.aside.$$
trap 'rm -rf "$aside" "$home/wheels" "$home"/python.aside.*' EXIT
mkdir -p "$aside/wheels" "$aside/link/lib"

# pip compares platform tags literally, so name each one that NVIDIA's wheels carry.
platforms="--platform manylinux1_x86_64 --platform manylinux2014_x86_64"
for glibc in 17 24 25 26 27 28; do platforms="$platforms --platform manylinux_2_${glibc}_x86_64"; done
# The C++ libraries are built from the same source for every interpreter: where torch has no wheel for
# this one, another's will do.
tag=${interpreter:-312}

bring() { # the folder for the wheels, and their packages
  local into=$1 package
  shift
  for package in "$@"; do
    local options=$platforms
    case $package in torch==*) options="$options --python-version 3.${tag#3} --implementation cp --abi cp$tag";; esac
    # shellcheck disable=SC2086
    "$python" -m pip download -q --disable-pip-version-check --no-cache-dir --no-deps \
      --only-binary=:all: $options --dest "$into" "$package" || {
      echo "setup-libtorch: pip could not bring $package; check the network and pip's index, then run this again" >&2
      return 1
    }
  done
}

# Adds .libtorch/python to what is there. Building and running need nothing of it: trouble is told, no more.
add_python() { # a folder with torch's wheel, or an empty one
  has_python && return
  local wheels=$1 aside_python=$home/python.aside.$$
  rm -rf "$aside_python"
  mkdir -p "$aside_python"
  if { [ -n "$(find "$wheels" -name 'torch-*.whl')" ] || bring "$wheels" "torch==$torch"; } &&
    bring "$wheels" typing_extensions==4.16.0 safetensors==0.8.0 &&
    "$python" scripts/torch_for_python.py "$wheels" "$home" "$aside_python"; then
    rm -rf "$home/python"
    mv "$aside_python" "$home/python"
    if PYTHONPATH=$home/python "$python" -W ignore -c 'import torch, safetensors.torch'; then
      : > "$python_stamp"
      echo "torch $torch for $("$python" --version): PYTHONPATH=$home/python"
      return
    fi
  fi
  rm -rf "$aside_python" "$home/python"
  echo "setup-libtorch: torch cannot be imported here; seseragi needs it not, but tests/load_in_torch.rs is skipped" >&2
}

if [ -e "$stamp" ]; then
  echo "libtorch $torch ($flavour): already there; downloading its Python half"
  add_python "$aside/wheels"
  exit 0
fi

# libtorch_cpu.so itself asks for the CUDA runtime and CUPTI (13 MB); the gigabytes only go where a GPU is.
packages="torch==$torch nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"
if [ "$flavour" = cuda ]; then
  packages="$packages nvidia-cublas==13.1.0.3 nvidia-cuda-nvrtc==13.0.88 nvidia-cudnn-cu13==9.19.0.56
    nvidia-cufft==12.0.0.61 nvidia-cufile==1.15.1.6 nvidia-curand==10.4.0.35 nvidia-cusolver==12.0.4.66
    nvidia-cusparse==12.6.3.3 nvidia-cusparselt-cu13==0.8.0 nvidia-nccl-cu13==2.28.9
    nvidia-nvjitlink==13.0.88 nvidia-nvshmem-cu13==3.4.5 nvidia-nvtx==13.0.85"
fi
echo "libtorch $torch ($flavour): downloading"
# shellcheck disable=SC2086
bring "$aside/wheels" $packages

"$python" - "$aside" "$flavour" <<'PYTHON'
import pathlib, re, sys, zipfile

home, flavour = pathlib.Path(sys.argv[1]), sys.argv[2]
headers = r"torch/include/.*"
wanted = {
    "cpu": r"torch/lib/(libtorch_cpu|libc10)\.so|torch/lib/libgomp[^/]*|nvidia/cu13/lib/lib(cudart|cupti)\.so\.13",
    "cuda": r"torch/lib/(?!libtorch_python)[^/]*\.so[^/]*|nvidia/.*/lib/.*\.so[^/]*",
}[flavour]
wanted = re.compile(f"{headers}|{wanted}")
for wheel in sorted((home / "wheels").iterdir()):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not member.is_dir() and wanted.fullmatch(member.filename):
                archive.extract(member, home)  # checks each member's CRC
    if not wheel.name.startswith("torch-"):
        wheel.unlink()
(home / "torch/build-version").write_text("2.11.0\n")
needed = ["torch/include/torch/csrc/api/include/torch/torch.h", "torch/lib/libtorch_cpu.so",
          "torch/lib/libc10.so", "nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13"]
needed += ["torch/lib/libtorch_cuda.so"] if flavour == "cuda" else []
missing = [name for name in needed if not (home / name).is_file()]
if missing:
    sys.exit(f"setup-libtorch: the wheels lack {', '.join(missing)}; was the download cut short? run this again")
PYTHON

# One binary serves machines with and without a GPU, so it may only ask for what all of them have. The
# wheel's libtorch.so asks for the CUDA half; torch-sys insists on -ltorch; so a linker script takes its place.
ln -s ../../torch/lib/libtorch_cpu.so ../../torch/lib/libc10.so "$aside/link/lib/"
echo 'INPUT(AS_NEEDED(-ltorch_cpu))' > "$aside/link/lib/libtorch.so"
: > "$aside/complete-$torch-$flavour"
rm -rf "$home"
mv "$aside" "$home"
add_python "$home/wheels"
rm -rf "$home/wheels"
echo "libtorch $torch ($flavour): $(du -sh $home | cut -f1) in $home"
