#include "bpf_tasks.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_TRIES = 4 };

const struct ti_bpf_record *ti_bpf_tasks_next(const struct ti_bpf_tasks *tasks, size_t *offset)
{
    if (tasks->output.size - *offset < sizeof(struct ti_bpf_record)) {
        return NULL;
    }
    /* Both sizes are multiples of 8, so every record is aligned. */
    const struct ti_bpf_record *record = (const struct ti_bpf_record *)(tasks->output.bytes + *offset);
    size_t length = sizeof *record + (record->has_registers ? tasks->registers_size : 0);
    if (tasks->output.size - *offset < length) {
        return NULL;
    }
    *offset += length;
    return record;
}

/* Counts the records. True if a thread that ended has cut the walk short: the kernel goes on from the last one it saw.
 */
static bool count_records(struct ti_bpf_tasks *tasks)
{
    size_t offset = 0, threads = 0;
    tasks->count = 0;
    for (const struct ti_bpf_record *record; (record = ti_bpf_tasks_next(tasks, &offset));) {
        tasks->count++;
        threads = record->threads;
    }
    return tasks->count < threads;
}

static int iterate(struct ti_bpf_tasks *tasks, int link, struct ti_bpf_failure *failure)
{
    bool cut_short = true;
    for (int try = 0; cut_short && try < MOST_TRIES; try++) {
        int error = ti_bpf_iterator_read(link, &tasks->output, failure);
        if (error) {
            return error;
        }
        cut_short = count_records(tasks);
    }
    return tasks->count ? 0 : -ESRCH;
}

int ti_bpf_tasks_read(struct ti_bpf_tasks *tasks, pid_t pid, const struct ti_bpf_layout *layout, bool registers,
                      struct ti_bpf_failure *failure)
{
    *tasks = (struct ti_bpf_tasks){.registers_size = (size_t)layout->numbers[TI_REGISTERS_SIZE]};
    *failure = (struct ti_bpf_failure){.step = "making the task iterator's program"};
    if (registers && (tasks->registers_size > TI_BPF_MOST_REGISTERS || tasks->registers_size % 8 != 0)) {
        return -EOVERFLOW;
    }
    struct ti_bpf_program program;
    ti_bpf_program_make(&program, layout, pid, registers);
    int link = ti_bpf_iterator_open(&program, layout, pid, failure);
    if (link < 0) {
        return link;
    }
    int error = iterate(tasks, link, failure);
    close(link);
    return error;
}

void ti_bpf_tasks_free(struct ti_bpf_tasks *tasks)
{
    free(tasks->output.bytes);
    *tasks = (struct ti_bpf_tasks){0};
}
