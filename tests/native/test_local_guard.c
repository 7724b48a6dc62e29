/* Local values where the C library has no __cxa_thread_atexit_impl: the library's file is built in here against a weak
 * name that nobody defines, and takes the place of its own in the archive. */
#define __cxa_thread_atexit_impl ti_nobody_defines_this
#include "../../tinspect/native/scope/local_end.c"
#undef __cxa_thread_atexit_impl
#include "test_local.c"
