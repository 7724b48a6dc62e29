#include "bpf_layout.h"

#include "btf.h"

#include <errno.h>
#include <string.h>

#ifdef __aarch64__
#define THREAD_POINTER "thread.uw.tp_value"
#else
#define THREAD_POINTER "thread.fsbase"
#endif

/* What comes before the dot says how to learn what comes behind it; on_cpu is missing where a kernel knows one CPU
 * only, and signal actions are no reason to go without threads. */
static const struct {
    const char *name;
    bool optional;
} NUMBERS[TI_BPF_NUMBERS] = {
    [TI_TASK_FLAGS] = {"task_struct.flags", false},
    [TI_TASK_ON_CPU] = {"task_struct.on_cpu", true},
    [TI_TASK_GROUP_LEADER] = {"task_struct.group_leader", false},
    [TI_TASK_THREAD_PID] = {"task_struct.thread_pid", false},
    [TI_TASK_VOLUNTARY_SWITCHES] = {"task_struct.nvcsw", false},
    [TI_TASK_INVOLUNTARY_SWITCHES] = {"task_struct.nivcsw", false},
    [TI_TASK_SIGNAL] = {"task_struct.signal", false},
    [TI_TASK_ALTSTACK_SP] = {"task_struct.sas_ss_sp", false},
    [TI_TASK_ALTSTACK_SIZE] = {"task_struct.sas_ss_size", false},
    [TI_TASK_ALTSTACK_FLAGS] = {"task_struct.sas_ss_flags", false},
    [TI_TASK_THREAD_POINTER] = {"task_struct." THREAD_POINTER, true},
    [TI_PID_LEVEL] = {"pid.level", false},
    [TI_PID_NUMBERS] = {"pid.numbers", false},
    [TI_UPID_NUMBER] = {"upid.nr", false},
    [TI_UPID_SIZE] = {"sizeof.upid", false},
    [TI_SIGNAL_THREADS] = {"signal_struct.nr_threads", false},
    [TI_TASK_SIGNAL_HANDLERS] = {"task_struct.sighand", true},
    [TI_SIGNAL_HANDLERS_ACTIONS] = {"sighand_struct.action", true},
    [TI_ACTION_SIZE] = {"sizeof.k_sigaction", true},
    [TI_ACTION_HANDLER] = {"k_sigaction.sa.sa_handler", true},
    [TI_ACTION_FLAGS] = {"k_sigaction.sa.sa_flags", true},
    [TI_REGISTERS_SIZE] = {"sizeof.pt_regs", false},
    [TI_ITERATOR_FUNCTION] = {"function.bpf_iter_task", false},
};

const char *ti_bpf_number_name(enum ti_bpf_number number)
{
    return NUMBERS[number].name;
}

bool ti_bpf_number_is_needed(enum ti_bpf_number number)
{
    return !NUMBERS[number].optional;
}

static int64_t look_up(const struct ti_btf *btf, const char *name)
{
    char owner[32];
    size_t length = strcspn(name, ".");
    memcpy(owner, name, length);
    owner[length] = 0;
    const char *rest = name + length + 1;
    if (strcmp(owner, "function") == 0) {
        uint32_t id = ti_btf_find(btf, TI_BTF_FUNCTION, rest);
        return id ? (int64_t)id : -1;
    }
    if (strcmp(owner, "sizeof") == 0) {
        uint32_t size = ti_btf_size(btf, ti_btf_find(btf, TI_BTF_STRUCT, rest));
        return size ? (int64_t)size : -1;
    }
    return ti_btf_member(btf, ti_btf_find(btf, TI_BTF_STRUCT, owner), rest);
}

int ti_bpf_layout_read(struct ti_bpf_layout *layout, const char *path, enum ti_bpf_number *missing)
{
    struct ti_btf btf;
    int error = ti_btf_open(&btf, path);
    for (int number = 0; !error && number < TI_BPF_NUMBERS; number++) {
        layout->numbers[number] = look_up(&btf, NUMBERS[number].name);
        if (layout->numbers[number] < 0 && !NUMBERS[number].optional) {
            *missing = (enum ti_bpf_number)number;
            error = -ENODATA;
        }
    }
    ti_btf_close(&btf);
    return error;
}
