// What tch 0.24 does not bind. Every function returns 0, or 1 and leaves a message for ext_error.
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/headeronly/version.h>

#include <algorithm>
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

// Whether oneDNN is the faster one: on processors of AMD, MKL has no kernels for AVX-512 and oneDNN has.
static bool prefers_onednn() {
#if defined(__x86_64__)
  static const bool is_amd = (__builtin_cpu_init(), __builtin_cpu_is("amd"));
  return is_amd && at::globalContext().userEnabledMkldnn();
#else
  return false;
#endif
}

// features · weightᵀ + bias by oneDNN, which has no function for it, only an operator of the dispatcher's.
static at::Tensor onednn_linear(const at::Tensor &features, const at::Tensor &weight,
                                const std::optional<at::Tensor> &bias) {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  using Signature = at::Tensor(const at::Tensor &, const at::Tensor &, const std::optional<at::Tensor> &,
                               std::string_view, Scalars, std::optional<std::string_view>);
  static const auto linear = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                                 .typed<Signature>();
  return linear.call(features, weight, bias, "none", Scalars(), "");
}

// The sum of -ln softmax(features · weightᵀ + bias)[target] over places, block of places by block, so that
// no more logits are held than fit near the core: [places, rows] would be written and read six times.
// The gradient needs the same logits, so it is taken in the same sweep and kept until it is asked for.
class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &features,
                            const at::Tensor &weight, const at::Tensor &bias, const at::Tensor &targets,
                            int64_t ignored, bool learns) {
    const auto places = features.size(0), rows = weight.size(0);
    // Smaller blocks cost passes over the weight's gradient, greater ones leave the cache.
    const auto block = std::min(std::max<int64_t>((1 << 22) / rows / 16 * 16, 128), places);
    const auto kept = targets.ne(ignored);
    const bool all = kept.all().item<bool>();
    const auto columns = targets.clamp_min(0).unsqueeze(1), used = kept.unsqueeze(1);
    auto probabilities = at::empty({block, rows}, features.options());
    auto nats = at::zeros({}, features.options());
    at::Tensor of_features, of_weight, of_bias;
    if (learns) {
      of_features = at::empty_like(features, at::MemoryFormat::Contiguous);
      of_weight = at::zeros_like(weight, at::MemoryFormat::Contiguous);
      of_bias = at::zeros_like(bias, at::MemoryFormat::Contiguous);
    }
    const bool onednn = prefers_onednn();
    const auto transposed = onednn && learns ? weight.t().contiguous() : weight.t();
    const auto one = at::full({block, 1}, -1.0, features.options());
    for (int64_t first = 0; first < places; first += block) {
      const auto count = std::min(block, places - first);
      const auto own = features.narrow(0, first, count), column = columns.narrow(0, first, count);
      auto p = probabilities.narrow(0, 0, count);
      const auto logits =
          onednn ? onednn_linear(own, weight, bias) : at::addmm(bias, own, transposed);
      // Not their logarithms, to be taken back for the gradient: that would be each power of e twice.
      at::_softmax_out(p, logits, 1, false);
      auto found = p.gather(1, column);
      // Well above 1e-38, from where on a float loses digits until it is 0, which has no logarithm.
      if (found.min().item<float>() < 1e-30f)
        found = logits.gather(1, column).sub_(logits.logsumexp({1}, true));
      else
        found.log_();
      if (!all) found.mul_(used.narrow(0, first, count));
      nats.sub_(found.sum());
      if (!learns) continue;
      p.scatter_add_(1, column, one.narrow(0, 0, count));
      if (!all) p.mul_(used.narrow(0, first, count));
      auto place = of_features.narrow(0, first, count);
      onednn ? place.copy_(onednn_linear(p, transposed, {})) : at::mm_out(place, p, weight);
      of_weight.addmm_(p.t(), own);
      of_bias.add_(p.sum(0));
    }
    if (learns) context->save_for_backward({of_features, of_weight, of_bias});
    return nats;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradient) {
    const auto saved = context->get_saved_variables();
    // In place: nothing asks for them twice.
    for (const auto &own : saved) own.mul_(gradient[0]);
    return {saved[0], saved[1], saved[2], {}, {}, {}};
  }
};

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

// Gives a new tensor, which the caller frees.
int ext_linear_cross_entropy(const at::Tensor *features, const at::Tensor *weight, const at::Tensor *bias,
                             const at::Tensor *targets, int64_t ignored, at::Tensor **nats) {
  return guarded([&] {
    const bool learns = at::GradMode::is_enabled() &&
                        (features->requires_grad() || weight->requires_grad() || bias->requires_grad());
    *nats = new at::Tensor(LinearCrossEntropy::apply(*features, *weight, *bias, *targets, ignored, learns));
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
