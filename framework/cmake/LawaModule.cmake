# lawa_module(NAME SOURCES … DEPENDS … LIBRARIES …): one folder of framework/ as the static library lawa_NAME, alias
# lawa::NAME. DEPENDS is the list of modules that it may include: the layering test reads it from here.
function(lawa_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  list(TRANSFORM M_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/${name}/)
  add_library(lawa_${name} STATIC ${M_SOURCES})
  add_library(lawa::${name} ALIAS lawa_${name})
  list(TRANSFORM M_DEPENDS PREPEND lawa_)
  target_link_libraries(lawa_${name} PUBLIC lawa_flags ${M_DEPENDS} ${M_LIBRARIES})
  if(NOT name STREQUAL "core")   # which knows no Kokkos
    lawa_precompiled(lawa_${name} lawa_tensor)
  endif()
  set_property(GLOBAL APPEND PROPERTY LAWA_MODULES ${name})
endfunction()

# lawa_precompiled(TARGET OF): TARGET is compiled with the precompiled headers of the target OF, which may be itself.
# They only save time: --full builds without them, and holds every file to including what it uses.
function(lawa_precompiled target of)
  if(NOT LAWA_PRECOMPILED OR LAWA_DEVICE STREQUAL "cuda")   # nvcc_wrapper has none
    return()
  elseif(target STREQUAL of)
    target_precompile_headers(${target} PRIVATE <Kokkos_Core.hpp> <nlohmann/json.hpp> <algorithm> <filesystem> <fstream> <functional>
                              <map> <memory> <optional> <ranges> <span> <string> <vector> ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${of})
  endif()
endfunction()

# lawa_test(NAME SOURCES … MODULES … RANKS 1 2 3 LABEL …): one GoogleTest program, run once for each number of ranks. The label "threads" is
# that of tests which the preset tsan runs: of what several threads of a process do.
function(lawa_test name)
  cmake_parse_arguments(T "" "TIMEOUT;LABEL" "SOURCES;MODULES;RANKS" ${ARGN})
  if(NOT T_RANKS)
    set(T_RANKS 1)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_executable(test_${name} ${T_SOURCES})
  list(TRANSFORM T_MODULES PREPEND lawa_)
  target_link_libraries(test_${name} PRIVATE lawa_test_support ${T_MODULES})
  if(NOT LAWA_DEVICE STREQUAL "cuda")   # nvcc takes one level of optimisation
    target_compile_options(test_${name} PRIVATE -O1)   # what is measured and compared is in the libraries
  endif()
  lawa_precompiled(test_${name} lawa_test_support)
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(T_LABEL)   # the target threads_tests builds those of the label "threads"
    if(NOT TARGET ${T_LABEL}_tests)
      add_custom_target(${T_LABEL}_tests)
    endif()
    add_dependencies(${T_LABEL}_tests test_${name})
  endif()
  foreach(ranks ${T_RANKS})
    add_test(NAME ${name}.ranks_${ranks}
      COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} --oversubscribe $<TARGET_FILE:test_${name}>
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name}.ranks_${ranks} PROPERTIES TIMEOUT ${T_TIMEOUT} PROCESSORS ${ranks} LABELS "${T_LABEL}"
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1;OMPI_MCA_pml=ob1;OMPI_MCA_rmaps_base_oversubscribe=1;OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_hwloc_base_binding_policy=none")
  endforeach()
endfunction()
