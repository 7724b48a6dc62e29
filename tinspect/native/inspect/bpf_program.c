#include "bpf_program.h"

#include <assert.h>

/* What each register holds all through the program; R0 to R5 are the helpers'. */
enum {
    TASK = BPF_REG_6,
    SEQUENCE = BPF_REG_7,
    NUMBER_OFFSET = BPF_REG_8, /* from a struct pid to the number it has in the reader's namespace */
    LENGTH = BPF_REG_9,
    RESULT = BPF_REG_0,
};

enum {
    RECORD_AT =
        -(int)sizeof(struct ti_bpf_record), /* the registers must lie behind it, so it moves down by their size */
    DEEPEST_NAMESPACE = 32,                 /* MAX_PID_NS_LEVEL, include/linux/pid_namespace.h */
};

/* include/linux/sched.h: threads of the kernel's own, which share a process but have no user registers. */
#define KERNEL_THREAD_FLAGS (0x00200000 | 0x00004000 | 0x00000010) /* PF_KTHREAD, PF_USER_WORKER, PF_IO_WORKER */

static void add(struct ti_bpf_program *program, uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value)
{
    assert(program->count < TI_BPF_MOST_INSTRUCTIONS);
    program->code[program->count++] =
        (struct bpf_insn){.code = code, .dst_reg = to & 15, .src_reg = from & 15, .off = offset, .imm = value};
}

static void load(struct ti_bpf_program *program, int size, int to, int from, int64_t offset)
{
    add(program, (uint8_t)(BPF_LDX | BPF_MEM | size), (uint8_t)to, (uint8_t)from, (int16_t)offset, 0);
}

static void store(struct ti_bpf_program *program, int size, int at, int from)
{
    add(program, (uint8_t)(BPF_STX | BPF_MEM | size), BPF_REG_10, (uint8_t)from, (int16_t)at, 0);
}

static void store_number(struct ti_bpf_program *program, int size, int at, int32_t value)
{
    add(program, (uint8_t)(BPF_ST | BPF_MEM | size), BPF_REG_10, 0, (int16_t)at, value);
}

static void copy(struct ti_bpf_program *program, int to, int from)
{
    add(program, BPF_ALU64 | BPF_MOV | BPF_X, (uint8_t)to, (uint8_t)from, 0, 0);
}

static void set(struct ti_bpf_program *program, int to, int32_t value)
{
    add(program, BPF_ALU64 | BPF_MOV | BPF_K, (uint8_t)to, 0, 0, value);
}

static void add_number(struct ti_bpf_program *program, int to, int64_t value)
{
    add(program, BPF_ALU64 | BPF_ADD | BPF_K, (uint8_t)to, 0, 0, (int32_t)value);
}

static void call(struct ti_bpf_program *program, int32_t helper)
{
    add(program, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* Jumps whose target comes later: land() makes those noted since lead here. */
static size_t jump_if(struct ti_bpf_program *program, int operation, int left, int32_t right)
{
    add(program, (uint8_t)(BPF_JMP | operation | BPF_K), (uint8_t)left, 0, 0, right);
    return program->count - 1;
}

static void land(struct ti_bpf_program *program, size_t jump)
{
    program->code[jump].off = (int16_t)(program->count - jump - 1);
}

/*
 * Copies `size` bytes of kernel memory from address R3 to the program's stack at `at`. A bad address gives zeros: the
 * helper fills them in, so a thread that ends meanwhile harms nothing.
 */
static void read_kernel(struct ti_bpf_program *program, int at, int32_t size)
{
    copy(program, BPF_REG_1, BPF_REG_10);
    add_number(program, BPF_REG_1, at);
    set(program, BPF_REG_2, size);
    call(program, BPF_FUNC_probe_read_kernel);
}

/* R3 = the pointer at `base` + `offset`, by way of the stack: so the verifier takes it for a plain number. */
static void follow(struct ti_bpf_program *program, int scratch, int base, int64_t offset)
{
    if (base != BPF_REG_3) {
        copy(program, BPF_REG_3, base);
    }
    add_number(program, BPF_REG_3, offset);
    read_kernel(program, scratch, 8);
    load(program, BPF_DW, BPF_REG_3, BPF_REG_10, scratch);
}

/* RESULT = the number of the struct pid at R3 in the reader's namespace, 0 if it has none there. */
static void read_number(struct ti_bpf_program *program, int scratch)
{
    add(program, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_3, NUMBER_OFFSET, 0, 0);
    read_kernel(program, scratch, 4);
    load(program, BPF_W, RESULT, BPF_REG_10, scratch);
}

/* The reader itself tells how deep its namespace is: `current`, the process that reads the iterator. */
static void find_namespace(struct ti_bpf_program *program, const int64_t *numbers, int scratch)
{
    call(program, BPF_FUNC_get_current_task_btf);
    follow(program, scratch, RESULT, numbers[TI_TASK_THREAD_PID]);
    add_number(program, BPF_REG_3, numbers[TI_PID_LEVEL]);
    read_kernel(program, scratch, 4);
    load(program, BPF_W, NUMBER_OFFSET, BPF_REG_10, scratch);
    add(program, BPF_ALU64 | BPF_AND | BPF_K, NUMBER_OFFSET, 0, 0, DEEPEST_NAMESPACE * 2 - 1);
    add(program, BPF_ALU64 | BPF_MUL | BPF_K, NUMBER_OFFSET, 0, 0, (int32_t)numbers[TI_UPID_SIZE]);
    add_number(program, NUMBER_OFFSET, numbers[TI_PID_NUMBERS] + numbers[TI_UPID_NUMBER]);
}

static void copy_member(struct ti_bpf_program *program, int size, int at, int64_t offset)
{
    load(program, size, BPF_REG_1, TASK, offset);
    store(program, size, at, BPF_REG_1);
}

static void fill_record(struct ti_bpf_program *program, const int64_t *numbers, int record)
{
    const int on_cpu = record + (int)offsetof(struct ti_bpf_record, on_cpu);
    if (numbers[TI_TASK_ON_CPU] >= 0) {
        copy_member(program, BPF_W, on_cpu, numbers[TI_TASK_ON_CPU]);
    } else {
        store_number(program, BPF_W, on_cpu, 0); /* one CPU, and it runs the reader */
    }
    copy_member(program, BPF_DW, record + (int)offsetof(struct ti_bpf_record, voluntary_switches),
                numbers[TI_TASK_VOLUNTARY_SWITCHES]);
    copy_member(program, BPF_DW, record + (int)offsetof(struct ti_bpf_record, involuntary_switches),
                numbers[TI_TASK_INVOLUNTARY_SWITCHES]);
    copy_member(program, BPF_DW, record + (int)offsetof(struct ti_bpf_record, altstack_sp),
                numbers[TI_TASK_ALTSTACK_SP]);
    copy_member(program, BPF_DW, record + (int)offsetof(struct ti_bpf_record, altstack_size),
                numbers[TI_TASK_ALTSTACK_SIZE]);
    copy_member(program, BPF_W, record + (int)offsetof(struct ti_bpf_record, altstack_flags),
                numbers[TI_TASK_ALTSTACK_FLAGS]);
    load(program, BPF_DW, BPF_REG_1, TASK, numbers[TI_TASK_SIGNAL]);
    load(program, BPF_W, BPF_REG_1, BPF_REG_1, numbers[TI_SIGNAL_THREADS]);
    store(program, BPF_W, record + (int)offsetof(struct ti_bpf_record, threads), BPF_REG_1);
    const int thread_pointer = record + (int)offsetof(struct ti_bpf_record, thread_pointer);
    if (numbers[TI_TASK_THREAD_POINTER] >= 0) {
        copy_member(program, BPF_DW, thread_pointer, numbers[TI_TASK_THREAD_POINTER]);
    } else {
        store_number(program, BPF_DW, thread_pointer, 0);
    }
}

/* Puts the registers behind the record, unless the thread is one of the kernel's. */
static void copy_registers(struct ti_bpf_program *program, const int64_t *numbers, int record)
{
    const int32_t size = (int32_t)numbers[TI_REGISTERS_SIZE];
    load(program, BPF_W, BPF_REG_1, TASK, numbers[TI_TASK_FLAGS]);
    size_t skip = jump_if(program, BPF_JSET, BPF_REG_1, KERNEL_THREAD_FLAGS);
    copy(program, BPF_REG_1, TASK);
    call(program, BPF_FUNC_task_pt_regs);
    copy(program, BPF_REG_3, RESULT);
    read_kernel(program, record + (int)sizeof(struct ti_bpf_record), size);
    store_number(program, BPF_DW, record + (int)offsetof(struct ti_bpf_record, has_registers), 1);
    set(program, LENGTH, (int32_t)sizeof(struct ti_bpf_record) + size);
    land(program, skip);
}

/* Puts TASK and SEQUENCE in place. The jump is for the call at the end of the iteration, which has no task.
 *
 * R1: struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }, meta begins with the seq_file.
 */
static size_t begin(struct ti_bpf_program *program)
{
    program->count = 0;
    load(program, BPF_DW, TASK, BPF_REG_1, 8);
    size_t no_task = jump_if(program, BPF_JEQ, TASK, 0);
    load(program, BPF_DW, BPF_REG_2, BPF_REG_1, 0);
    load(program, BPF_DW, SEQUENCE, BPF_REG_2, 0);
    return no_task;
}

/* When the buffer is full, the kernel drops what this thread wrote and comes back to it in the next read. */
static void write_stack(struct ti_bpf_program *program, int at)
{
    copy(program, BPF_REG_1, SEQUENCE);
    copy(program, BPF_REG_2, BPF_REG_10);
    add_number(program, BPF_REG_2, at);
    copy(program, BPF_REG_3, LENGTH);
    call(program, BPF_FUNC_seq_write);
}

static void end(struct ti_bpf_program *program)
{
    set(program, RESULT, 0);
    add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void ti_bpf_program_make(struct ti_bpf_program *program, const struct ti_bpf_layout *layout, pid_t pid, bool registers)
{
    const int64_t *numbers = layout->numbers;
    const int record = RECORD_AT - (registers ? (int)(numbers[TI_REGISTERS_SIZE] + 7) / 8 * 8 : 0);
    const int scratch = record - TI_BPF_SCRATCH;
    size_t no_task = begin(program);
    find_namespace(program, numbers, scratch);
    follow(program, scratch, TASK, numbers[TI_TASK_GROUP_LEADER]);
    follow(program, scratch, BPF_REG_3, numbers[TI_TASK_THREAD_PID]);
    read_number(program, scratch);
    size_t other_process = jump_if(program, BPF_JNE, RESULT, (int32_t)pid); /* before 6.1 all tasks come by */
    follow(program, scratch, TASK, numbers[TI_TASK_THREAD_PID]);
    read_number(program, scratch);
    size_t ended = jump_if(program, BPF_JEQ, RESULT, 0);
    store(program, BPF_W, record + (int)offsetof(struct ti_bpf_record, tid), RESULT);
    fill_record(program, numbers, record);
    store_number(program, BPF_DW, record + (int)offsetof(struct ti_bpf_record, has_registers), 0);
    set(program, LENGTH, (int32_t)sizeof(struct ti_bpf_record));
    if (registers) {
        copy_registers(program, numbers, record);
    }
    write_stack(program, record);
    land(program, no_task);
    land(program, other_process);
    land(program, ended);
    end(program);
}

void ti_bpf_actions_program_make(struct ti_bpf_program *program, const struct ti_bpf_layout *layout, pid_t pid)
{
    /* In parts that fit on the program's stack: the whole table is four times as large. */
    enum { PART = 8, PARTS = TI_SIGNALS / PART };
    const int64_t *numbers = layout->numbers;
    const int32_t size = (int32_t)numbers[TI_ACTION_SIZE] * PART;
    const int part = -(PART * TI_BPF_MOST_ACTION), scratch = part - TI_BPF_SCRATCH;
    size_t leave[PARTS + 3], leaving = 0;
    leave[leaving++] = begin(program);
    find_namespace(program, numbers, scratch);
    follow(program, scratch, TASK, numbers[TI_TASK_THREAD_PID]);
    read_number(program, scratch);
    leave[leaving++] = jump_if(program, BPF_JNE, RESULT, (int32_t)pid); /* all but the leader, who shares its table */
    follow(program, scratch, TASK, numbers[TI_TASK_SIGNAL_HANDLERS]);
    leave[leaving++] = jump_if(program, BPF_JEQ, BPF_REG_3, 0); /* it has ended */
    const int actions = NUMBER_OFFSET;                          /* no number is read from here on */
    copy(program, actions, BPF_REG_3);
    add_number(program, actions, numbers[TI_SIGNAL_HANDLERS_ACTIONS]);
    set(program, LENGTH, size);
    for (int index = 0; index < PARTS; index++) {
        copy(program, BPF_REG_3, actions);
        read_kernel(program, part, size);
        leave[leaving++] = jump_if(program, BPF_JNE, RESULT, 0);
        write_stack(program, part);
        add_number(program, actions, size);
    }
    while (leaving) {
        land(program, leave[--leaving]);
    }
    end(program);
}
