/* What fork does to the runtime. */
#ifndef TI_FORKS_H
#define TI_FORKS_H

/* From now on forks find the runtime in order. Called once, when the registry is mapped. */
void ti_watch_forks(void);

#endif
