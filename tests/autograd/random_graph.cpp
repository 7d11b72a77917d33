#include "tests/autograd/random_graph.h"

#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

using reference::Row;

// What a graph is made of: each op twice, on tensors and by plain loops.

struct Unary {
  Tensor (*op)(const Tensor&);
  Rounded (*loops)(const Rounded&);
  bool smooth = true;
};
const Unary kUnary[] = {
    {neg, [](const Rounded& x) { return -x; }},
    {tanh, [](const Rounded& x) { return tanh(x); }},
    {sin, [](const Rounded& x) { return sin(x); }},
    {cos, [](const Rounded& x) { return cos(x); }},
    {erf, [](const Rounded& x) { return erf(x); }},
    {gelu, reference::gelu},
    {square, [](const Rounded& x) { return x * x; }},
    {sigmoid, [](const Rounded& x) { return 1 / (1 + exp(-x)); }},
    {softplus, [](const Rounded& x) { return max(x, 0) + log1p(exp(-abs(x))); }},
    {[](const Tensor& x) { return exp(sin(x)); }, [](const Rounded& x) { return exp(sin(x)); }},
    {[](const Tensor& x) { return rsqrt(square(x) + 1.0); },
     [](const Rounded& x) { return 1 / sqrt(x * x + 1); }},
    {[](const Tensor& x) { return x * -0.75; }, [](const Rounded& x) { return x * -0.75; }},
    {[](const Tensor& x) { return 0.5 - x; }, [](const Rounded& x) { return 0.5 - x; }},
    {abs, [](const Rounded& x) { return abs(x); }, false},
    {relu, [](const Rounded& x) { return max(x, 0); }, false},
};

struct Binary {
  Tensor (*op)(const Tensor&, const Tensor&);
  Rounded (*loops)(const Rounded&, const Rounded&);
  bool smooth = true;
};
const Binary kBinary[] = {
    {add, [](const Rounded& a, const Rounded& b) { return a + b; }},
    {sub, [](const Rounded& a, const Rounded& b) { return a - b; }},
    {mul, [](const Rounded& a, const Rounded& b) { return a * b; }},
    {[](const Tensor& a, const Tensor& b) { return a / (square(b) + 1.0); },
     [](const Rounded& a, const Rounded& b) { return a / (b * b + 1); }},
    {maximum, [](const Rounded& a, const Rounded& b) { return max(a, b); }, false},
    {minimum, [](const Rounded& a, const Rounded& b) { return min(a, b); }, false},
};

/// Of a line along an axis, which shrinks to one element.
struct Fold {
  Tensor (*op)(const Tensor&, int64_t axis);
  Rounded (*loops)(const Row&);
  bool smooth = true;
};
const Fold kFolds[] = {
    {[](const Tensor& x, int64_t axis) { return sum(x, {axis}, KeepDims::yes); },
     [](const Row& row) { return total(row); }},
    {[](const Tensor& x, int64_t axis) { return mean(x, {axis}, KeepDims::yes); }, reference::mean},
    {[](const Tensor& x, int64_t axis) { return logsumexp(x, {axis}, KeepDims::yes); },
     reference::log_sum_exp},
    {[](const Tensor& x, int64_t axis) { return max(x, {axis}, KeepDims::yes); },
     [](const Row& row) {
       Rounded y = row[0];
       for (const Rounded& x : row) y = max(y, x);
       return y;
     },
     false},
};

/// Of rows.
struct RowWise {
  Tensor (*op)(const Tensor&);
  Row (*loops)(const Row&);
};
const RowWise kRowWise[] = {
    {[](const Tensor& x) { return softmax(x); }, reference::softmax},
    {[](const Tensor& x) {
       const TensorOptions like = x.options();
       return layer_norm(x, ones({x.size(1)}, like), zeros({x.size(1)}, like), 0.25);
     },
     [](const Row& row) {
       const auto width = static_cast<int64_t>(row.size());
       return reference::normalized(row, ones({width}), zeros({width}), 0.25);
     }},
};

Tensor computed(const Step& s, const Tensor& a, const Tensor& b) {
  switch (s.kind) {
    case Step::unary:
      return kUnary[s.which].op(a);
    case Step::binary:
      return kBinary[s.which].op(a, b);
    case Step::fold:
      return kFolds[s.which].op(a, s.axis);
    case Step::row_wise:
      return kRowWise[s.which].op(a);
    case Step::product:
      return matmul(a, b, {.transpose_b = true});
    case Step::turn:
      return transpose(a);
    case Step::cut:
      return slice(a, s.axis, 0, a.size(s.axis), 2);
    case Step::join:
      return concat({a, b}, s.axis);
    case Step::pick:
      return index_select(a, zeros({2}, {DType::i64}), s.axis);
  }
  return {};
}

// Values are matrices.
Rounded at(const Grid& x, int64_t i, int64_t j) {
  const int64_t row = x.shape[0] == 1 ? 0 : i, column = x.shape[1] == 1 ? 0 : j;
  return x.elements[static_cast<size_t>(row * x.shape[1] + column)];
}
Grid matrix(int64_t rows, int64_t columns,
            const std::function<Rounded(int64_t, int64_t)>& element_at) {
  Grid y{{rows, columns}, {}};
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) y.elements.push_back(element_at(i, j));
  }
  return y;
}

Grid folded(const Grid& x, int axis, Rounded (*f)(const Row&)) {
  const int64_t n = x.shape[0], m = x.shape[1];
  return matrix(axis == 0 ? 1 : n, axis == 1 ? 1 : m, [&](int64_t i, int64_t j) {
    Row line;
    for (int64_t k = 0; k < x.shape[axis]; ++k) {
      line.push_back(axis == 0 ? at(x, k, j) : at(x, i, k));
    }
    return f(line);
  });
}

Grid by_loops(const Step& s, const Grid& a, const Grid& b) {
  const int64_t n = a.shape[0], m = a.shape[1];
  switch (s.kind) {
    case Step::unary:
      return reference::mapped(a, kUnary[s.which].loops);
    case Step::binary:
      return matrix(std::max(n, b.shape[0]), std::max(m, b.shape[1]), [&](int64_t i, int64_t j) {
        return kBinary[s.which].loops(at(a, i, j), at(b, i, j));
      });
    case Step::fold:
      return folded(a, s.axis, kFolds[s.which].loops);
    case Step::row_wise: {
      Grid y{a.shape, {}};
      for (int64_t i = 0; i < n; ++i) {
        const auto first = a.elements.begin() + i * m;
        const Row row = kRowWise[s.which].loops(Row(first, first + m));
        y.elements.insert(y.elements.end(), row.begin(), row.end());
      }
      return y;
    }
    case Step::product:
      return matrix(n, b.shape[0], [&](int64_t i, int64_t j) {
        Row terms;
        for (int64_t k = 0; k < m; ++k) terms.push_back(at(a, i, k) * at(b, j, k));
        return total(terms);
      });
    case Step::turn:
      return matrix(m, n, [&](int64_t i, int64_t j) { return at(a, j, i); });
    case Step::cut:
      return matrix(
          s.axis == 0 ? (n + 1) / 2 : n, s.axis == 1 ? (m + 1) / 2 : m,
          [&](int64_t i, int64_t j) { return s.axis == 0 ? at(a, 2 * i, j) : at(a, i, 2 * j); });
    case Step::join:
      return matrix(s.axis == 0 ? n + b.shape[0] : n, s.axis == 1 ? m + b.shape[1] : m,
                    [&](int64_t i, int64_t j) {
                      if (s.axis == 0) return i < n ? at(a, i, j) : at(b, i - n, j);
                      return j < m ? at(a, i, j) : at(b, i, j - m);
                    });
    case Step::pick:
      return matrix(s.axis == 0 ? 2 : n, s.axis == 1 ? 2 : m,
                    [&](int64_t i, int64_t j) { return s.axis == 0 ? at(a, 0, j) : at(a, i, 0); });
  }
  return {};
}

bool broadcasts(const Shape& a, const Shape& b) {
  for (int i = 0; i < 2; ++i) {
    if (a[i] != b[i] && a[i] != 1 && b[i] != 1) return false;
  }
  return true;
}

double largest(const Grid& x) {
  double most = 0;
  for (const Rounded& e : x.elements) most = std::max(most, std::fabs(e.value));
  return most;
}

class Drawer {
 public:
  explicit Drawer(uint64_t seed) : random_(RandomKey{seed}) {}

  Graph draw() {
    for (int64_t i = 2 + below(2); i > 0; --i) {
      const Shape shape{1 + below(4), 1 + below(4)};
      graph_.leaves.push_back(by_position(shape, [&](const auto&) {
        return static_cast<double>(static_cast<float>(random_.normal()));
      }));
      graph_.values.push_back(reference::exact(graph_.leaves.back()));
    }
    for (int64_t i = 4 + below(12); i > 0; --i) step();
    return std::move(graph_);
  }

 private:
  int64_t below(int64_t n) { return random_.integer(n); }
  template <class T, size_t n>
  size_t one_of(const T (&)[n]) {
    return static_cast<size_t>(below(static_cast<int64_t>(n)));
  }

  void step() {
    const auto count = static_cast<int64_t>(graph_.values.size());
    // Mostly the newest, so that graphs are deep; now and then any, so that they are no chains.
    const int64_t from = random_.chance(0.6) ? count - 1 : below(count);
    Step s{Step::unary, 0, static_cast<size_t>(from), static_cast<size_t>(below(count)),
           static_cast<int>(below(2))};
    const Shape &a = graph_.values[s.a].shape, &b = graph_.values[s.b].shape;
    const bool small = numel(a) <= 16 && numel(b) <= 16;
    if (largest(graph_.values[s.a]) > 6) {
      s.which = 1;  // tanh: numbers stay moderate
    } else {
      const int64_t choice = below(12);
      if (choice < 4 && broadcasts(a, b)) {
        s.kind = Step::binary;
        s.which = one_of(kBinary);
        graph_.smooth &= kBinary[s.which].smooth;
      } else if (choice == 4) {
        s.kind = Step::fold;
        s.which = one_of(kFolds);
        graph_.smooth &= kFolds[s.which].smooth;
      } else if (choice == 5) {
        s.kind = Step::row_wise;
        s.which = one_of(kRowWise);
      } else if (choice == 6 && a[1] == b[1]) {
        s.kind = Step::product;
      } else if (choice == 7) {
        s.kind = Step::turn;
      } else if (choice == 8) {
        s.kind = Step::cut;
      } else if (choice == 9 && small && a[1 - s.axis] == b[1 - s.axis]) {
        s.kind = Step::join;
      } else if (choice == 10) {
        s.kind = Step::pick;
      } else {
        s.which = one_of(kUnary);
        graph_.smooth &= kUnary[s.which].smooth;
      }
    }
    graph_.values.push_back(by_loops(s, graph_.values[s.a], graph_.values[s.b]));
    graph_.steps.push_back(s);
  }

  RandomStream random_;
  Graph graph_;
};

}  // namespace

Tensor Graph::run(const Tensors& in) const {
  Tensors all = in;
  for (const Step& s : steps) all.push_back(computed(s, all[s.a], all[s.b]));
  return all.back();
}

Graph drawn_graph(uint64_t seed) { return Drawer(seed).draw(); }

}  // namespace tessera::testing
