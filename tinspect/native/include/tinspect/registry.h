/* The way into the registry for a reader in another process or in a core: see docs/internals/registry-format.md. */
#ifndef TINSPECT_REGISTRY_H
#define TINSPECT_REGISTRY_H

#include "tinspect/base.h"

TI_BEGIN_DECLS

#define TI_ANCHOR_MAGIC "TINSPANC"

struct ti_registry_anchor {
    char magic[8];    /* TI_ANCHOR_MAGIC, without a zero byte */
    uint32_t size;    /* of this struct, bytes */
    uint32_t major;   /* of the registry's format */
    uint64_t address; /* of the registry's header; 0: this process has not used the runtime yet */
};

extern TI_API struct ti_registry_anchor ti_registry_v1;

TI_END_DECLS

#endif
