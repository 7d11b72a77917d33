#pragma once

#include <string>
#include <string_view>

namespace tessera::beit3 {

/// Brings an answer of the VQA data set into the form in which answers are counted and compared:
/// punctuation out, lower case, number words as digits, articles out, contractions with their
/// apostrophe ("A couple of dogs!" is "couple of dogs", "Two" is "2", "dont" is "don't").
///
/// It is for answers, which define the labels, not for questions. Known oddities are kept, because
/// the labels depend on them: of the full stops that end no number only the first 32 go.
/// Source: Antol et al., "VQA: Visual Question Answering", arXiv:1505.00468, and the rules of its
/// evaluation, which BEiT-3 (arXiv:2208.10442) applies.
std::string normalize_answer(std::string_view answer);

}  // namespace tessera::beit3
