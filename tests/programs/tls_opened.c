/* A library that tls_vars loads by dlopen; its block is larger than the surplus of static storage, so it is dynamic. */
__thread char opened_filling[8192];
__thread int opened_counter = 3;
int *opened_counter_address(void);
int *opened_counter_address(void)
{
    return &opened_counter;
}
