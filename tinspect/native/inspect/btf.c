#include "btf.h"

#include "array.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Documentation/bpf/btf.rst, Linux 6.18. */
enum {
    KIND_INT = 1,
    KIND_ARRAY = 3,
    KIND_STRUCT = 4,
    KIND_UNION = 5,
    KIND_ENUM = 6,
    KIND_TYPEDEF = 8,
    KIND_VOLATILE = 9,
    KIND_CONST = 10,
    KIND_FUNCTION_TYPE = 13,
    KIND_VARIABLE = 14,
    KIND_SECTION = 15,
    KIND_DECLARATION_TAG = 17,
    KIND_TYPE_TAG = 18,
    KIND_ENUM64 = 19,
    KIND_LAST = KIND_ENUM64,
    MOST_BYTES = 256 << 20, /* vmlinux has 5 MB */
    DEEPEST = 16,
};
#define MAGIC 0xEB9F

struct header {
    uint16_t magic;
    uint8_t version;
    uint8_t flags;
    uint32_t header_size;
    uint32_t types_offset;
    uint32_t types_size;
    uint32_t strings_offset;
    uint32_t strings_size;
};

struct type {
    uint32_t name;
    uint32_t info;
    uint32_t size_or_type;
};

struct member {
    uint32_t name;
    uint32_t type;
    uint32_t offset;
};

static uint32_t kind_of(const struct type *type)
{
    return type->info >> 24 & 31;
}

static uint32_t item_count(const struct type *type)
{
    return type->info & 0xFFFF;
}

/* Bytes that follow a type's first three words; SIZE_MAX for a kind that is not known. */
static size_t tail_size(const struct type *type)
{
    size_t count = item_count(type);
    switch (kind_of(type)) {
    case KIND_INT:
    case KIND_VARIABLE:
    case KIND_DECLARATION_TAG:
        return 4;
    case KIND_ARRAY:
        return 12;
    case KIND_STRUCT:
    case KIND_UNION:
    case KIND_SECTION:
    case KIND_ENUM64:
        return 12 * count;
    case KIND_ENUM:
    case KIND_FUNCTION_TYPE:
        return 8 * count;
    default:
        return kind_of(type) <= KIND_LAST ? 0 : SIZE_MAX;
    }
}

static const struct type *type_at(const struct ti_btf *btf, uint32_t id)
{
    return id && id <= btf->count ? (const struct type *)(btf->types + btf->offsets[id - 1]) : NULL;
}

static const char *string_at(const struct ti_btf *btf, uint32_t offset)
{
    return offset < btf->strings_size ? btf->strings + offset
                                      : ""; /* the section ends with a NUL: checked when opened */
}

static int read_file(struct ti_btf *btf, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t capacity = 0;
    ssize_t got = 0;
    int error = 0;
    do {
        uint8_t *data = ti_array_room(btf->data, &capacity, btf->size, 1 << 20, 1);
        if (!data || btf->size > MOST_BYTES) {
            error = data ? -EFBIG : -ENOMEM;
            btf->data = data ? data : btf->data;
            break;
        }
        btf->data = data;
        got = read(fd, data + btf->size, capacity - btf->size);
        btf->size += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    error = got < 0 ? -errno : error;
    close(fd);
    return error;
}

static int index_types(struct ti_btf *btf, size_t types_size)
{
    size_t capacity = 0;
    for (size_t at = 0; at < types_size;) {
        const struct type *type = (const struct type *)(btf->types + at);
        if (types_size - at < sizeof *type || tail_size(type) > types_size - at - sizeof *type) {
            return -EBADMSG;
        }
        uint32_t *offsets = ti_array_room(btf->offsets, &capacity, btf->count, 1, sizeof *offsets);
        if (!offsets) {
            return -ENOMEM;
        }
        btf->offsets = offsets;
        offsets[btf->count++] = (uint32_t)at;
        at += sizeof *type + tail_size(type);
    }
    return 0;
}

static int parse(struct ti_btf *btf)
{
    const struct header *header = (const struct header *)btf->data;
    if (btf->size < sizeof *header || header->magic != MAGIC || header->header_size < sizeof *header) {
        return -EBADMSG;
    }
    uint64_t types = (uint64_t)header->header_size + header->types_offset;
    uint64_t strings = (uint64_t)header->header_size + header->strings_offset;
    if (types % 4 != 0 || types + header->types_size > btf->size || strings + header->strings_size > btf->size ||
        header->strings_size == 0 || btf->data[strings + header->strings_size - 1] != 0) {
        return -EBADMSG;
    }
    btf->types = btf->data + types;
    btf->strings = (const char *)btf->data + strings;
    btf->strings_size = header->strings_size;
    return index_types(btf, header->types_size);
}

int ti_btf_open(struct ti_btf *btf, const char *path)
{
    *btf = (struct ti_btf){0};
    int error = read_file(btf, path);
    error = error ? error : parse(btf);
    if (error) {
        ti_btf_close(btf);
    }
    return error;
}

void ti_btf_close(struct ti_btf *btf)
{
    free(btf->data);
    free(btf->offsets);
    *btf = (struct ti_btf){0};
}

uint32_t ti_btf_find(const struct ti_btf *btf, enum ti_btf_kind kind, const char *name)
{
    for (uint32_t id = 1; id <= btf->count; id++) {
        const struct type *type = type_at(btf, id);
        if (kind_of(type) == (uint32_t)kind && strcmp(string_at(btf, type->name), name) == 0) {
            return id;
        }
    }
    return 0;
}

uint32_t ti_btf_size(const struct ti_btf *btf, uint32_t id)
{
    const struct type *type = type_at(btf, id);
    return type && kind_of(type) == KIND_STRUCT ? type->size_or_type : 0;
}

/* The structure or union behind typedefs and qualifiers; NULL when it is something else. */
static const struct type *find_aggregate(const struct ti_btf *btf, uint32_t id)
{
    const struct type *type = type_at(btf, id);
    for (int depth = 0; type && depth < DEEPEST; depth++) {
        switch (kind_of(type)) {
        case KIND_STRUCT:
        case KIND_UNION:
            return type;
        case KIND_TYPEDEF:
        case KIND_VOLATILE:
        case KIND_CONST:
        case KIND_TYPE_TAG:
            type = type_at(btf, type->size_or_type);
            break;
        default:
            return NULL;
        }
    }
    return NULL;
}

/* `kind_flag`, the top bit of info: the offset's high byte is then a bit field's width. */
static uint32_t bit_offset(const struct type *type, const struct member *member)
{
    return type->info >> 31 ? member->offset & 0xFFFFFF : member->offset;
}

static int64_t member_bits(const struct ti_btf *btf, const struct type *type, const char *path, int depth)
{
    size_t length = strcspn(path, ".");
    const struct member *members = (const struct member *)(type + 1);
    for (uint32_t index = 0; depth < DEEPEST && index < item_count(type); index++) {
        const char *name = string_at(btf, members[index].name);
        bool named = strlen(name) == length && strncmp(name, path, length) == 0;
        if (named && !path[length]) {
            return bit_offset(type, &members[index]);
        }
        const struct type *inner = named || !*name ? find_aggregate(btf, members[index].type) : NULL;
        int64_t bits = inner ? member_bits(btf, inner, named ? path + length + 1 : path, depth + 1) : -1;
        if (bits >= 0) {
            return bit_offset(type, &members[index]) + bits;
        }
    }
    return -1;
}

int64_t ti_btf_member(const struct ti_btf *btf, uint32_t id, const char *path)
{
    const struct type *type = find_aggregate(btf, id);
    int64_t bits = type ? member_bits(btf, type, path, 0) : -1;
    return bits >= 0 && bits % 8 == 0 ? bits / 8 : -1;
}
