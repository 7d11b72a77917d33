#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "beit3/json/json.h"
#include "beit3/trust/parity.h"
#include "nn/state_dict.h"

namespace tessera::beit3 {

/// A folder of recorded numbers: manifest.json beside files of tensors.
class RecordedFolder {
 public:
  /// Throws IoError unless there is a manifest with "config" and "cases".
  explicit RecordedFolder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  const Json& manifest() const { return manifest_; }
  /// In the order of the file, which is that of execution.
  const Json& cases() const { return manifest_.at("cases"); }
  /// A size of the configuration. Recorded models are small; IoError for a size outside 1 … 1024.
  int64_t size(const std::string& key) const;
  /// Tensors of STEM.safetensors.
  nn::StateDict load(const std::string& stem) const;
  bool has_file(const std::string& name) const;
  /// Files of PyTorch beside the manifest, which are cases too.
  std::vector<std::string> checkpoints() const;
  /// Allowed share of the largest value, by what the manifest says: `both_f64` if neither side was
  /// rounded to f32; `trained` for results after optimizer steps.
  double tolerance(bool both_f64, bool trained) const;

 private:
  std::filesystem::path path_;
  Json manifest_;
};

/// A field of an object. Throws IoError, naming it, if there is none of that type.
template <class T>
T field(const Json& object, const std::string& key) {
  check<IoError>(object.is_object() && object.contains(key), "parity: the manifest lacks \"{}\"",
                 key);
  try {
    return object.at(key).get<T>();
  } catch (const Json::exception&) {
    fail<IoError>("parity: \"{}\" of the manifest is of another type than expected", key);
  }
}

/// One case while it runs: what is recorded, and what was compared so far.
class RecordedCase {
 public:
  /// `entry`: the case in the manifest. Its tensors are those of NAME.safetensors, if that exists.
  RecordedCase(const RecordedFolder& folder, std::string name, const Json& entry,
               const ParityOptions& options);

  const RecordedFolder& folder() const { return folder_; }
  const std::string& name() const { return report_.name; }
  const Json& entry() const { return entry_; }
  /// Of the computation.
  DType dtype() const { return report_.dtype; }
  /// For what is always computed in one dtype, whatever was asked for.
  void compute_in(DType dtype) { report_.dtype = dtype; }
  TensorOptions tensor_options() const { return {.dtype = dtype()}; }

  bool has(const std::string& key) const { return record_.contains(key); }
  /// A recorded tensor as it is; IoError if there is none.
  const Tensor& at(const std::string& key) const;
  /// The same in the dtype of the computation.
  Tensor input(const std::string& key) const { return at(key).to(dtype()); }

  /// Compares with the recorded tensor of this name, if there is one.
  void compare(const std::string& key, const Tensor& ours) { compare_as(key, key, ours); }
  /// The same under another name in the report, `title`.
  void compare_as(const std::string& title, const std::string& key, const Tensor& ours);
  /// Compares with a tensor that the caller took from the record; `scale`: see Comparison.
  void compare_with(const std::string& title, const Tensor& recorded, const Tensor& ours,
                    double least_scale = 0);
  /// The same for results after optimizer steps, which have a tolerance of their own.
  void compare_trained(const std::string& title, const Tensor& recorded, const Tensor& ours);
  /// Something recorded that nothing here was held against.
  void miss(const std::string& name) { report_.not_compared.push_back(name); }
  /// Integers, or values that must have the same bits.
  void compare_equal(const std::string& title, const Tensor& recorded, const Tensor& ours);
  /// Recorded, but deliberately not compared under its own name.
  void mark(const std::string& key) { seen_.insert(key); }
  /// All recorded names that begin so.
  std::vector<std::string> names(const std::string& prefix) const;

  /// What was recorded beside inputs and never compared is in the report too.
  CaseReport finish();

 private:
  void add(const std::string& title, const Tensor& recorded, const Tensor& ours, double tolerance,
           double least_scale);

  const RecordedFolder& folder_;
  const Json& entry_;
  ParityOptions options_;
  nn::StateDict record_;
  mutable std::set<std::string> seen_;
  CaseReport report_;
};

// Each kind of case has a file of its own.
void run_checkpoint_case(RecordedCase& c);
void run_encoder_case(RecordedCase& c);
void run_optimizer_case(RecordedCase& c);
void run_schedule_case(RecordedCase& c);
void run_vqkd_forward_case(RecordedCase& c);
void run_vqkd_training_case(RecordedCase& c);
void run_vqkd_resized_case(RecordedCase& c);
void run_vqkd_tokens_case(RecordedCase& c);
void run_preprocess_case(RecordedCase& c);
void run_quantizer_case(RecordedCase& c);
void run_k_means_case(RecordedCase& c);
void run_k_means_start_case(RecordedCase& c);
void run_teacher_case(RecordedCase& c);
void run_pretrain_case(RecordedCase& c);

}  // namespace tessera::beit3
