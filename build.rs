//! Tells programs and tests where libtorch lies, so that nothing need be exported to run them, and
//! keeps it out of the face.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // Beside the program first, for one that was moved together with its libtorch.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    if let Ok(libtorch) = env::var("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
    }
    export_nothing("seseragi");
}

/// Has a program export no symbol.
///
/// The face calls nothing of libtorch, so the linker drops our C++ glue, and with it the need for the
/// library; were it not that inline functions of libtorch's headers are compiled into the glue as well
/// as into the library. By the rules of ELF the library must use the program's, so the linker exports them
/// and keeps whatever they call. Without the program's symbols the library, were it there, would use
/// its own.
fn export_nothing(program: &str) {
    let folder = env::var("OUT_DIR").expect("Cargo sets it");
    let script = Path::new(&folder).join("nothing.ver");
    fs::write(&script, "{ local: *; };\n").expect("Cargo's own folder");
    println!("cargo:rustc-link-arg-bin={program}=-Wl,--version-script={}", script.display());
}
