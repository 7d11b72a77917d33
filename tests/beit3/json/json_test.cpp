#include "beit3/json/json.h"

#include <gtest/gtest.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

TEST(Json, KeepsTheOrderOfFieldsAndEveryDigit) {
  const char* text =
      R"({"b":1,"a":[true,null,"x\"[{"],"c":-9223372036854775808,"d":0.1,"e":18446744073709551615})";
  EXPECT_EQ(json_text(parse_json(text)), text);
  EXPECT_EQ(json_text(parse_json(R"({"b":[1]})"), 1), "{\n \"b\": [\n  1\n ]\n}");
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "[1,]", "{'a':1}", "nul", "1 2", "\"\xff\"", "NaN"}) {
    EXPECT_THROW(parse_json(text), Json::exception) << text;
    EXPECT_TRUE(try_parse_json(text).is_discarded()) << text;
  }
  EXPECT_TRUE(try_parse_json("null").is_null());
}

TEST(Json, IsNestedOnlySoDeep) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_EQ(json_text(parse_json(nested(kMaxJsonDepth))), nested(kMaxJsonDepth));
  EXPECT_THROW(parse_json(nested(kMaxJsonDepth + 1)), IoError);
  EXPECT_THROW(try_parse_json(nested(1'000'000)), IoError);
  // Brackets in a string, and behind an escaped quote in it, nest nothing.
  EXPECT_TRUE(parse_json("\"\\\"" + nested(1000) + "\"").is_string());
}

TEST(Json, TextOfBytesThatAreNoUtf8) { EXPECT_EQ(json_text(Json("a\xff")), "\"a\xEF\xBF\xBD\""); }

}  // namespace
}  // namespace tessera::beit3
