// What tch 0.24 does not bind. Every function returns 0, or 1 and leaves a message for ext_error.
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>
#include <torch/headeronly/version.h>

#include <string>
#include <vector>

static thread_local std::string message;

template <typename Body>
static int guarded(Body body) {
  try {
    body();
    return 0;
  } catch (const std::exception &error) {
    // Not c10::Error, which is one too: a program that links this and calls nothing of it would need
    // libtorch for that type, because linkers keep the table of what is caught. Its backtrace follows
    // the first line, which is the one that is told.
    message = error.what();
  }
  return 1;
}

static std::vector<at::Tensor> tensors(at::Tensor *const *pointers, size_t count) {
  std::vector<at::Tensor> list;
  list.reserve(count);
  for (size_t i = 0; i < count; i++) list.push_back(*pointers[i]);
  return list;
}

extern "C" {

const char *ext_error() { return message.c_str(); }

const char *ext_torch_version() { return TORCH_VERSION; }

const char *ext_cpu_capability() {
  static const std::string capability = at::get_cpu_capability();
  return capability.c_str();
}

int ext_autocast_bfloat16(int on) {
  return guarded([&] {
    for (auto device : {at::kCPU, at::kCUDA}) {
      at::autocast::set_autocast_dtype(device, at::kBFloat16);
      at::autocast::set_autocast_enabled(device, on != 0);
    }
    // The cache holds casts of parameters: stale as soon as the optimizer has stepped.
    if (!on) at::autocast::clear_cache();
  });
}

int ext_deterministic(int on) {
  return guarded([&] { at::globalContext().setDeterministicAlgorithms(on != 0, false); });
}

int ext_matmul_precision(const char *precision) {
  return guarded([&] { at::globalContext().setFloat32MatmulPrecision(std::string(precision)); });
}

// One fused pass over all parameters; step holds a zero-dimensional float32 for each.
int ext_fused_adam(at::Tensor *const *parameters, at::Tensor *const *gradients,
                   at::Tensor *const *first, at::Tensor *const *second, at::Tensor *const *step,
                   size_t count, int decoupled, double rate, double beta1, double beta2,
                   double weight_decay, double epsilon) {
  return guarded([&] {
    c10::NoGradGuard no_gradient;
    auto p = tensors(parameters, count), g = tensors(gradients, count);
    auto m = tensors(first, count), v = tensors(second, count), s = tensors(step, count);
    for (auto &one : s) one.add_(1);
    if (decoupled)
      at::_fused_adamw_(p, g, m, v, {}, s, rate, beta1, beta2, weight_decay, epsilon, false, false);
    else
      at::_fused_adam_(p, g, m, v, {}, s, rate, beta1, beta2, weight_decay, epsilon, false, false);
  });
}

// Writes the global L2 norm of the gradients into norm, and, where limit > 0, scales them in place
// by min(1, limit / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does.
int ext_clip_norm(at::Tensor *const *gradients, size_t count, double limit, at::Tensor *norm) {
  return guarded([&] {
    c10::NoGradGuard no_gradient;
    auto g = tensors(gradients, count);
    norm->copy_(at::linalg_vector_norm(at::stack(at::_foreach_norm(g, 2))));
    if (limit > 0) {
      auto factor = (limit / (*norm + 1e-6)).clamp_max(1.0);
      // On the CPU looking costs nothing, and spares a pass over all gradients; on a GPU it stalls.
      if (factor.is_cpu() && factor.item<float>() == 1.0f) return;
      at::_foreach_mul_(g, factor);
    }
  });
}
}
