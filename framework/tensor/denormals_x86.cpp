#include <xmmintrin.h>

#include "tensor/denormals.hpp"

namespace lawa {
namespace {

constexpr unsigned flush_results = 0x8000, zero_operands = 0x0040;  // FTZ and DAZ in the register MXCSR

}  // namespace

DenormalsAsZero::DenormalsAsZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | flush_results | zero_operands); }
DenormalsAsZero::~DenormalsAsZero() { _mm_setcsr(before_); }

}  // namespace lawa
