#include "backends/cpu/isa/attention.h"

#include <algorithm>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/scratch.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

const AttentionKernels& attention_kernels() { return TESSERA_OF_ACTIVE_ISA(attention_kernels); }

/// Queries of one forward item in a long sequence. Short ones are one item a head: each packs its
/// keys anew.
constexpr int64_t kQueries = 256;

template <class T>
AttentionItem<T> item_of(const ConstView& qkv, const AttentionArgs& args, size_t segment,
                         int64_t head) {
  const int64_t heads = qkv.shape[2], width = qkv.shape[3];
  AttentionItem<T> item;
  item.segment = args.segments[segment];
  item.rule = args.rule;
  item.scale = static_cast<T>(args.scale);
  item.width = width;
  item.stride = qkv.strides[0];
  item.q = qkv.as<T>() + head * width;
  item.k = item.q + heads * width;
  item.v = item.k + heads * width;
  item.y_stride = heads * width;
  item.lse_stride = heads;
  return item;
}

template <class T>
void run_forward(const AttentionHalf<T>& kernels, const ConstView& qkv, const AttentionArgs& args,
                 const View& y, const View& lse) {
  const int64_t heads = qkv.shape[2], width = qkv.shape[3];
  int64_t longest = 0;
  for (const Segment& s : args.segments) longest = std::max(longest, s.length());
  if (longest == 0) return;
  const int64_t parts = (longest + kQueries - 1) / kQueries;
  const int64_t count = static_cast<int64_t>(args.segments.size()) * heads * parts;
  parallel_for(count, [&](int64_t i) {
    const size_t segment = static_cast<size_t>(i / (heads * parts));
    const int64_t head = i / parts % heads, part = i % parts;
    const int64_t length = args.segments[segment].length();
    if (part * kQueries >= length) return;
    AttentionItem<T> item = item_of<T>(qkv, args, segment, head);
    item.query_begin = part * kQueries;
    item.query_end = std::min(item.query_begin + kQueries, length);
    item.y = y.as<T>() + head * width;
    item.lse = lse.as<T>() + head;
    const Scratch scratch = Scratch::of<T>(attention_scratch(length, width));
    item.scratch = scratch.as<T>();
    kernels.forward(item);
  });
}

template <class T>
void run_backward(const AttentionHalf<T>& kernels, const ConstView& g, const ConstView& qkv,
                  const ConstView& y, const ConstView& lse, const AttentionArgs& args,
                  const View& dqkv) {
  const int64_t heads = qkv.shape[2], width = qkv.shape[3];
  const int64_t count = static_cast<int64_t>(args.segments.size()) * heads;
  parallel_for(count, [&](int64_t i) {
    const size_t segment = static_cast<size_t>(i / heads);
    const int64_t head = i % heads, length = args.segments[segment].length();
    if (length == 0) return;
    AttentionItem<T> item = item_of<T>(qkv, args, segment, head);
    item.y = const_cast<T*>(y.as<T>()) + head * width;  // only read
    item.lse = const_cast<T*>(lse.as<T>()) + head;
    item.g = g.as<T>() + head * width;
    item.g_stride = heads * width;
    item.dq = dqkv.as<T>() + head * width;
    item.dk = item.dq + heads * width;
    item.dv = item.dk + heads * width;
    const Scratch scratch = Scratch::of<T>(attention_scratch(length, width));
    item.scratch = scratch.as<T>();
    kernels.backward(item);
  });
}

/// (N, …) with no gaps inside a row and none between rows.
bool packed(const ConstView& v) { return is_contiguous(v); }

}  // namespace

bool CpuBackend::try_segmented_attention(ConstView qkv, const AttentionArgs& args, View y,
                                         View lse) {
  if (!packed(qkv) || !packed(y)) return false;
  if (qkv.dtype == DType::f64) {
    run_forward<double>(attention_kernels().f64, qkv, args, y, lse);
  } else if (qkv.dtype == DType::f32) {
    run_forward<float>(attention_kernels().f32, qkv, args, y, lse);
  } else {
    return false;
  }
  return true;
}

bool CpuBackend::try_segmented_attention_backward(ConstView g, ConstView qkv, ConstView y,
                                                  ConstView lse, const AttentionArgs& args,
                                                  View dqkv) {
  if (!packed(g) || !packed(qkv) || !packed(y) || !packed(dqkv)) return false;
  if (qkv.dtype == DType::f64) {
    run_backward<double>(attention_kernels().f64, g, qkv, y, lse, args, dqkv);
  } else if (qkv.dtype == DType::f32) {
    run_backward<float>(attention_kernels().f32, g, qkv, y, lse, args, dqkv);
  } else {
    return false;
  }
  return true;
}

}  // namespace tessera
