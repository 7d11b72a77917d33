#include "beit3/vqkd/codes.h"

#include "tests/beit3/vqkd/vqkd_testing.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

using testing::TemporaryFile;

const VqkdConfig kSmall{.image_size = 16, .patch = 8, .width = 16, .heads = 2, .codes = 8};

TEST(CodeTableTest, ThereAndBack) {
  const TemporaryFile file("table.codes");
  const Vqkd vq(kSmall, RandomKey{1});
  const Tensor images = testing::blobs(10, 16, RandomKey{2});
  const CodeTable table = encode_all(
      vq, 10, [&](int64_t begin, int64_t end) { return slice(images, 0, begin, end); }, "blobs", 4);
  save_codes(file.path(), table);
  const CodeTable again = load_codes(file.path(), vq);
  EXPECT_EQ(again.pictures, 10);
  EXPECT_EQ(again.patches, 4);
  EXPECT_EQ(again.data, "blobs");
  EXPECT_EQ(again.ids, table.ids);
  EXPECT_EQ(again.ids, vq.encode(images).to_vector<int32_t>());
  EXPECT_EQ(again.of(9)[3], table.ids.back());
}

TEST(CodeTableTest, RefusesCodesOfAnotherTokenizer) {
  const TemporaryFile file("other.codes");
  const Vqkd vq(kSmall, RandomKey{1}), other(kSmall, RandomKey{2});
  save_codes(file.path(), encode_all(other, 1, [&](int64_t, int64_t) {
               return testing::blobs(1, 16, RandomKey{2});
             }));
  EXPECT_THROW(load_codes(file.path(), vq), StateError);
  save_vqkd(vq, file.path());
  EXPECT_ERROR(load_codes(file.path(), vq), IoError,
               (file.path() + " holds no codes of pictures").c_str());
}

}  // namespace
}  // namespace tessera::beit3
