"""Loans of buffers, and what may be given to a thread at all."""

from __future__ import annotations

import array
import sys
import threading
from types import FrameType

import pytest

from tinspect.native.scope import (
    BorrowError,
    Loan,
    ScopeError,
    Traits,
    declare,
    scope,
    traits_of,
)


class TestTraits:
    @pytest.mark.parametrize("value", [1, 1.5, "a", b"a", None, True, (1, "a"), frozenset({1}), range(3), len, int])
    def test_immutable_values(self, value: object) -> None:
        assert traits_of(value) == Traits(send=True, sync=True)

    @pytest.mark.parametrize("value", [threading.Lock(), threading.RLock(), threading.Event(), threading.Condition()])
    def test_locked_values(self, value: object) -> None:
        assert traits_of(value) == Traits(send=True, sync=True)

    @pytest.mark.parametrize("value", [bytearray(1), memoryview(b"a"), array.array("i", [1]), (1, bytearray(1))])
    def test_buffers_are_lent_only(self, value: object) -> None:
        assert traits_of(value) == Traits(send=False, sync=False)
        with scope() as s, pytest.raises(BorrowError, match="lend it"):
            s.spawn(id, value)

    @pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, object(), (1, [2])])
    def test_other_objects_move(self, value: object) -> None:
        assert traits_of(value) == Traits(send=True, sync=False)

    def test_captured_buffers_are_refused(self) -> None:
        captured = bytearray(4)
        with scope() as s, pytest.raises(BorrowError, match="captures a bytearray"):
            s.spawn(lambda: len(captured))

    def test_declare(self) -> None:
        class Guarded(bytearray):
            pass

        assert traits_of(Guarded(1)) == Traits(send=False, sync=False)
        declare(Guarded, send=True, sync=True)
        with scope() as s:
            assert s.spawn(len, Guarded(3)).join() == 3


def fill(loan: Loan, value: int) -> None:
    with loan as view:
        view[:] = bytes([value]) * len(view)


def total(loan: Loan) -> int:
    with loan as view:
        return sum(view)


class TestLoans:
    def test_lend_a_buffer_to_eight_threads(self) -> None:
        data = bytearray(8 * 16)
        with scope() as s:
            for number in range(8):
                s.spawn(fill, s.loan(memoryview(data)[16 * number : 16 * (number + 1)], mutable=True), number)
        assert data == b"".join(bytes([number]) * 16 for number in range(8))

    def test_a_thread_has_its_loans_from_its_very_start(self) -> None:
        """Whenever the spawning thread loses the GIL: here as soon as the call that makes the thread returns."""
        data = bytearray(16)
        over = threading.Event()

        def work(loan: Loan) -> None:
            try:
                fill(loan, 1)
            finally:
                over.set()

        def let_it_run(frame: FrameType, event: str, called: object) -> None:
            if event == "c_return" and getattr(called, "__name__", "") == "spawn":
                assert over.wait(30)

        with scope() as s:
            sys.setprofile(let_it_run)
            try:
                s.spawn(work, s.loan(data, mutable=True))
            finally:
                sys.setprofile(None)
        assert data == bytes([1]) * 16

    def test_double_imm(self) -> None:
        data = bytearray(b"abc")
        with scope() as s:
            loan = s.loan(data)
            handles = [s.spawn(total, loan) for _ in range(4)]
            assert [handle.join() for handle in handles] == [sum(data)] * 4

    def test_no_mut_then_imm(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.loan(data, mutable=True)
            with pytest.raises(BorrowError, match=r"exclusively since .*test_scope_loans\.py:\d+"):
                s.loan(data)

    def test_no_imm_then_mut(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.loan(data)
            with pytest.raises(BorrowError, match="for reading"):
                s.loan(memoryview(data)[7:], mutable=True)

    def test_no_double_mut_across_scopes(self) -> None:
        data = bytearray(8)
        with scope("outer") as outer:
            outer.loan(data, mutable=True)
            with scope("inner") as inner, pytest.raises(BorrowError):
                inner.loan(data, mutable=True)

    def test_a_loan_ends_with_its_thread(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.spawn(fill, s.loan(data, mutable=True), 1).join()
            s.spawn(fill, s.loan(data, mutable=True), 2).join()
        assert data == bytes([2]) * 8

    def test_a_loan_ends_with_its_thread_even_if_unused(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.spawn(lambda loan: None, s.loan(data, mutable=True)).join()
            assert s.loan(data, mutable=True).alive

    def test_a_loan_ends_with_its_scope(self) -> None:
        data = bytearray(8)
        with scope() as s:
            loan = s.loan(data, mutable=True)
        assert not loan.alive
        with pytest.raises(BorrowError, match="ended"), loan:
            pass
        data += b"resizable again"

    def test_while_lent_a_bytearray_keeps_its_size(self) -> None:
        data = bytearray(8)
        with scope() as s:
            s.loan(data)
            with pytest.raises(BufferError):
                data.append(1)

    def test_the_giver_cannot_use_a_mutable_loan(self) -> None:
        data = bytearray(8)
        release = threading.Event()

        def hold(loan: Loan) -> None:
            release.wait()

        with scope() as s:
            loan = s.loan(data, mutable=True)
            s.spawn(hold, loan)
            with pytest.raises(BorrowError, match="another thread"), loan:
                pass
            with pytest.raises(BorrowError, match="another thread"):
                s.spawn(hold, loan)
            release.set()

    def test_a_shared_loan_is_read_only(self) -> None:
        data = bytearray(8)
        with scope() as s, s.loan(data) as view, pytest.raises(TypeError, match="read-only"):
            view[0] = 1

    def test_read_only_bytes_are_not_lent_mutably(self) -> None:
        with scope() as s, pytest.raises(BufferError):
            s.loan(b"constant", mutable=True)

    def test_formats_and_shapes_come_across(self) -> None:
        numbers = array.array("d", [1.0, 2.0, 3.0])

        def double(loan: Loan) -> None:
            with loan as view:
                assert view.format == "d"
                for index, number in enumerate(view):
                    view[index] = 2 * number

        with scope() as s:
            s.spawn(double, s.loan(numbers, mutable=True))
        assert numbers.tolist() == [2.0, 4.0, 6.0]

    def test_only_the_owner_lends(self) -> None:
        data = bytearray(8)
        buffers = [data]
        with scope() as s, pytest.raises(ScopeError, match="another thread"):
            s.spawn(lambda: s.loan(buffers[0])).join()

    def test_a_view_that_outlives_the_scope_is_reported(self) -> None:
        data = bytearray(8)
        kept: list[memoryview] = []

        def keep(loan: Loan) -> None:
            kept.append(memoryview(loan._loan))

        with pytest.raises(ExceptionGroup) as caught, scope() as s:
            s.spawn(keep, s.loan(data, mutable=True))
        assert isinstance(caught.value.exceptions[0], BorrowError)
        assert bytes(kept[0]) == bytes(8)  # the memory has stayed
        kept[0].release()
        data += b"x"

    def test_ending_while_in_use(self) -> None:
        data = bytearray(8)
        with scope() as s:
            loan = s.loan(data, mutable=True)
            with loan, pytest.raises(BorrowError, match="view"):
                loan.end()
            assert not loan.alive
