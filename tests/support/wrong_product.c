/* A library to preload: one matrix product of one rank comes out wrong, as on a machine with a fault.

   PRODUCT_NTH   which one, from 1 on
   PRODUCT_RANK  of which rank of MPI's (default 0) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static long made;

static void spoil(float* c) {
  const char *const nth = getenv("PRODUCT_NTH"), *const wanted = getenv("PRODUCT_RANK"), *const rank = getenv("OMPI_COMM_WORLD_RANK");
  if (nth == NULL || strcmp(wanted != NULL ? wanted : "0", rank != NULL ? rank : "0") != 0) return;
  if (++made == atol(nth)) c[0] = INFINITY;
}

/* oneDNN's, with its own words for sizes and what it returns. */
int dnnl_sgemm(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t stride_a, const float* b,
               int64_t stride_b, float beta, float* c, int64_t stride_c) {
  int (*real)(char, char, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t, float, float*, int64_t) =
      dlsym(RTLD_NEXT, "dnnl_sgemm");
  const int status = real(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c, stride_c);
  spoil(c);
  return status;
}

void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int stride_a, const float* b, int stride_b,
                 float beta, float* c, int stride_c) {
  void (*real)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int) = dlsym(RTLD_NEXT, "cblas_sgemm");
  real(order, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c, stride_c);
  spoil(c);
}
