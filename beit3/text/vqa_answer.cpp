#include "beit3/text/vqa_answer.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include <utf8proc.h>

#include "beit3/text/utf8.h"

namespace tessera::beit3 {
namespace {

using Table = std::unordered_map<std::string_view, std::string_view>;

const Table& number_words() {
  static const Table table = {{"none", "0"},  {"zero", "0"},  {"one", "1"},  {"two", "2"},
                              {"three", "3"}, {"four", "4"},  {"five", "5"}, {"six", "6"},
                              {"seven", "7"}, {"eight", "8"}, {"nine", "9"}, {"ten", "10"}};
  return table;
}

/// The evaluation's list, as far as lower-case words can match it: what is written, what is meant.
constexpr std::string_view kContractions =
    "aint ain't arent aren't cant can't couldve could've couldnt couldn't "
    "couldn'tve couldn't've couldnt've couldn't've didnt didn't doesnt doesn't dont don't "
    "hadnt hadn't hadnt've hadn't've hadn'tve hadn't've hasnt hasn't havent haven't hed he'd "
    "hed've he'd've he'dve he'd've hes he's howd how'd howll how'll hows how's isnt isn't "
    "itd it'd itd've it'd've it'dve it'd've itll it'll maam ma'am mightnt mightn't "
    "mightnt've mightn't've mightn'tve mightn't've mightve might've mustnt mustn't "
    "mustve must've neednt needn't notve not've oclock o'clock oughtnt oughtn't "
    "ow's'at 'ow's'at 'ows'at 'ow's'at 'ow'sat 'ow's'at shant shan't shed've she'd've "
    "she'dve she'd've shouldve should've shouldnt shouldn't shouldnt've shouldn't've "
    "shouldn'tve shouldn't've somebody'd somebodyd somebodyd've somebody'd've "
    "somebody'dve somebody'd've somebodyll somebody'll somebodys somebody's "
    "someoned someone'd someoned've someone'd've someone'dve someone'd've "
    "someonell someone'll someones someone's somethingd something'd "
    "somethingd've something'd've something'dve something'd've somethingll something'll "
    "thats that's thered there'd thered've there'd've there'dve there'd've therere there're "
    "theres there's theyd they'd theyd've they'd've they'dve they'd've theyll they'll "
    "theyre they're theyve they've twas 'twas wasnt wasn't wed've we'd've we'dve we'd've "
    "weve we've werent weren't whatll what'll whatre what're whats what's whatve what've "
    "whens when's whered where'd wheres where's whereve where've whod who'd whod've who'd've "
    "who'dve who'd've wholl who'll whos who's whove who've whyll why'll whyre why're "
    "whys why's wont won't wouldve would've wouldnt wouldn't wouldnt've wouldn't've "
    "wouldn'tve wouldn't've yall y'all yall'll y'all'll y'allll y'all'll "
    "yall'd've y'all'd've y'alld've y'all'd've y'all'dve y'all'd've youd you'd "
    "youd've you'd've you'dve you'd've youll you'll youre you're youve you've";

const Table& contractions() {
  static const Table table = [] {
    Table pairs;
    std::string_view rest = kContractions;
    const auto take = [&] {
      const std::string_view word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
      return word;
    };
    while (!rest.empty()) {
      const std::string_view written = take();
      pairs[written] = take();
    }
    return pairs;
  }();
  return table;
}

std::string_view looked_up(const Table& table, std::string_view word) {
  const auto found = table.find(word);
  return found == table.end() ? word : found->second;
}

bool is_digit(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

bool has_digit_comma_digit(const std::u32string& text) {
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == U',' && is_digit(text[i - 1]) && is_digit(text[i + 1])) return true;
  }
  return false;
}

/// A mark that touches a space somewhere vanishes everywhere, any other becomes a space.
std::u32string without_punctuation(const std::u32string& answer) {
  constexpr std::u32string_view kMarks = U";/[]\"{}()=+\\_-><@`,?!";
  const bool grouped_digits = has_digit_comma_digit(answer);
  std::u32string text = answer;
  for (const char32_t mark : kMarks) {
    const char32_t before[] = {U' ', mark}, behind[] = {mark, U' '};
    const bool vanishes = grouped_digits || answer.find(before, 0, 2) != std::u32string::npos ||
                          answer.find(behind, 0, 2) != std::u32string::npos;
    if (vanishes) {
      std::erase(text, mark);
    } else {
      std::replace(text.begin(), text.end(), mark, U' ');
    }
  }
  return text;
}

std::u32string without_full_stops(const std::u32string& text) {
  constexpr int kMost = 32;
  std::u32string out;
  int removed = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool ends_number = i + 1 < text.size() && is_digit(text[i + 1]);
    if (text[i] == U'.' && !ends_number && removed < kMost) {
      ++removed;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string> lower_case_words(const std::u32string& text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char32_t c : text) {
    if (is_whitespace(c)) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    append_utf8(words.back(),
                static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
  return words;
}

}  // namespace

std::string normalize_answer(std::string_view answer) {
  const std::u32string bare = without_full_stops(without_punctuation(to_code_points(answer)));
  std::string out;
  for (const std::string& word : lower_case_words(bare)) {
    if (word == "a" || word == "an" || word == "the") continue;
    if (!out.empty()) out += ' ';
    out += looked_up(contractions(), looked_up(number_words(), word));
  }
  std::erase(out, ',');
  return out;
}

}  // namespace tessera::beit3
