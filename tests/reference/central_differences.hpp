// Derivatives from function values alone.
#pragma once
#include "reference/array.hpp"

namespace lawa::reference {

/// Sum over i of a[i] b[i].
inline double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// df/dx of every element of x, up to h^2; f takes Values and returns a double.
template <class F>
Values central_differences(const F& f, Values x, double h = 1e-5) {
  Values slopes;
  for (double& element : x) {
    const double centre = element;
    element = centre + h;
    const double above = f(x);
    element = centre - h;
    slopes.push_back((above - f(x)) / (2 * h));
    element = centre;
  }
  return slopes;
}

/// The derivative of f at x along `direction`.
template <class F>
double directional_difference(const F& f, const Values& x, const Values& direction, double h = 1e-5) {
  const auto along = [&](double distance) {
    Values moved = x;
    for (size_t i = 0; i < x.size(); ++i) moved[i] += distance * direction[i];
    return f(moved);
  };
  return (along(h) - along(-h)) / (2 * h);
}

}  // namespace lawa::reference
