/* The smallest harness: a program lists its tests with --list and runs one by name (exit status 0: passed). */
#ifndef TI_TEST_HARNESS_H
#define TI_TEST_HARNESS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ti_test {
    const char *name;
    void (*run)(void);
};

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: CHECK(%s) failed in %s\n", __FILE__, __LINE__, #condition, __func__);              \
            fflush(stderr);                                                                                            \
            _Exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

#define CHECK_EQUAL(left, right)                                                                                       \
    do {                                                                                                               \
        long long left_ = (long long)(left);                                                                           \
        long long right_ = (long long)(right);                                                                         \
        if (left_ != right_) {                                                                                         \
            fprintf(stderr, "%s:%d: %s is %lld, not %s (%lld) in %s\n", __FILE__, __LINE__, #left, left_, #right,      \
                    right_, __func__);                                                                                 \
            fflush(stderr);                                                                                            \
            _Exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

#define TEST(name) {#name, name}

/* Put at the end of a file: TEST_MAIN(TEST(one), TEST(two)) */
#define TEST_MAIN(...)                                                                                                 \
    static const struct ti_test ti_tests[] = {__VA_ARGS__};                                                            \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        size_t count = sizeof ti_tests / sizeof ti_tests[0];                                                           \
        for (size_t i = 0; i < count; i++) {                                                                           \
            if (argc == 2 && strcmp(argv[1], "--list") == 0) {                                                         \
                puts(ti_tests[i].name);                                                                                \
            } else if (argc == 2 && strcmp(argv[1], ti_tests[i].name) == 0) {                                          \
                ti_tests[i].run();                                                                                     \
                return 0;                                                                                              \
            }                                                                                                          \
        }                                                                                                              \
        return argc == 2 && strcmp(argv[1], "--list") == 0 ? 0 : 2;                                                    \
    }

#endif
