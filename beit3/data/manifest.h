#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/data/tar.h"
#include "beit3/image/image.h"

namespace tessera::beit3 {

/// One sample of a data set; what a source does not say stays empty or -1.
struct Record {
  int64_t id = 0;                 // its place in the data set, from 0
  std::string image_path;         // a path that can be opened, or a member of the set's archive
  std::string second_image;       // image2_path of NLVR2
  std::string text;               // a caption or sentence
  std::vector<int64_t> text_ids;  // ready token ids without special tokens (text_segment)
  int64_t label = -1;
  int64_t image_id = -1;
  int64_t question_id = -1;     // qid
  std::vector<int64_t> labels;  // VQA: answers and their scores
  std::vector<double> scores;
  std::string question, answer, split;

  bool has_text() const { return !text.empty() || !text_ids.empty(); }
};

enum class DataKind { image_folder, class_folders, image_tar, jsonl, text_lines, tsv };
std::string_view to_string(DataKind kind);

/// A list of samples and where their pictures are. Reading pictures is safe from several threads.
struct DataSet {
  DataKind kind{};
  std::string path;  // of the folder or file that was read
  std::vector<Record> records;
  std::vector<std::string> classes;         // names of labels, where folders name them
  std::shared_ptr<const TarIndex> archive;  // set if pictures lie in a tar file

  int64_t size() const { return static_cast<int64_t>(records.size()); }
  int64_t images() const;  // records with a picture
  int64_t texts() const;   // records with a text
  int64_t pairs() const;   // records with both

  /// The file of a record's picture, undecoded; and decoded. Throw IoError, naming the picture.
  std::vector<uint8_t> image_bytes(int64_t record) const;
  Image image(int64_t record) const;
  /// The picture's name for messages: a path, or "archive.tar: member".
  std::string image_name(int64_t record) const;
};

struct OpenOptions {
  /// In a folder: which of train.jsonl, heldout.jsonl, ... is read ("" : train). In records with a
  /// "split" field: only those of this split ("": all).
  std::string split{};
  /// Folder or tar file that pictures named in a JSONL file are relative to. "": beside the file,
  /// in images/ or in images.tar beside it, or in a tar file of its own name.
  std::string image_root{};
  /// More records are refused.
  int64_t max_records = 50'000'000;
};

/// Opens a data set, telling its kind by what is there:
///
///   folder   with SPLIT.jsonl, or with a single .jsonl file   that file
///            with pictures     each with the text of a .txt file of its name, if there is one
///            with subfolders of pictures   label = place of the subfolder among the sorted names
///            with SPLIT.tar, or a single .tar   that archive
///            with SPLIT.tsv, SPLIT.txt, or a single one   that file
///   .jsonl   a JSON object a line: image (or image_path, file_name) and text (or caption, or
///            text_segment: text or a list of ids), label (number, or list with `labels`),
///            image2_path, image_id, qid, labels, scores, question, answer, split; others ignored
///   .tsv     id, a tab, a caption
///   .tar     pictures; folders inside are classes; .txt members are texts
///   else     a text a line (empty lines are left out)
///
/// Records are in the order of the file, or of sorted names. Pictures are not opened. Throws
/// IoError naming file and line for anything malformed, a missing folder, or a set without a single
/// record.
DataSet open_dataset(const std::string& path, const OpenOptions& options = {});

}  // namespace tessera::beit3
