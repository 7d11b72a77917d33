// The two teachers of the image tokenizer: what they see, each block, what they say of each patch,
// and the tokenizer's losses against that.
#include "autograd/grad_mode.h"
#include "beit3/trust/vqkd_case_internal.h"
#include "beit3/vqkd/pixels.h"
#include "beit3/vqkd/teacher.h"

namespace tessera::beit3 {
namespace {

/// Both recorded teachers have the tokenizer's patches, heads and depth; their widths are those of
/// its encoder and of its decoder.
VitSizes teacher_sizes(const RecordedFolder& folder, const char* width) {
  return {.width = folder.size(width),
          .heads = folder.size("enc_heads"),
          .layers = folder.size("enc_layers"),
          .patch = folder.size("patch"),
          .grid = folder.size("img") / folder.size("patch")};
}

void compare_hidden(RecordedCase& c, const VitTrace& trace, int64_t images) {
  for (size_t i = 0; i < trace.hidden.size(); ++i) {
    c.compare("hidden.teacher.layer" + std::to_string(i),
              class_token_first(trace.hidden[i], images));
  }
}

}  // namespace

void run_teacher_case(RecordedCase& c) {
  const NoGrad silent;
  const std::string kind = field<std::string>(field<Json>(c.entry(), "args"), "teacher");
  const std::vector<std::string> stems = field<std::vector<std::string>>(c.entry(), "weights");
  check<IoError>(stems.size() == 2 && (kind == "clip" || kind == "dino"),
                 "parity: teacher \"{}\" with weights in {} files; expected clip or dino, in 2",
                 kind, stems.size());
  const nn::StateDict weights =
      nn::without_prefix(c.folder().load(stems[1] + ".weights"), "teacher.");
  const Tensor pixels = published_pixels(c.input("input.image"));
  VitTrace trace;
  Tensor target;
  if (kind == "clip") {
    VitSizes sizes = teacher_sizes(c.folder(), "enc_dim");
    sizes.norm_eps = 1e-5;
    ClipTeacher teacher(sizes, c.folder().size("out_dim"), {}, c.tensor_options());
    nn::load_state(teacher, weights);
    const Tensor scaled = teacher_pixels(pixels, kClipStatistics);
    c.compare("output.scaled", scaled);
    target = teacher(scaled, &trace);
  } else {
    VitTower teacher = dino_teacher(teacher_sizes(c.folder(), "dec_dim"), {}, c.tensor_options());
    nn::load_state(teacher, weights);
    const Tensor scaled = teacher_pixels(pixels, kImageNet);
    c.compare("output.scaled", scaled);
    target = teacher(nn::patches(scaled, teacher.sizes.patch), 0, &trace);
  }
  compare_hidden(c, trace, pixels.size(0));
  c.compare("output.target", target);
  const VqkdPass pass = run_vqkd(recorded_vqkd(c), pixels, target);
  c.compare("loss.quant", pass.q.commitment);
  c.compare("loss.rec", pass.reconstruction_loss);
  c.compare("loss.total", pass.total);
}

}  // namespace tessera::beit3
