#include "bpf_actions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_READS = 8 };

static bool is_understood(const int64_t *numbers)
{
    const int64_t size = numbers[TI_ACTION_SIZE];
    return numbers[TI_TASK_SIGNAL_HANDLERS] >= 0 && numbers[TI_SIGNAL_HANDLERS_ACTIONS] >= 0 && size > 0 &&
           size <= TI_BPF_MOST_ACTION && numbers[TI_ACTION_HANDLER] >= 0 && numbers[TI_ACTION_HANDLER] + 8 <= size &&
           numbers[TI_ACTION_FLAGS] >= 0 && numbers[TI_ACTION_FLAGS] + 8 <= size;
}

static int read_once(int link, struct ti_bpf_output *output, const int64_t *numbers, struct ti_signal_action *actions,
                     struct ti_bpf_failure *failure)
{
    const size_t size = (size_t)numbers[TI_ACTION_SIZE];
    int error = ti_bpf_iterator_read(link, output, failure);
    if (error || output->size != size * TI_SIGNALS) {
        return error ? error : -ESRCH;
    }
    for (size_t index = 0; index < TI_SIGNALS; index++) {
        const uint8_t *action = output->bytes + size * index;
        memcpy(&actions[index].handler, action + numbers[TI_ACTION_HANDLER], 8);
        memcpy(&actions[index].flags, action + numbers[TI_ACTION_FLAGS], 8);
    }
    return 0;
}

/* The kernel changes an action under a lock that the program cannot take: what two reads in a row agree on was not
 * being changed in the first of them. */
static int read_settled(int link, struct ti_bpf_output *output, const int64_t *numbers,
                        struct ti_signal_action *actions, struct ti_bpf_failure *failure)
{
    struct ti_signal_action before[TI_SIGNALS];
    int error = read_once(link, output, numbers, actions, failure);
    for (int reads = 1; !error && reads < MOST_READS; reads++) {
        memcpy(before, actions, sizeof before);
        error = read_once(link, output, numbers, actions, failure);
        if (!error && memcmp(before, actions, sizeof before) == 0) {
            return 0;
        }
    }
    return error ? error : -EAGAIN;
}

int ti_bpf_actions_read(struct ti_signal_action actions[TI_SIGNALS], pid_t pid, const struct ti_bpf_layout *layout,
                        struct ti_bpf_failure *failure)
{
    *failure = (struct ti_bpf_failure){.step = "making the task iterator's program"};
    if (!is_understood(layout->numbers)) {
        return -ENODATA;
    }
    struct ti_bpf_program program;
    ti_bpf_actions_program_make(&program, layout, pid);
    int link = ti_bpf_iterator_open(&program, layout, pid, failure);
    if (link < 0) {
        return link;
    }
    struct ti_bpf_output output = {0};
    int error = read_settled(link, &output, layout->numbers, actions, failure);
    free(output.bytes);
    close(link);
    return error;
}
