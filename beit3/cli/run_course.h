#pragma once

#include <string>

namespace tessera::beit3::cli {

/// The course of a run as two tables for people: `rows` of its logged steps, evenly spaced, and
/// every evaluation on held-out data. Lines that are no metrics, as a torn last one, are passed
/// over.
/// metrics  content of a run's metrics.jsonl
std::string course_tables(const std::string& metrics, int64_t rows = 10);

}  // namespace tessera::beit3::cli
