#pragma once

#include <array>
#include <concepts>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::nn {

class Module;

/// Name -> tensor, in the order of the names. What files and checkpoints hold.
using StateDict = std::map<std::string, Tensor, std::less<>>;

/// What a tensor of a module is: buffers belong to its state, but nobody differentiates by them.
enum class FieldKind { parameter, buffer };

/// One published tensor of a module: a whole tensor, or rows of one.
struct Field {
  std::string name;  ///< with all prefixes: "encoder.layers.0.fc1.weight"
  FieldKind kind = FieldKind::parameter;
  Tensor tensor;                ///< the module's own handle, whole
  int64_t begin = 0, end = -1;  ///< rows [begin, end) of axis 0; end = -1: all of it

  bool whole() const { return end < 0; }
  Shape shape() const;
  /// The published elements: a view outside of any recording.
  Tensor view() const;
};

/// Walks over what a module says of itself in `fields`. Names nest, joined by dots; an undefined
/// tensor (an absent bias) is no field.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  /// A part of the module.
  void operator()(std::string_view name, Module& part);
  /// Parts called name.0, name.1, …
  template <std::derived_from<Module> T>
  void operator()(std::string_view name, std::vector<T>& parts) {
    list(name, parts);
  }
  template <std::derived_from<Module> T, size_t n>
  void operator()(std::string_view name, std::array<T, n>& parts) {
    list(name, parts);
  }
  /// A part that may be absent.
  template <std::derived_from<Module> T>
  void operator()(std::string_view name, std::optional<T>& part) {
    if (part) (*this)(name, static_cast<Module&>(*part));
  }
  template <std::derived_from<Module> T>
  void operator()(std::string_view name, std::unique_ptr<T>& part) {
    if (part) (*this)(name, static_cast<Module&>(*part));
  }
  /// A parameter.
  void operator()(std::string_view name, Tensor& parameter);
  /// State that is no parameter.
  void buffer(std::string_view name, Tensor& state);
  /// Publishes rows [begin, end) of `parameter` under a name of their own: queries, keys and values
  /// are one (3C, C) parameter here and three in files. Each row is published exactly once.
  void rows(std::string_view name, Tensor& parameter, int64_t begin, int64_t end);
  /// What `body()` visits stands below `name`, as if it were a part.
  template <std::invocable F>
  void prefix(std::string_view name, F body) {
    const size_t before = push(name);
    body();
    prefix_.resize(before);
  }

 protected:
  virtual void field(Field field) = 0;
  /// Called around the fields of a part; `name` is its full name.
  virtual void enter(std::string_view /*name*/, const Module& /*part*/) {}
  virtual void leave() {}

 private:
  template <class List>
  void list(std::string_view name, List& parts) {
    prefix(name, [&] {
      for (size_t i = 0; i < parts.size(); ++i) {
        (*this)(std::to_string(i), static_cast<Module&>(parts[i]));
      }
    });
  }
  size_t push(std::string_view name);
  void add(std::string_view name, Tensor& tensor, FieldKind kind, int64_t begin, int64_t end);

  std::string prefix_;  // empty, or ends in a dot
};

/// One parameter as optimizers see it.
struct NamedParameter {
  std::string name;           ///< of the first of its slices
  Tensor tensor;              ///< the module's own handle
  std::vector<Field> slices;  ///< the names it is published under; one if it is not cut
};
using NamedParameters = std::vector<NamedParameter>;

/// A struct with parameters. It says once what its members are, in `fields`; parameters, state
/// dict, moving and printing come from that list. Nothing is registered and no pointer into the
/// object is kept, so moving it is safe. Copying would share parameters, so there is none.
///
/// A module holds no mode and does not change while it runs: random keys and the like are
/// arguments. Threads may share it.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Calls `v` for every member, in the order in which files list them.
  virtual void fields(FieldVisitor& v) = 0;
  /// What printing says beside the name, "Linear(16 -> 64)".
  virtual std::string describe() const { return "Module"; }

  /// Everything published, in order. Shared tensors appear under each of their names.
  std::vector<Field> list_fields() const;
  /// Every parameter once, even if it is published in rows or under several names. Throws
  /// StateError if published rows overlap or do not add up to the parameter, naming it, or if a
  /// name is used twice.
  NamedParameters named_parameters() const;
  /// The same without names.
  Tensors parameters() const;
  /// Views of parameters and buffers by published name. They follow the parameters' values until
  /// `to` moves them. Throws StateError if a name is used twice.
  StateDict state() const;

  /// Number of elements of all parameters; a shared one counts once.
  int64_t parameter_count() const;
  /// Moves every tensor inside its handle, so that optimizers and shared handles follow. Drops
  /// gradients.
  void to(const Device& device);
  /// Drops the gradients.
  void zero_grad() const;
  /// Says whether `backward` computes gradients of the parameters; off, they are constants.
  void set_requires_grad(bool wanted) const;
};

/// A leaf that holds the elements of `x`: what a module's member is made of.
Tensor parameter(const Tensor& x);

/// The module as an indented tree: names, shapes, and numbers of parameters.
std::string to_string(const Module& module);

}  // namespace tessera::nn
