#pragma once

#include <string>

#include "beit3/json/json.h"
#include "beit3/text/piece_codec.h"

namespace tessera::beit3 {

// One function a kind of recorded case (see recorded_cases.h). Each returns the first field that
// differs with what was expected and what came, or "". A field that is missing or of another type
// throws Json::exception.
std::string encode_difference(const PieceCodec& codec, const Json& recorded);
std::string nbest_difference(const PieceCodec& codec, const Json& recorded);
std::string lattice_difference(const PieceCodec& codec, const Json& recorded);
std::string xlmr_difference(const PieceCodec& codec, const Json& recorded);
std::string load_difference(const Json& recorded);
std::string vqa_difference(const Json& recorded);

/// The text of a case: its field "text", or "b64" where it is no valid UTF-8.
std::string input_of(const Json& recorded);

}  // namespace tessera::beit3
