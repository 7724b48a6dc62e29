/* Local values where compiler thread-locals cannot be had. */
#define TI_LOCAL_BY_KEY
#include "test_local.c"
