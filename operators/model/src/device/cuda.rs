//! The dynamic linker's side of CUDA: finding and loading libtorch's CUDA half, naming GPUs.

#![allow(unsafe_code)] // dlopen and the driver's C functions

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::CudaHalf;

/// The folder of the libtorch_cpu.so that is mapped into this process.
pub(super) fn libtorch_folder() -> Option<PathBuf> {
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: the linker passes a valid record, and `found` is the Option below.
        let (name, found) = unsafe { ((*info).dlpi_name, &mut *found.cast::<Option<PathBuf>>()) };
        if name.is_null() {
            return 0;
        }
        // SAFETY: names of mapped libraries end in NUL.
        let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
        if path.file_name() != Some(OsStr::new("libtorch_cpu.so")) {
            return 0;
        }
        *found = path.parent().map(Path::to_owned);
        1 // stop here
    }
    let mut found: Option<PathBuf> = None;
    // SAFETY: `found` outlives the call, which keeps no pointer to it.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found
}

/// Loads libtorch_cuda.so from beside the libtorch_cpu.so in use.
pub(super) fn load() -> CudaHalf {
    let Some(library) = libtorch_folder().map(|folder| folder.join("libtorch_cuda.so")) else {
        return CudaHalf::Absent;
    };
    if !library.exists() {
        return CudaHalf::Absent;
    }
    // Global, because its registrations refer to symbols of libraries that it brings along.
    match open(library.as_os_str().as_bytes(), libc::RTLD_NOW | libc::RTLD_GLOBAL) {
        Ok(_) => CudaHalf::Loaded,
        Err(message) => CudaHalf::Broken(message),
    }
}

fn open(name: &[u8], flags: c_int) -> Result<*mut c_void, String> {
    let name = CString::new(name).map_err(|_| "its path holds a NUL".to_owned())?;
    // SAFETY: a NUL-terminated path; the library's constructors are libtorch's own.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: gives the message of the call above, or null.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return Err("the dynamic linker does not say why".to_owned());
    }
    // SAFETY: not null, so a NUL-terminated string.
    Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}

/// The name of a GPU as its driver gives it, `GPU N` where the driver does not.
pub(super) fn name(number: usize) -> String {
    driver_name(number).unwrap_or_else(|| format!("GPU {number}"))
}

fn driver_name(number: usize) -> Option<String> {
    type Initialize = unsafe extern "C" fn(flags: u32) -> c_int;
    type Get = unsafe extern "C" fn(device: *mut c_int, ordinal: c_int) -> c_int;
    type Name = unsafe extern "C" fn(name: *mut c_char, length: c_int, device: c_int) -> c_int;
    let driver = open(b"libcuda.so.1", libc::RTLD_NOW).ok()?;
    // SAFETY: looks a name up in a library that stays open.
    let find = |symbol: &CStr| {
        Some(unsafe { libc::dlsym(driver, symbol.as_ptr()) }).filter(|address| !address.is_null())
    };
    let (initialize, get, name) =
        (find(c"cuInit")?, find(c"cuDeviceGet")?, find(c"cuDeviceGetName")?);
    let mut text = [0 as c_char; 256];
    let mut device = 0;
    // SAFETY: the driver's documented signatures; the buffer's length is passed with it.
    let code = unsafe {
        let initialize: Initialize = std::mem::transmute(initialize);
        let get: Get = std::mem::transmute(get);
        let name: Name = std::mem::transmute(name);
        initialize(0)
            | get(&raw mut device, c_int::try_from(number).ok()?)
            | name(text.as_mut_ptr(), 256, device)
    };
    // SAFETY: on success the driver wrote a NUL-terminated name.
    (code == 0).then(|| unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned())
}
