// Which x86-64 micro-architecture levels this processor runs. Plain C, compiled for the oldest one.

static int supports_v2(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
#else
  return 0;
#endif
}

static int supports_v3(void) {
#if defined(__x86_64__)
  return supports_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#else
  return 0;
#endif
}

static int supports_v4(void) {
#if defined(__x86_64__)
  return supports_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
#else
  return 0;
#endif
}

static const char* best_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  return supports_v4() ? "v4" : supports_v3() ? "v3" : supports_v2() ? "v2" : "base";
}

#ifdef GROUNDUP_PRINT_LEVEL
#include <stdio.h>
int main(void) { return puts(best_level()) < 0; }
#else
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject* level(PyObject* self, PyObject* args) {
  (void)self;
  (void)args;
  return PyUnicode_FromString(best_level());
}

static PyMethodDef methods[] = {
    {"level", level, METH_NOARGS, "The highest level this processor runs: base, v2, v3 or v4."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_cpu", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__cpu(void) { return PyModule_Create(&module); }
#endif
