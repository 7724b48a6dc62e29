/* Debian's gcc comes with an unwinder built for glibc: it asks `_dl_find_object` (glibc 2.35) for the unwind tables of
 * an address, and musl has none. Toolchains made for musl ask dl_iterate_phdr; so does this stand-in, for the tests
 * only. */
#define _GNU_SOURCE
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As in glibc's <dlfcn.h> for 64-bit machines. */
struct found {
    unsigned long long flags;
    void *low;
    void *high;
    struct link_map *link_map;
    void *eh_frame_header;
    unsigned long long reserved[7];
};

struct search {
    uintptr_t address;
    struct found *found;
};

static int look_into(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    struct search *search = context;
    bool inside = false;
    uintptr_t tables = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t low = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && search->address - low < header->p_memsz) {
            inside = true;
            search->found->low = (void *)low;
            search->found->high = (void *)(low + header->p_memsz);
        }
        if (header->p_type == PT_GNU_EH_FRAME) {
            tables = low;
        }
    }
    search->found->eh_frame_header = (void *)tables;
    return inside && tables != 0;
}

int _dl_find_object(void *address, struct found *found);

int _dl_find_object(void *address, struct found *found)
{
    struct search search = {(uintptr_t)address, found};
    return dl_iterate_phdr(look_into, &search) != 0 ? 0 : -1;
}
