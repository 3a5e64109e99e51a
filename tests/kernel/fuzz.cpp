// Coverage-guided fuzzing: libFuzzer finds bytes that reach new places in the native kernel, and Python checks that
// the other kernels answer alike. See MSECLI_FUZZ in CMakeLists.txt.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstdint>
#include <cstdlib>

namespace {
PyObject* check = nullptr;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    Py_InitializeEx(0);
    PyObject* const module = PyImport_ImportModule("tests.kernel.fuzz");
    check = module ? PyObject_GetAttrString(module, "check") : nullptr;
    if (check == nullptr) {
        PyErr_Print();
        std::abort();
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    PyObject* const result = PyObject_CallFunction(check, "y#", data, static_cast<Py_ssize_t>(size));
    if (result == nullptr) {
        PyErr_Print();
        std::abort();
    }
    Py_DECREF(result);
    return 0;
}
