/* `Loan`: a buffer lent to the threads of a scope; itself a buffer for the thread that holds it. */
#include "scope_python.h"

/* Bytes may be moved and shared: what they mean is up to the loan's holder. */
static const ti_type BUFFER_TYPE = {sizeof(ti_type), "Python buffer", TI_TYPE_SEND | TI_TYPE_SYNC};

static struct scope_loan *find_conflict(const struct scope_module *module, const Py_buffer *source, bool writable)
{
    const char *low = source->buf;
    const char *high = low + source->len;
    for (struct scope_loan *loan = module->lent; loan != NULL; loan = loan->next) {
        const char *lent = loan->source.buf;
        if ((writable || loan->writable) && lent < high && low < lent + loan->source.len) {
            return loan;
        }
    }
    return NULL;
}

static PyObject *raise_conflict(const struct scope_module *module, const struct scope_loan *loan)
{
    PyErr_Format(module->borrow_error,
                 "%zd bytes at %p are lent %s since %U: end that loan first, or lend a range that does not overlap",
                 loan->source.len, loan->source.buf, loan->writable ? "exclusively" : "for reading", loan->where);
    return NULL;
}

static void enlist(struct scope_module *module, struct scope_loan *self)
{
    self->alive = true;
    self->next = module->lent;
    module->lent = self;
}

static void forget(struct scope_module *module, struct scope_loan *self)
{
    struct scope_loan **link = &module->lent;
    while (*link != NULL && *link != self) {
        link = &(*link)->next;
    }
    if (*link == self) {
        *link = self->next;
    }
}

/* The buffer goes back when the loan has ended and the last view of it is gone: until then the memory must stay. */
static void release_source(struct scope_loan *self)
{
    if (!self->alive && self->views == 0 && self->source.obj != NULL) {
        PyBuffer_Release(&self->source);
    }
}

static ti_status lend(struct scope_loan *self, ti_scope scope)
{
    ti_status status = ti_cell_create(scope, self->source.buf, (size_t)self->source.len, &BUFFER_TYPE, &self->cell);
    if (status != TI_OK) {
        return status;
    }
    void *bytes;
    const void *read_only;
    status = self->writable ? ti_cell_borrow_mut(self->cell, 0, 0, &self->loan, &bytes, NULL)
                            : ti_cell_borrow(self->cell, 0, 0, &self->loan, &read_only, NULL);
    if (status != TI_OK) {
        ti_cell_end(self->cell);
    }
    return status;
}

static PyObject *loan_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"frame", "buffer", "writable", "where", NULL};
    struct scope_module *module = PyType_GetModuleState(type);
    struct scope_frame *frame;
    PyObject *buffer;
    int writable;
    PyObject *where;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OpU:Loan", names, module->frame_type, &frame, &buffer,
                                     &writable, &where)) {
        return NULL;
    }
    PyObject *(*allocate)(PyTypeObject *, Py_ssize_t) = PyType_GetSlot(type, Py_tp_alloc);
    struct scope_loan *self = (struct scope_loan *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->where = Py_NewRef(where);
    self->writable = writable != 0;
    int flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(buffer, &self->source, flags) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    struct scope_loan *conflict = find_conflict(module, &self->source, self->writable);
    ti_status status = conflict == NULL ? lend(self, frame->scope) : TI_OK;
    if (conflict != NULL || status != TI_OK) {
        /* First: giving the buffer back may run Python, which may end the loan that stands in the way. */
        PyObject *nothing =
            conflict != NULL ? raise_conflict(module, conflict) : ti_scope_raise(module, status, "lending a buffer");
        Py_DECREF(self);
        return nothing;
    }
    enlist(module, self);
    return (PyObject *)self;
}

/* One more loan of the same bytes, held by the caller. */
static PyObject *loan_share(struct scope_loan *self, PyObject *ignored)
{
    (void)ignored;
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    struct scope_module *module = ti_scope_module_of((PyObject *)self);
    const void *bytes;
    ti_status status = self->alive && !self->writable ? ti_loan_data(self->loan, &bytes, NULL) : TI_ESTALE;
    if (status != TI_OK) {
        return ti_scope_raise(module, status, "sharing a loan");
    }
    PyObject *(*allocate)(PyTypeObject *, Py_ssize_t) = PyType_GetSlot(type, Py_tp_alloc);
    struct scope_loan *other = (struct scope_loan *)allocate(type, 0);
    if (other == NULL || PyObject_GetBuffer(self->source.obj, &other->source, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
        Py_XDECREF((PyObject *)other);
        return NULL;
    }
    other->where = Py_NewRef(self->where);
    other->cell = self->cell;
    status = ti_cell_borrow(other->cell, 0, 0, &other->loan, &bytes, NULL);
    if (status != TI_OK) {
        Py_DECREF((PyObject *)other);
        return ti_scope_raise(module, status, "sharing a loan");
    }
    enlist(module, other);
    return (PyObject *)other;
}

static void end_loan(struct scope_loan *self)
{
    if (self->alive) {
        forget(ti_scope_module_of((PyObject *)self), self);
        self->alive = false;
        ti_loan_end(self->loan);
        ti_cell_end(self->cell); /* refused while others share it, or to another thread: then it ends with the scope */
    }
    release_source(self);
}

static PyObject *loan_end(struct scope_loan *self, PyObject *ignored)
{
    (void)ignored;
    if (self->alive && self->views != 0) {
        PyErr_Format(ti_scope_module_of((PyObject *)self)->borrow_error,
                     "the loan of %U still has %zd view(s): release them before it ends", self->where, self->views);
        return NULL;
    }
    end_loan(self);
    Py_RETURN_NONE;
}

/* The scope is over, and with it the loan; how many views outlive it. */
static PyObject *loan_expire(struct scope_loan *self, PyObject *ignored)
{
    (void)ignored;
    Py_ssize_t views = self->alive ? self->views : 0;
    end_loan(self);
    return PyLong_FromSsize_t(views);
}

bool ti_loans_are_loans(const struct scope_module *module, PyObject *loans)
{
    for (Py_ssize_t index = 0; index < PyTuple_Size(loans); index++) {
        if (!PyObject_TypeCheck(PyTuple_GetItem(loans, index), module->loan_type)) {
            PyErr_SetString(PyExc_TypeError, "what a thread is given with its arguments are loans");
            return false;
        }
    }
    return true;
}

ti_status ti_loans_give(PyObject *loans, ti_thread receiver)
{
    ti_status status = TI_OK;
    for (Py_ssize_t index = 0; status == TI_OK && index < PyTuple_Size(loans); index++) {
        status = ti_loan_give(((struct scope_loan *)PyTuple_GetItem(loans, index))->loan, receiver);
    }
    return status;
}

/* May the calling thread look at the bytes? */
static bool may_view(struct scope_loan *self, int flags)
{
    struct scope_module *module = ti_scope_module_of((PyObject *)self);
    if ((flags & PyBUF_WRITABLE) != 0 && !self->writable) {
        PyErr_SetString(PyExc_BufferError, "the loan is for reading: lend with mutable=True to write");
        return false;
    }
    if (!self->alive) {
        PyErr_Format(module->borrow_error, "the loan of %U has ended", self->where);
        return false;
    }
    const void *bytes;
    ti_status status = ti_loan_data(self->loan, &bytes, NULL);
    if (status != TI_OK) {
        PyErr_Format(module->borrow_error, "the loan of %U is held by another thread, or has ended", self->where);
        return false;
    }
    return true;
}

static int loan_getbuffer(struct scope_loan *self, Py_buffer *view, int flags)
{
    view->obj = NULL;
    if (!may_view(self, flags)) {
        return -1;
    }
    if ((flags & PyBUF_ND) == 0) {
        if (PyBuffer_FillInfo(view, (PyObject *)self, self->source.buf, self->source.len, !self->writable, flags) < 0) {
            return -1;
        }
    } else {
        /* Shape, strides and format are the source's own, which lives as long as any view. */
        *view = self->source;
        view->obj = Py_NewRef((PyObject *)self);
        view->readonly = !self->writable;
        view->format = (flags & PyBUF_FORMAT) != 0 ? self->source.format : NULL;
        view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->source.strides : NULL;
        view->internal = NULL;
    }
    self->views++;
    return 0;
}

static void loan_releasebuffer(struct scope_loan *self, Py_buffer *view)
{
    (void)view;
    self->views--;
    release_source(self);
}

static PyObject *loan_held(struct scope_loan *self, void *closure)
{
    (void)closure;
    const void *bytes;
    return PyBool_FromLong(self->alive && ti_loan_data(self->loan, &bytes, NULL) == TI_OK);
}

static PyObject *loan_alive(struct scope_loan *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(self->alive);
}

static PyObject *loan_writable(struct scope_loan *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(self->writable);
}

static PyObject *loan_range(struct scope_loan *self, void *closure)
{
    (void)closure;
    unsigned long long low = (uintptr_t)self->source.buf;
    return Py_BuildValue("(KK)", low, low + (unsigned long long)self->source.len);
}

static int loan_traverse(struct scope_loan *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->source.obj);
    return 0;
}

static void loan_dealloc(struct scope_loan *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    end_loan(self); /* a guard that goes away ends its loan; views hold references, so there are none */
    Py_CLEAR(self->where);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"end", (PyCFunction)loan_end, METH_NOARGS,
     "end($self, /)\n--\n\nEnds the loan; BorrowError while views of it are in use."},
    {"expire", (PyCFunction)loan_expire, METH_NOARGS,
     "expire($self, /)\n--\n\nEnds the loan with its scope; how many views outlive it."},
    {"share", (PyCFunction)loan_share, METH_NOARGS,
     "share($self, /)\n--\n\nOne more loan of the same bytes, for reading."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef GETTERS[] = {
    {"alive", (getter)loan_alive, NULL, "It has not ended.", NULL},
    {"held", (getter)loan_held, NULL, "It has not ended, and the calling thread holds it.", NULL},
    {"writable", (getter)loan_writable, NULL, "It is exclusive.", NULL},
    {"range", (getter)loan_range, NULL, "The lent addresses: low, and one past the last.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_doc,
     "Loan(frame, buffer, writable, where)\n--\n\nLends a buffer to the frame's scope; the caller holds it."},
    {Py_tp_new, loan_new},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, GETTERS},
    {Py_tp_traverse, loan_traverse},
    {Py_tp_dealloc, loan_dealloc},
    {Py_bf_getbuffer, loan_getbuffer},
    {Py_bf_releasebuffer, loan_releasebuffer},
    {0, NULL},
};

PyType_Spec ti_loan_spec = {
    .name = "tinspect.native._scope.Loan",
    .basicsize = sizeof(struct scope_loan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = SLOTS,
};
