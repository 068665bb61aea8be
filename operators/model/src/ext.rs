//! The boundary to `ext.cpp`: what libtorch has and tch 0.24 does not bind.
//!
//! All `unsafe` that touches tensors is here. C++ exceptions come back as [`Error::Torch`].

#![allow(unsafe_code)] // foreign functions; every pointer comes from a live `&Tensor`

use std::ffi::{CStr, CString, c_char, c_double, c_int};

use tch::{TchError, Tensor};

use crate::Error;

type Raw = *const std::ffi::c_void;

unsafe extern "C" {
    fn ext_error() -> *const c_char;
    fn ext_torch_version() -> *const c_char;
    fn ext_cpu_capability() -> *const c_char;
    fn ext_autocast_bfloat16(on: c_int) -> c_int;
    fn ext_deterministic(on: c_int) -> c_int;
    fn ext_matmul_precision(precision: *const c_char) -> c_int;
    fn ext_fused_adam(
        parameters: *const Raw,
        gradients: *const Raw,
        first: *const Raw,
        second: *const Raw,
        step: *const Raw,
        count: usize,
        decoupled: c_int,
        rate: c_double,
        beta1: c_double,
        beta2: c_double,
        weight_decay: c_double,
        epsilon: c_double,
    ) -> c_int;
    fn ext_linear_cross_entropy(
        features: Raw,
        weight: Raw,
        bias: Raw,
        targets: Raw,
        ignored: i64,
        nats: *mut Raw,
    ) -> c_int;
    fn ext_clip_norm(gradients: *const Raw, count: usize, limit: c_double, norm: Raw) -> c_int;
}

/// The numbers of one Adam step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamStep {
    /// Learning rate of this step.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether the decay is taken from the weights (AdamW) instead of added to the gradient (Adam).
    pub decoupled: bool,
}

fn checked(doing: &'static str, code: c_int) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    Err(Error::torch(doing, &message()))
}

/// What the last failing call of this thread says.
fn message() -> String {
    // SAFETY: a NUL-terminated string owned by this thread until its next failing call.
    unsafe { CStr::from_ptr(ext_error()) }.to_string_lossy().into_owned()
}

fn raw(tensor: &Tensor) -> Raw {
    tensor.as_ptr().cast()
}

fn pointers(tensors: &[&Tensor]) -> Vec<Raw> {
    tensors.iter().map(|tensor| raw(tensor)).collect()
}

/// The version of the headers that this was compiled against, like `2.11.0`.
pub fn torch_version() -> String {
    // SAFETY: a string literal.
    unsafe { CStr::from_ptr(ext_torch_version()) }.to_string_lossy().into_owned()
}

/// The instruction set that libtorch's CPU kernels chose, like `AVX512`. Bits are equal only on
/// machines where this is.
pub fn cpu_capability() -> String {
    // SAFETY: a string with static lifetime.
    unsafe { CStr::from_ptr(ext_cpu_capability()) }.to_string_lossy().into_owned()
}

/// Switches automatic casting to bfloat16 on or off, for the calling thread.
pub fn autocast_bfloat16(on: bool) -> Result<(), Error> {
    // SAFETY: takes no pointers.
    checked("could not switch autocast", unsafe { ext_autocast_bfloat16(on.into()) })
}

/// Asks libtorch for deterministic algorithms, process-wide; operations that have none then fail.
/// Matters on a GPU, where `CUBLAS_WORKSPACE_CONFIG` must be set as well.
pub fn deterministic(on: bool) -> Result<(), Error> {
    // SAFETY: takes no pointers.
    checked("could not switch deterministic algorithms", unsafe { ext_deterministic(on.into()) })
}

/// How float32 matrix products may be rounded inside, process-wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatmulPrecision {
    /// Full float32; libtorch's default.
    Highest,
    /// TensorFloat-32 or better.
    High,
    /// bfloat16 or better.
    Medium,
}

/// Sets how float32 matrix products may be rounded inside.
pub fn matmul_precision(precision: MatmulPrecision) -> Result<(), Error> {
    let name = match precision {
        MatmulPrecision::Highest => "highest",
        MatmulPrecision::High => "high",
        MatmulPrecision::Medium => "medium",
    };
    let name = CString::new(name).expect("the names hold no NUL");
    // SAFETY: the string outlives the call.
    checked("could not set the precision of products", unsafe {
        ext_matmul_precision(name.as_ptr())
    })
}

/// One fused Adam step, in place on parameters, moments and step counts. Gradients must have their
/// parameters' shapes and be contiguous.
pub(crate) fn fused_adam(
    [parameters, gradients, first, second, step]: [&[&Tensor]; 5],
    numbers: AdamStep,
) -> Result<(), Error> {
    let count = parameters.len();
    for others in [gradients, first, second, step] {
        assert_eq!(count, others.len(), "one gradient, two moments and a count for each parameter");
    }
    let [parameters, gradients, first, second, step] =
        [parameters, gradients, first, second, step].map(pointers);
    // SAFETY: five arrays of `count` pointers to live tensors.
    checked("could not take an Adam step", unsafe {
        ext_fused_adam(
            parameters.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            step.as_ptr(),
            count,
            numbers.decoupled.into(),
            numbers.rate,
            numbers.beta1,
            numbers.beta2,
            numbers.weight_decay,
            numbers.epsilon,
        )
    })
}

/// The sum of the losses of an output layer, `-ln softmax(features · weightᵀ + bias)[target]`, without
/// ever holding all logits; its gradients cannot be differentiated again.
///
/// Features `[places, width]`, weight `[rows, width]`, bias `[rows]`, targets `[places]`, all on the CPU;
/// a target that is `ignored` counts nothing.
pub(crate) fn linear_cross_entropy(
    features: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    targets: &Tensor,
    ignored: i64,
) -> Result<Tensor, TchError> {
    let mut nats: Raw = std::ptr::null();
    // SAFETY: four live tensors, and a place for the pointer to a new one.
    let code = unsafe {
        let [features, weight, bias, targets] = [features, weight, bias, targets].map(raw);
        ext_linear_cross_entropy(features, weight, bias, targets, ignored, &raw mut nats)
    };
    if code != 0 {
        return Err(TchError::Torch(message()));
    }
    // SAFETY: a tensor that was made for us, and that nobody else frees.
    Ok(unsafe { Tensor::from_ptr(nats.cast_mut().cast()) })
}

/// The global L2 norm of the gradients (zero-dimensional, on their device), taken before they are
/// scaled in place so that it is at most `limit`. No `limit`: only measured.
pub(crate) fn clip_norm(gradients: &[&Tensor], limit: Option<f64>) -> Result<Tensor, Error> {
    let device = gradients.first().map_or(tch::Device::Cpu, |gradient| gradient.device());
    let norm = Tensor::zeros([], (tch::Kind::Float, device));
    let pointers = pointers(gradients);
    // SAFETY: an array of live tensors and a live tensor to write to.
    checked("could not take the norm of the gradients", unsafe {
        ext_clip_norm(pointers.as_ptr(), pointers.len(), limit.unwrap_or(0.0), raw(&norm))
    })?;
    Ok(norm)
}
