"""Rust and C++ names against binutils' c++filt, after its verbosity is taken off; hostile names end."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given, settings, strategies

from tinspect.symbols.demangle import demangle
from tinspect.symbols.rust_v0 import demangle_rust_v0

V0 = [
    "_RNvCs1234_7mycrate3foo",
    "_RNvMCs1234_7mycrateNtB2_4Type6method",
    "_RNvXCs1234_7mycrateNtB2_4TypeNtB2_5Trait6method",
    "_RNvYNtCs1234_7mycrate4TypeNtB4_5Trait6method",
    "_RNCNvCs1234_7mycrate4main0B3_",
    "_RNCNCNvCs1234_7mycrate4mains_0s0_0B5_",
    "_RINvCs1234_7mycrate3foohReTtmEAhj8_SbPxOyQaFUKCdEfDG_NtB2_5TraitEL_E",
    "_RINvCs1234_7mycrate3fooFG_RL0_hEuDNtB2_5TraitEL_Kb1_Kc61_Kin5_zE",
    "_RNvNtCs1234_7mycrateu8gdel_5qa3bar",
    "_RINvMs3_NtNtCsgEmfK2I1SDS_4core4iter5rangeNtB6_5Range4nextpvE",
    "_RNvCs1234_7mycrate3foo.llvm.1234",
]
LEGACY = [
    "_ZN" + "".join(f"{len(part)}{part}" for part in (*parts, "h0123456789abcdef")) + "E"
    for parts in (
        ("core", "fmt", "Formatter", "pad"),
        ("_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..drop..Drop$GT$", "drop"),
        ("std", "rt", "lang_start", "_$u7b$$u7b$closure$u7d$$u7d$"),
        ("test", "a$BP$$RF$$C$b$LP$$RP$"),
    )
]


def run_cxxfilt(names: list[str], style: str = "auto") -> list[str]:
    run = subprocess.run(["c++filt", "-s", style], input="\n".join(names), capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def plain(text: str) -> str:
    """Without the hashes of crates and the types of constants, which c++filt shows."""
    text = re.sub(r"(?<=\w)\[[0-9a-f]+\]", "", text)
    text = re.sub(r": (usize|isize|bool|char|[iu]\d+)(?=[],>])", "", text)
    return re.sub(r"\.llvm\.\d+|::h[0-9a-f]{16}$", "", text).strip()


@pytest.mark.parametrize(
    ("name", "expected"), list(zip([*V0, *LEGACY], run_cxxfilt([*V0, *LEGACY], "rust"), strict=True))
)
def test_rust_names_are_those_of_cxxfilt(name: str, expected: str) -> None:
    assert plain(expected) != name
    assert demangle(name.encode()) == plain(expected)


def test_versions_go_and_plt_stays() -> None:
    assert demangle(b"memcpy@@GLIBC_2.14") == "memcpy"
    assert demangle(b"memcpy@GLIBC_2.2.5") == "memcpy"
    assert demangle(b"puts@plt") == "puts@plt"
    assert demangle(b"_RNvCs1234_7mycrate3foo@plt") == "mycrate::foo@plt"
    assert demangle(b"main") == "main"
    assert demangle(b"\xff\xfe") == "\\xff\\xfe"
    assert demangle(b"") == ""


def test_references_that_double_the_output_end() -> None:
    """Each tuple holds the one before it twice: 2 to the power of 40 names, were they written out."""
    name, start = "_RINvC1a1b", 0
    body = "Tuu" + "E"
    previous = len(name) - 2
    name += body
    for _ in range(40):
        start = len(name) - 2
        reference = "B" + base62(previous)
        name += f"T{reference}{reference}E"
        previous = start
    assert demangle_rust_v0(name + "E") is None


def base62(value: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if value == 0:
        return "_"
    value, text = value - 1, ""
    while True:
        text = digits[value % 62] + text
        value //= 62
        if value == 0:
            return text + "_"


@settings(max_examples=500, deadline=None)
@given(strategies.text("_RNvCMXYIBEKLTFDGASQPOs0123456789abhjuNtz", max_size=80))
def test_any_rust_name_ends(text: str) -> None:
    shown = demangle(f"_R{text}".encode())
    assert shown


@settings(max_examples=300, deadline=None)
@given(strategies.binary(max_size=60))
def test_any_bytes_are_shown(name: bytes) -> None:
    assert isinstance(demangle(name), str)
    assert isinstance(demangle(b"_ZN" + name), str)
    assert isinstance(demangle(b"_Z" + name), str)


CPP = [
    "_ZNSt6thread8_InvokerISt5tupleIJPFviEiEEE9_M_invokeIJLm0ELm1EEEEvSt12_Index_tupleIJXspT_EEE",
    "_Z1fv",
    "_Z3fooIiEvT_",
    "_ZN1A1BC2ERKS0_",
    "_ZN1AD0Ev",
    "_ZNK1A3getEv",
    "_ZNO1A3getEv",
    "_ZN12_GLOBAL__N_13runEPKci",
    "_ZN1AcvbEv",
    "_ZN1AlsEi",
    "_Zli2_xy",
    "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
    "_ZNSt6vectorIiSaIiEE9push_backEOi",
    "_Z1fPFivE",
    "_Z1fRA5_i",
    "_Z1fM1AFivE",
    "_Z1fM1AKFivE",
    "_Z1fM1Ai",
    "_ZZ4mainENKUlvE_clEv",
    "_ZZ4mainENKUliE0_clEi",
    "_ZZN1A1fEvE1x",
    "_ZZN1A1fEvE1x_0",
    "_ZTV1A",
    "_ZTI1A",
    "_ZGVZ1fvE1x",
    "_ZThn16_N1A1fEv",
    "_ZTv0_n24_N1A1fEv",
    "_Z1fIJidEEvDpT_",
    "_Z1fIJidEEvDpRKT_",
    "_Z1fILi5EEvv",
    "_Z1fILb1EEvv",
    "_Z1fILin3EEvv",
    "_Z1fDn",
    "_Z1fDi",
    "_Z1fPVKi",
    "_Z1fz",
    "_Z1fN1AIiE1BIdEE",
    "_Z1fB5cxx11v",
    "_Z1fv.constprop.0.isra.3",
    "_Z1fv.cold",
    "_ZL8internalv",
    "_ZN4node10StreamBase8JSMethodIXadL_ZNS0_6WritevERKN2v820FunctionCallbackInfoINS2_5ValueEEEEEEEvS7_",
]


@pytest.mark.parametrize(("name", "expected"), list(zip(CPP, run_cxxfilt(CPP), strict=True)))
def test_cpp_names_are_those_of_cxxfilt(name: str, expected: str) -> None:
    assert expected != name
    assert demangle(name.encode()) == expected


def test_names_of_libstdcxx_are_those_of_cxxfilt() -> None:
    library = subprocess.run(
        ["gcc", "-print-file-name=libstdc++.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    text = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
    names = sorted({name.partition("@")[0] for name in re.findall(r" (_Z\S+)$", text, re.M)})
    assert len(names) > 3000
    expected = run_cxxfilt(names)
    wrong = [name for name, text in zip(names, expected, strict=True) if short(demangle(name.encode())) != short(text)]
    # What is left differs in the space of "> >" alone, or is a name that is shown as it is.
    assert len(wrong) < len(names) // 200, wrong[:10]


def short(text: str) -> str:
    """c++filt writes std::string and its like out where a member of theirs is named."""
    for name, rest in (("string", ", std::allocator<char>"), ("istream", ""), ("ostream", ""), ("iostream", "")):
        text = text.replace(f"std::basic_{name}<char, std::char_traits<char>{rest} >", f"std::{name}")
    return text.replace(" >", ">")


def test_cpp_names_that_double_their_output_end() -> None:
    name = "_Z1f1aIiE" + "".join(f"1bIS{digit}_S{digit}_E" for digit in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert len(demangle(name.encode())) < 20_000
    for hostile in (
        "_Z" + "Z" * 8000,
        "_Z1fIJiiiiiiiiEEv" + "Dp" * 60 + "T_",
        "_Z1fIJiiiiiiiiEEv" + "DpT_" * 1000,
        "_Z1fP1aIi" + "S_S_" * 1900,
        "_ZN" + "1aI" * 2000,
        "_Z1f" + "P" * 5000 + "i",
        "_Z" + "DC" * 3000,
    ):
        assert demangle(hostile.encode())


@settings(max_examples=500, deadline=None)
@given(strategies.text("_ZNSTIEPRKFDpLXJAMUlcvits0123456789abdefhjmnostxyz", max_size=80))
def test_any_cpp_name_ends(text: str) -> None:
    assert demangle(f"_Z{text}".encode())
