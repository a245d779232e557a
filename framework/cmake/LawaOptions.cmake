# What a builder may choose, and the flags that every target of the project gets.
option(LAWA_TESTS "Build the tests" ON)
option(LAWA_NATIVE "Optimise for the building machine's processor (not for binaries that travel)" OFF)
option(LAWA_PRECOMPILED "Parse the libraries' headers once; off: every file is held to including what it uses" ON)
option(LAWA_REQUIRE_CUDA "Stop unless Kokkos has its CUDA backend" OFF)
set(LAWA_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (e.g. address,undefined)")
set(LAWA_GEMM "" CACHE STRING "Matrix products on the CPU: onednn or blas (empty: the first that is installed)")
set(LAWA_LOOPS "" CACHE STRING "Form of the kernels' loops: host or team (empty: team on a device; team on a CPU is how devices' kernels are tested)")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(lawa_flags INTERFACE)
target_include_directories(lawa_flags INTERFACE ${PROJECT_SOURCE_DIR}/framework)
target_compile_options(lawa_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion
  -fopenmp-simd                                         # "#pragma omp simd" only: no runtime, no threads
  -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)           # places in messages are relative to the project
if(LAWA_NATIVE)
  target_compile_options(lawa_flags INTERFACE -march=native)
endif()
if(LAWA_SANITIZE)
  target_compile_options(lawa_flags INTERFACE -fsanitize=${LAWA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(lawa_flags INTERFACE -fsanitize=${LAWA_SANITIZE})
endif()
