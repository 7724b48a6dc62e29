/* Everything of the runtime in one include. */
#ifndef TINSPECT_RUNTIME_H
#define TINSPECT_RUNTIME_H

#include "tinspect/base.h"
#include "tinspect/cell.h"
#include "tinspect/local.h"
#include "tinspect/panic.h"
#include "tinspect/registry.h"
#include "tinspect/scope.h"
#include "tinspect/sync.h"
#include "tinspect/thread.h"

#endif
