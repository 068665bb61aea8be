//! Compiles `src/ext.cpp` against libtorch's headers, and lets this package's own tests and benches
//! find the libraries at run time.
//!
//! torch-sys hands no rpath on to the crates above it, so every package whose binaries reach tch
//! adds it in a build script like this one.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=src/ext.cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let libtorch = std::env::var("LIBTORCH").unwrap_or_default();
    let headers = Path::new(&libtorch).join("include");
    if !headers.join("ATen/core/Tensor.h").is_file() {
        println!(
            "cargo:error=found no libtorch headers in {} (LIBTORCH is \"{libtorch}\"); run make setup",
            headers.display()
        );
        return;
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false) // libtorch's headers have many
        .opt_level(1) // glue: its cost is nothing beside the operation it calls
        .include(&headers)
        .include(headers.join("torch/csrc/api/include"))
        .file("src/ext.cpp")
        .compile("model_ext");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
}
