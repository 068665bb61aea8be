#!/usr/bin/env python3
"""Makes torch importable beside the libtorch that set-up has brought: PYTHONPATH=HOME/python.

    torch_for_python.py WHEELS HOME FOLDER

Unpacks the Python half of the wheels in WHEELS (torch's, for this interpreter, and the few packages
that its import asks for) into FOLDER, to be moved to HOME/python. The C++ half is not copied: links
lead to HOME/torch and HOME/nvidia.

The Python half is built for CUDA and asks for CUDA's libraries even where no GPU is. Where they are
not there (flavour cpu), a library takes their place that has every name the Python half asks them
for: it counts no GPU, and whoever calls anything else in it is told so.
"""
import pathlib
import re
import subprocess
import sys
import zipfile

LIBRARIES = ("libtorch_python.so", "libshm.so", "libtorch_global_deps.so")
LEFT_OUT = re.compile(r"torch/(include|bin|share|test|lib)/.*|functorch/.*")
# What CUDA's libraries are asked for; all else comes from libtorch_cpu, Python and the system.
OF_CUDA = re.compile(r"cudnn|cuFile|_Z[A-Z]*(2at|3c10|3sdp|4c10d|5torch)")
STANDS_FOR = ("libtorch.so", "libc10_cuda.so", "libcudnn.so.9", "libcufile.so.0")


def is_wanted(name):
    if name == "torch/bin/torch_shm_manager":
        return True  # torch's import looks whether it is there
    if name.startswith("torch/lib/"):
        return name.removeprefix("torch/lib/") in LIBRARIES
    return not LEFT_OUT.fullmatch(name)


def names(option, library):
    """(kind, name) of a library's dynamic symbols, versions left off."""
    listed = subprocess.run(["nm", "-D", option, library], capture_output=True, text=True, check=True)
    return [(line.split()[-2], line.split()[-1].split("@")[0]) for line in listed.stdout.splitlines()]


def stand_in(asked):
    """C++ that defines these names."""
    yield "#include <cstdio>\n#include <cstdlib>\n" 'extern "C" {'
    yield "extern void *_ZTVN10__cxxabiv117__class_type_infoE[];\nstatic void *room[64];"
    yield '[[noreturn]] static void missing(const char *name) {'
    yield '  std::fprintf(stderr, "%s: set-up brought torch without CUDA\\n", name); std::abort(); }'
    for name in asked:
        if name.startswith("_ZTI"):  # a type's description: its class, and its name
            yield f'void *{name}[] = {{_ZTVN10__cxxabiv117__class_type_infoE + 2, (void *)"{name[4:]}"}};'
        elif name.startswith("_ZTV") or name.endswith("CUDACachingAllocator9allocatorE"):
            yield f"void *{name}[64];"  # data, never looked at without a GPU
        elif name.endswith("cuda12device_countEv"):
            yield f"int {name}() {{ return 0; }}"
        elif name.endswith("get_gil_checkerEv"):
            yield f"void *{name}() {{ return room; }}"  # torch's import writes a pointer there
        else:
            yield f'void {name}() {{ missing("{name}"); }}'
    yield "}"


def main(wheels, home, folder):
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if not member.endswith("/") and is_wanted(member):
                    archive.extract(member, folder)
    # Relative, so that the checkout can be moved; FOLDER lies in HOME already.
    (folder / "nvidia").symlink_to("../nvidia")
    libraries = folder / "torch/lib"
    for library in (home / "torch/lib").iterdir():
        if not (libraries / library.name).exists():
            (libraries / library.name).symlink_to(f"../../../torch/lib/{library.name}")
    if (libraries / "libtorch_cuda.so").exists():
        return
    present = ("libshm.so", "libtorch_cpu.so", "libc10.so")
    have = {name for library in present for _, name in names("--defined-only", libraries / library)}
    undefined = names("--undefined-only", libraries / "libtorch_python.so")
    asked = [name for kind, name in undefined if kind == "U" and name not in have and OF_CUDA.match(name)]
    # cuDNN's names have a version.
    versions = folder / "versions"
    versions.write_text("libcudnn.so.9 { cudnn*; };\n")
    compile = ["c++", "-x", "c++", "-", "-shared", "-fPIC", "-w", f"-Wl,--version-script={versions}"]
    compile += ["-Wl,-soname,libtorch_cuda.so", "-o", libraries / "libtorch_cuda.so"]
    subprocess.run(compile, input="\n".join(stand_in(asked)), text=True, check=True)
    versions.unlink()
    for name in STANDS_FOR:
        (libraries / name).symlink_to("libtorch_cuda.so")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
