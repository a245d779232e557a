#include "tensor/denormals.hpp"

namespace lawa {

DenormalsAsZero::DenormalsAsZero() = default;
DenormalsAsZero::~DenormalsAsZero() = default;

}  // namespace lawa
