// The C++ header: values, exceptions and forced unwinds across threads.
#include <atomic>
#include <memory>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness.h"
#include "tinspect/scope.hpp"
#include "tinspect/sync.h"

static void locals_are_lent_to_children()
{
    std::vector<int> numbers = {1, 2, 3};
    int sum = 0;
    ti::scope("lend", [&](ti::scope_ref s) {
        auto first = s.spawn([&] { return numbers[0] + numbers[1]; });
        auto second = s.spawn([&] { return numbers[2]; });
        sum = first.join() + second.join();
    });
    CHECK_EQUAL(sum, 6);
}

static void a_scope_returns_its_bodys_value()
{
    std::string text =
        ti::scope([](ti::scope_ref s) { return s.spawn([] { return std::string("from a child"); }).join(); });
    CHECK(text == "from a child");
}

static void children_that_nobody_joins_are_joined()
{
    std::atomic<int> count{0};
    ti::scope([&](ti::scope_ref s) {
        for (int i = 0; i < 8; i++) {
            s.spawn([&] {
                count++;
                return std::make_unique<int>(7); // dropped by the child
            });
        }
    });
    CHECK_EQUAL(count.load(), 8);
}

struct own_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

static void exceptions_arrive_at_join()
{
    bool seen = false;
    ti::scope([&](ti::scope_ref s) {
        auto child = s.spawn([]() -> int { throw own_error("in the child"); });
        try {
            child.join();
        } catch (const own_error &error) {
            seen = std::string(error.what()) == "in the child";
        }
    });
    CHECK(seen);
}

static void an_unjoined_exception_arrives_at_the_scope()
{
    std::atomic<int> ran{0};
    bool seen = false;
    try {
        ti::scope([&](ti::scope_ref s) {
            s.spawn([] { throw own_error("nobody joins me"); });
            s.spawn([&] { ran++; });
        });
    } catch (const own_error &) {
        seen = true;
    }
    CHECK(seen);
    CHECK_EQUAL(ran.load(), 1);
}

static void several_exceptions_arrive_as_a_group()
{
    size_t count = 0;
    try {
        ti::scope([&](ti::scope_ref s) {
            for (int i = 0; i < 3; i++) {
                s.spawn([i] {
                    if (i == 0) {
                        throw 42; // no std::exception
                    }
                    throw own_error("one of them");
                });
            }
        });
    } catch (const ti::panic_group &group) {
        count = group.errors().size();
    }
    CHECK_EQUAL(count, 3);
}

static void the_bodys_exception_comes_first()
{
    std::atomic<int> ended{0};
    std::string seen;
    try {
        ti::scope([&](ti::scope_ref s) {
            s.spawn([&] {
                ti_yield();
                ended++;
                throw own_error("child");
            });
            throw std::logic_error("body");
        });
    } catch (const std::logic_error &error) {
        seen = error.what();
        CHECK_EQUAL(ended.load(), 1); // after all joins
    }
    CHECK(seen == "body");
}

static void quiet(const ti_panic_view *view)
{
    (void)view;
}

struct counts_down {
    std::atomic<int> &count;
    ~counts_down()
    {
        count--;
    }
};

static void panics_of_c_run_destructors_and_arrive_as_panic_error()
{
    ti_set_panic_hook(quiet);
    std::atomic<int> alive{1};
    std::string message;
    try {
        ti::scope([&](ti::scope_ref s) {
            s.spawn([&] {
                counts_down guard{alive};
                ti_panic("from C, number %d", 7);
            });
        });
    } catch (const ti::panic_error &error) {
        message = error.what();
        CHECK(error.thread_id() != 0);
    }
    CHECK(message == "from C, number 7");
    CHECK_EQUAL(alive.load(), 0);
}

static void pthread_exit_goes_through()
{
    std::atomic<int> alive{2};
    bool seen = false;
    ti::scope([&](ti::scope_ref s) {
        auto child = s.spawn([&] {
            counts_down guard{alive};
            ti::scope([&](ti::scope_ref inner) {
                counts_down second{alive};
                inner.spawn([] {});
                pthread_exit(nullptr);
            });
        });
        try {
            child.join();
        } catch (const ti::status_error &error) {
            seen = error.status() == TI_ETERMINATED;
        }
    });
    CHECK(seen);
    CHECK_EQUAL(alive.load(), 0);
}

static void move_only_closures_and_results()
{
    auto value = std::make_unique<int>(5);
    auto handle = ti::spawn([value = std::move(value)]() mutable { return std::move(value); });
    CHECK_EQUAL(*handle.join(), 5);
    auto again = ti::spawn([] { return 1; });
    auto moved = std::move(again);
    CHECK_EQUAL(moved.join(), 1);
    bool stale = false;
    try {
        moved.join();
    } catch (const ti::status_error &error) {
        stale = error.status() == TI_ESTALE;
    }
    CHECK(stale);
}

static void names_and_closing()
{
    ti::scope("named", TI_SCOPE_FAIL_FAST, [&](ti::scope_ref s) {
        ti::spawn_options options;
        options.name = "a child";
        auto name = s.spawn(options, [] {
            char text[32];
            ti_thread_name(ti_current(), text, sizeof text, nullptr);
            return std::string(text);
        });
        CHECK(name.join() == "a child");
        s.stop();
        CHECK(s.is_stopped());
        s.close();
        bool closed = false;
        try {
            s.spawn([] {});
        } catch (const ti::status_error &error) {
            closed = error.status() == TI_ECLOSED;
        }
        CHECK(closed);
    });
}

TEST_MAIN(TEST(locals_are_lent_to_children), TEST(a_scope_returns_its_bodys_value),
          TEST(children_that_nobody_joins_are_joined), TEST(exceptions_arrive_at_join),
          TEST(an_unjoined_exception_arrives_at_the_scope), TEST(several_exceptions_arrive_as_a_group),
          TEST(the_bodys_exception_comes_first), TEST(panics_of_c_run_destructors_and_arrive_as_panic_error),
          TEST(pthread_exit_goes_through), TEST(move_only_closures_and_results), TEST(names_and_closing))
