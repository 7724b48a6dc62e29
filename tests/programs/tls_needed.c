/* A library that tls_vars needs. */
__thread int needed_counter = 5;
__thread char needed_buffer[100];
