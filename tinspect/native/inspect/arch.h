/* The architecture this was built for: its register set, and the few facts the stop needs about it. */
#ifndef TI_ARCH_H
#define TI_ARCH_H

#include <stdint.h>
#include <sys/types.h>

#if defined(__x86_64__)
#include "arch_x86_64.h"
#elif defined(__aarch64__)
#include "arch_aarch64.h"
#else
#error "tinspect knows the registers of x86-64 and aarch64"
#endif

#endif
