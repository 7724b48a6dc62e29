// Scoped threads for C++17.
//
//     int sum = 0;
//     ti::scope([&](ti::scope_ref s) {
//         auto half = s.spawn([&] { return work(sum); });
//         s.spawn([&] { ... });               // joined at the end of the scope
//         int result = half.join();           // its exception arrives here
//     });
//
// An exception that leaves a thread's function is rethrown by join(), or by the scope if nobody joined. If the body
// throws, the scope rethrows that, after all joins; else one child's exception as itself, several as a ti::panic_group.
// A panic of C code arrives as ti::panic_error. Cancellation and pthread_exit go through everywhere (glibc unwinds by
// force).
#ifndef TINSPECT_SCOPE_HPP
#define TINSPECT_SCOPE_HPP

#include <cxxabi.h>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tinspect/scope.h"

namespace ti
{

// A call of the runtime was refused.
class status_error : public std::runtime_error
{
  public:
    explicit status_error(ti_status status) : std::runtime_error(ti_status_text(status)), status_(status)
    {
    }
    ti_status status() const noexcept
    {
        return status_;
    }

  private:
    ti_status status_;
};

// A panic that did not come from C++.
class panic_error : public std::runtime_error
{
  public:
    explicit panic_error(const ti_panic_view &view) : std::runtime_error(view.message), thread_id_(view.thread_id)
    {
    }
    std::uint64_t thread_id() const noexcept
    {
        return thread_id_;
    }

  private:
    std::uint64_t thread_id_;
};

// What several children threw.
class panic_group : public std::runtime_error
{
  public:
    explicit panic_group(std::vector<std::exception_ptr> errors)
        : std::runtime_error(std::to_string(errors.size()) + " threads of the scope ended by an exception"),
          errors_(std::move(errors))
    {
    }
    const std::vector<std::exception_ptr> &errors() const noexcept
    {
        return errors_;
    }

  private:
    std::vector<std::exception_ptr> errors_;
};

namespace detail
{

inline void check(ti_status status)
{
    if (status != TI_OK) {
        throw status_error(status);
    }
}

// Its address marks a panic's payload as an exception of C++.
inline void drop_exception(void *payload)
{
    delete static_cast<std::exception_ptr *>(payload);
}

[[noreturn]] inline void carry(std::exception_ptr error)
{
    std::string message = "an exception of unknown type";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception &known) {
        message = known.what();
    } catch (...) { // a type of its own: there are no words in it
    }
    auto *payload = new std::exception_ptr(std::move(error));
    // The unwinding runs this frame's destructors, `message` among them; the runtime has copied it.
    ti_panic_quietly(payload, drop_exception, message.c_str());
}

inline std::exception_ptr exception_of(const ti_panic_view &view)
{
    if (view.drop == drop_exception) {
        return *static_cast<std::exception_ptr *>(view.payload);
    }
    return std::make_exception_ptr(panic_error(view));
}

struct free_panics {
    void operator()(ti_panics *panics) const noexcept
    {
        ti_panics_free(panics);
    }
};
using panics_owner = std::unique_ptr<ti_panics, free_panics>;

// Throws what a chain of panics stands for.
[[noreturn]] inline void rethrow(panics_owner panics)
{
    std::vector<std::exception_ptr> errors;
    ti_panic_view view;
    for (size_t i = 0; ti_panics_at(panics.get(), i, &view) == TI_OK; i++) {
        errors.push_back(exception_of(view));
    }
    panics.reset();
    if (errors.size() == 1) {
        std::rethrow_exception(errors.front());
    }
    throw panic_group(std::move(errors));
}

// libstdc++ binds the reference of `catch (abi::__forced_unwind &)` to null: there is no such object, only a type to
// catch by. UndefinedBehaviorSanitizer would stop at that.
#define TI_CATCHES_FORCED_UNWIND __attribute__((no_sanitize("null")))

template <class Function, class Result> struct closure {
    Function function;

    // An exception becomes a panic once its handler has been left.
    TI_CATCHES_FORCED_UNWIND static void *run(void *context)
    {
        std::exception_ptr error;
        try {
            return call(context);
        } catch (abi::__forced_unwind &) { // cancellation, pthread_exit, a panic of C code
            throw;
        } catch (...) {
            error = std::current_exception();
        }
        carry(std::move(error));
    }

    static void *call(void *context)
    {
        // Freed when the function has ended, however it ends: before the thread counts as ended.
        std::unique_ptr<closure> self(static_cast<closure *>(context));
        if constexpr (std::is_void_v<Result>) {
            std::invoke(std::move(self->function));
            return nullptr;
        } else {
            return new Result(std::invoke(std::move(self->function)));
        }
    }

    static void drop_result(void *result)
    {
        if constexpr (!std::is_void_v<Result>) {
            delete static_cast<Result *>(result);
        }
    }
};

} // namespace detail

// The right to join a thread, once. Letting go of it leaves a scoped thread to its scope and detaches a free one.
template <class Result> class handle
{
  public:
    explicit handle(ti_thread thread) noexcept : thread_(thread)
    {
    }
    handle(handle &&other) noexcept : thread_(std::exchange(other.thread_, ti_thread{}))
    {
    }
    handle &operator=(handle &&other) noexcept
    {
        std::swap(thread_, other.thread_);
        return *this;
    }
    ~handle()
    {
        if (thread_.id != 0) {
            ti_detach(thread_);
        }
    }

    // The thread's result, or its exception. status_error: TI_ETERMINATED, TI_EDEADLK, TI_ESTALE …
    Result join()
    {
        void *raw = nullptr;
        ti_panics *panics = nullptr;
        ti_status status = ti_join(std::exchange(thread_, ti_thread{}), &raw, &panics);
        if (status == TI_EPANIC) {
            detail::rethrow(detail::panics_owner(panics));
        }
        detail::check(status);
        if constexpr (!std::is_void_v<Result>) {
            std::unique_ptr<Result> result(static_cast<Result *>(raw));
            return std::move(*result);
        }
    }

    bool is_finished() const noexcept
    {
        return ti_is_finished(thread_);
    }
    ti_thread get() const noexcept
    {
        return thread_;
    }

  private:
    ti_thread thread_;
};

struct spawn_options {
    const char *name = nullptr;
    std::size_t stack_size = 0;
    std::uint32_t flags = 0;
};

namespace detail
{

template <class Function> auto spawn(ti_scope scope, const spawn_options &options, Function &&function)
{
    using stored = std::decay_t<Function>;
    using result = std::decay_t<std::invoke_result_t<stored>>;
    using packet = closure<stored, result>;
    auto context = std::unique_ptr<packet>(new packet{std::forward<Function>(function)});
    ti_spawn_options given = {};
    given.size = sizeof given;
    given.name = options.name;
    given.stack_size = options.stack_size;
    given.flags = options.flags;
    given.drop_result = packet::drop_result;
    ti_thread thread;
    check(ti_spawn(scope, &given, packet::run, context.get(), &thread));
    context.release(); // the thread's now
    return handle<result>(thread);
}

} // namespace detail

// A scope, for those who may spawn into it. It is a handle: after the scope has ended its calls throw
// status_error(TI_ESTALE).
class scope_ref
{
  public:
    explicit scope_ref(ti_scope scope) noexcept : scope_(scope)
    {
    }
    template <class Function> auto spawn(Function &&function) const
    {
        return detail::spawn(scope_, spawn_options{}, std::forward<Function>(function));
    }
    template <class Function> auto spawn(const spawn_options &options, Function &&function) const
    {
        return detail::spawn(scope_, options, std::forward<Function>(function));
    }
    void close() const
    {
        detail::check(ti_scope_close(scope_));
    }
    void stop() const
    {
        detail::check(ti_scope_stop(scope_));
    }
    bool is_stopped() const noexcept
    {
        return ti_scope_is_stopped(scope_);
    }
    ti_scope get() const noexcept
    {
        return scope_;
    }

  private:
    ti_scope scope_;
};

namespace detail
{

template <class Body, class Result> struct body_call {
    Body &body;
    std::conditional_t<std::is_void_v<Result>, bool, std::optional<Result>> result{};
    std::exception_ptr error{};

    TI_CATCHES_FORCED_UNWIND static void *run(ti_scope scope, void *context)
    {
        auto *self = static_cast<body_call *>(context);
        try {
            if constexpr (std::is_void_v<Result>) {
                std::invoke(self->body, scope_ref(scope));
            } else {
                self->result.emplace(std::invoke(self->body, scope_ref(scope)));
            }
        } catch (abi::__forced_unwind &) {
            throw;
        } catch (...) {
            self->error = std::current_exception();
        }
        return nullptr;
    }
};

} // namespace detail

// Runs body(scope_ref) and returns its value after every thread spawned into the scope has ended.
template <class Body> auto scope(const char *name, std::uint32_t flags, Body &&body)
{
    using result = std::decay_t<std::invoke_result_t<Body &, scope_ref>>;
    using call_type = detail::body_call<std::remove_reference_t<Body>, result>;
    call_type call{body};
    ti_panics *panics = nullptr;
    ti_status status = ti_scope_run(name, flags, call_type::run, &call, nullptr, &panics);
    detail::panics_owner owner(panics);
    if (call.error) {
        std::rethrow_exception(call.error);
    }
    if (status == TI_EPANIC) {
        detail::rethrow(std::move(owner));
    }
    detail::check(status);
    if constexpr (!std::is_void_v<result>) {
        return std::move(*call.result);
    }
}

template <class Body> auto scope(const char *name, Body &&body)
{
    return scope(name, 0, std::forward<Body>(body));
}

template <class Body> auto scope(Body &&body)
{
    return scope(nullptr, 0, std::forward<Body>(body));
}

// A free thread.
template <class Function> auto spawn(Function &&function)
{
    return detail::spawn(ti_scope{}, spawn_options{}, std::forward<Function>(function));
}
template <class Function> auto spawn(const spawn_options &options, Function &&function)
{
    return detail::spawn(ti_scope{}, options, std::forward<Function>(function));
}

} // namespace ti

#endif
