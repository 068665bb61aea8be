//! Tells binaries and tests where libtorch lies, so that nothing need be exported to run them.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // Beside the binary first, for one that was moved together with its libtorch.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    if let Ok(libtorch) = std::env::var("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
    }
}
