#include "bpf_iterator.h"

#include "array.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOG_BYTES = 1 << 16, READ_BYTES = 1 << 16 };

static int bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
    long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
    return result < 0 ? -errno : (int)result;
}

/*
 * The verifier gives up with EAGAIN when it sees a signal pending (do_check() in kernel/bpf/verifier.c, Linux 6.1). So
 * none comes through while it is at work, some milliseconds; those that cannot be blocked, as SIGSTOP, do.
 */
static int load_undisturbed(union bpf_attr *attributes)
{
    enum { TRIES = 5 };
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int fd = -EAGAIN;
    for (int tries = 0; tries < TRIES && fd == -EAGAIN; tries++) {
        fd = bpf(BPF_PROG_LOAD, attributes);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fd;
}

static int load_once(const struct ti_bpf_program *program, const struct ti_bpf_layout *layout, char *log)
{
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_TRACING,
        .insn_cnt = (uint32_t)program->count,
        .insns = (uintptr_t)program->code,
        .license = (uintptr_t)"Dual MIT/GPL", /* bpf_probe_read_kernel and bpf_seq_write are for such programs only */
        .prog_name = "tinspect_tasks",
        .expected_attach_type = BPF_TRACE_ITER,
        .attach_btf_id = (uint32_t)layout->numbers[TI_ITERATOR_FUNCTION],
    };
    if (log) {
        attributes.log_level = 1;
        attributes.log_size = LOG_BYTES;
        attributes.log_buf = (uintptr_t)log;
    }
    return load_undisturbed(&attributes);
}

/* The verifier's verdict is its last line but the statistics. */
static void keep_verdict(char *log, struct ti_bpf_failure *failure)
{
    char *statistics = strstr(log, "\nprocessed ");
    if (statistics) {
        *statistics = 0;
    }
    size_t length = strlen(log);
    while (length && log[length - 1] == '\n') {
        log[--length] = 0;
    }
    char *line = strrchr(log, '\n');
    snprintf(failure->log, sizeof failure->log, "%s", line ? line + 1 : log);
}

static int load_program(const struct ti_bpf_program *program, const struct ti_bpf_layout *layout,
                        struct ti_bpf_failure *failure)
{
    failure->step = "loading the task iterator's program";
    int fd = load_once(program, layout, NULL);
    if (fd >= 0 || fd == -EPERM || fd == -ENOSYS) {
        return fd;
    }
    char *log = calloc(1, LOG_BYTES);
    if (log) {
        fd = load_once(program, layout, log);
        keep_verdict(log, failure);
        free(log);
    }
    return fd;
}

/* From Linux 6.1 the kernel visits this process only; older ones refuse the argument (E2BIG, EINVAL) and visit all. */
static int create_link(int program, pid_t pid)
{
    uint32_t only[4] = {0, (uint32_t)pid}; /* union bpf_iter_link_info's task: tid, pid, pid_fd */
    union bpf_attr attributes = {.link_create = {
                                     .prog_fd = (uint32_t)program,
                                     .attach_type = BPF_TRACE_ITER,
                                     .iter_info = (uintptr_t)only,
                                     .iter_info_len = sizeof only,
                                 }};
    int fd = bpf(BPF_LINK_CREATE, &attributes);
    if (fd == -E2BIG || fd == -EINVAL) {
        attributes.link_create.iter_info = 0;
        attributes.link_create.iter_info_len = 0;
        fd = bpf(BPF_LINK_CREATE, &attributes);
    }
    return fd;
}

static int read_all(struct ti_bpf_output *output, int iterator)
{
    for (;;) {
        uint8_t *bytes = ti_array_room(output->bytes, &output->capacity, output->size, READ_BYTES, 1);
        if (!bytes) {
            return -ENOMEM;
        }
        output->bytes = bytes;
        ssize_t got = read(iterator, bytes + output->size, output->capacity - output->size);
        if (got == 0) {
            return 0;
        }
        if (got < 0 && errno != EINTR && errno != EAGAIN) { /* EAGAIN: a million threads of others passed over; go on */
            return -errno;
        }
        output->size += got > 0 ? (size_t)got : 0;
    }
}

int ti_bpf_iterator_open(const struct ti_bpf_program *program, const struct ti_bpf_layout *layout, pid_t pid,
                         struct ti_bpf_failure *failure)
{
    int program_fd = load_program(program, layout, failure);
    if (program_fd < 0) {
        return program_fd;
    }
    failure->step = "attaching the task iterator";
    int link = create_link(program_fd, pid);
    close(program_fd); /* the link keeps it */
    return link;
}

int ti_bpf_iterator_read(int link, struct ti_bpf_output *output, struct ti_bpf_failure *failure)
{
    union bpf_attr attributes = {.iter_create = {.link_fd = (uint32_t)link}};
    output->size = 0;
    failure->step = "opening the task iterator";
    int iterator = bpf(BPF_ITER_CREATE, &attributes);
    if (iterator < 0) {
        return iterator;
    }
    failure->step = "reading the task iterator";
    int error = read_all(output, iterator);
    close(iterator);
    return error;
}
