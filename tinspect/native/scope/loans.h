/* What cells and loans share. */
#ifndef TI_LOANS_H
#define TI_LOANS_H

#include "slots.h"

/* Ends every cell of a scope, and every loan. Called by its owner, when no child is left. */
void ti_loans_end_with(struct ti_scope_slot *scope);

/* The cell, with its scope's lock held; NULL (and no lock) when it is stale. */
struct ti_cell_slot *ti_cell_lock(ti_cell handle);

#endif
