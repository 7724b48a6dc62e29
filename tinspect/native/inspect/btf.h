/* The kernel's own type information (Documentation/bpf/btf.rst): where members of its structures lie. */
#ifndef TI_BTF_H
#define TI_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ti_btf_kind { TI_BTF_STRUCT = 4, TI_BTF_FUNCTION = 12 };

struct ti_btf {
    uint8_t *data;
    size_t size;
    const uint8_t *types;
    const char *strings;
    size_t strings_size;
    uint32_t *offsets; /* of each type, from `types`; types have ids from 1 */
    uint32_t count;
};

/* Reads and indexes a file of raw BTF. 0, or -errno: -ENOENT without BTF, -EBADMSG for what isn't BTF of our byte
 * order. */
int ti_btf_open(struct ti_btf *btf, const char *path);
void ti_btf_close(struct ti_btf *btf);

/* The id of the first type of this kind and name, 0 when there is none. */
uint32_t ti_btf_find(const struct ti_btf *btf, enum ti_btf_kind kind, const char *name);
/* The size of a structure in bytes. */
uint32_t ti_btf_size(const struct ti_btf *btf, uint32_t id);
/*
 * The offset in bytes of a member of structure `id`, unnamed structures inside it included; `path` goes into named
 * ones by dots. -1 when there is none, or it isn't at a byte.
 */
int64_t ti_btf_member(const struct ti_btf *btf, uint32_t id, const char *path);

#endif
