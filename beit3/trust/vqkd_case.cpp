#include <algorithm>
#include <cmath>

#include "beit3/trust/vqkd_case_internal.h"
#include "beit3/vqkd/targets.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

Vqkd recorded_vqkd(const RecordedCase& c) {
  const RecordedFolder& f = c.folder();
  Vqkd vq({.image_size = f.size("img"),
           .patch = f.size("patch"),
           .width = f.size("enc_dim"),
           .heads = f.size("enc_heads"),
           .encoder_layers = f.size("enc_layers"),
           .decoder_layers = f.size("dec_layers"),
           .decoder_width = f.size("dec_dim"),
           .decoder_heads = f.size("dec_heads"),
           .codes = f.size("codes"),
           .code_width = f.size("code_dim"),
           .target = VqkdTarget::features,
           .target_width = f.size("out_dim"),
           .pixel_head = false},
          {}, c.tensor_options());
  load_published(vq, f.load("vqkd.weights"));
  return vq;
}

double recorded_decay(const RecordedCase& c) {
  return field<double>(c.folder().manifest().at("config"), "decay");
}

Tensor rows_of_map(const Tensor& map) {
  check<ShapeError>(map.rank() == 4, "parity: the map is {}; expected (B, D, h, w)", map.shape());
  return reshape(permute(map, {0, 2, 3, 1}), {map.numel() / map.size(1), map.size(1)});
}

Tensor map_of_rows(const Tensor& rows, int64_t height, int64_t width) {
  const int64_t images = rows.size(0) / (height * width);
  return permute(reshape(rows, {images, height, width, rows.size(1)}), {0, 3, 1, 2});
}

Tensor class_token_first(const Tensor& rows, int64_t images) {
  const int64_t patches = rows.size(0) / images - 1, width = rows.size(1);
  const int64_t end = images * patches;
  return concat({reshape(slice(rows, 0, end, end + images), {images, 1, width}),
                 reshape(slice(rows, 0, 0, end), {images, patches, width})},
                1);
}

Tensor code_distances(const Tensor& normalised, const Tensor& codes) {
  const Tensor z = sum(square(normalised), {1}, KeepDims::yes), w = sum(square(codes), {1});
  return z + w - matmul(normalised, codes, {.transpose_b = true}) * 2.0;
}

Tensor code_gaps(const Tensor& distances) {
  std::vector<double> all = distances.to_vector<double>(), gaps;
  const auto codes = static_cast<std::ptrdiff_t>(distances.size(1));
  for (auto row = all.begin(); row != all.end(); row += codes) {
    std::partial_sort(row, row + 2, row + codes);
    gaps.push_back(row[1] - row[0]);
  }
  return from_data(gaps, {distances.size(0)}).to(distances.dtype());
}

VqkdPass run_vqkd(const Vqkd& vq, const Tensor& pixels, const Tensor& teacher) {
  VqkdPass pass;
  pass.encoded = vq.encoded(pixels, &pass.encoder);
  pass.z = vq.to_quantizer(pass.encoded);
  pass.q = vq.quantize(pass.z);
  pass.decoded = vq.decoded(pass.q.codes, pixels.size(2) / vq.config().patch, &pass.decoder);
  pass.said = vq.target_of(pass.decoded);
  if (teacher.defined()) {
    pass.reconstruction_loss = cosine_loss(pass.said, teacher);
    pass.total = pass.q.commitment + pass.reconstruction_loss;
  }
  return pass;
}

void compare_pass(RecordedCase& c, const Vqkd& vq, const VqkdPass& pass, int64_t images) {
  const auto trace = [&](const std::string& tower, const VitTrace& t) {
    c.compare("hidden." + tower + ".embed", class_token_first(t.embedded, images));
    for (size_t i = 0; i < t.hidden.size(); ++i) {
      const std::string layer = "hidden." + tower + ".layer" + std::to_string(i);
      c.compare(layer + ".attn", class_token_first(t.attention[i], images));
      c.compare(layer, class_token_first(t.hidden[i], images));
    }
  };
  const int64_t grid =
      static_cast<int64_t>(std::lround(std::sqrt(pass.z.size(0) / static_cast<double>(images))));
  c.compare("output.encoder.pos_embed", vq.encoder.positions(grid));
  trace("encoder", pass.encoder);
  c.compare("output.encoder_features", pass.encoded);
  c.compare("output.to_quantizer", pass.z);
  c.compare("output.normalised", pass.q.normalised);
  const Tensor distances = code_distances(pass.q.normalised, vq.quantize.weight);
  c.compare("output.distances", distances);
  compare_gaps(c, "output.gap", distances);
  c.compare("output.ids", pass.q.ids);
  c.compare("output.quantized", map_of_rows(pass.q.codes, grid, grid));
  c.compare("output.decoder.pos_embed", vq.decoder.positions(grid));
  trace("decoder", pass.decoder);
  c.compare("output.decoder_features", pass.decoded);
  c.compare("output.reconstruction", pass.said);
  c.compare("loss.quant", pass.q.commitment);
  c.compare("loss.rec", pass.reconstruction_loss);
  c.compare("loss.total", pass.total);
}

void compare_gaps(RecordedCase& c, const std::string& key, const Tensor& distances) {
  if (!c.has(key)) return;
  // A difference of two distances: its error is theirs.
  c.compare_with(key, c.at(key), code_gaps(distances.detach()),
                 max(abs(distances.detach())).item<double>());
}

void compare_codebook(RecordedCase& c, const Quantizer& quantizer, const std::string& prefix,
                      const std::string& suffix) {
  const std::pair<const char*, const Tensor&> fields[] = {
      {"cluster_size", quantizer.cluster_size},
      {"embedding.weight", quantizer.weight},
      {"embedding.cluster_size", quantizer.first_counts},
      {"embedding.embed_avg", quantizer.embed_avg},
      {"embedding.initted", quantizer.initted}};
  for (const auto& [name, tensor] : fields) c.compare(prefix + name + suffix, tensor);
}

}  // namespace tessera::beit3
