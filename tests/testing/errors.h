#pragma once

#include <exception>
#include <typeinfo>

#include <gtest/gtest.h>

/// The statement throws exactly `ErrorType`, with exactly this text.
#define EXPECT_ERROR(statement, ErrorType, text)                                 \
  do {                                                                           \
    try {                                                                        \
      static_cast<void>(statement);                                              \
      ADD_FAILURE() << #statement " throws nothing, but should say: " << (text); \
    } catch (const std::exception& error) {                                      \
      EXPECT_STREQ(error.what(), text);                                          \
      EXPECT_TRUE(typeid(error) == typeid(ErrorType))                            \
          << "thrown: " << typeid(error).name() << ", expected: " #ErrorType;    \
    }                                                                            \
  } while (false)
