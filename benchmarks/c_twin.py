"""The lowered program as C: what the native engine is compared with.

The text is made of the program's structure and numbers alone. Two kinds are compiled by the C++ compiler (its vector
extensions have a conditional operator): ``scalar``, one run after the other; ``libmvec``, eight runs in a vector with
the C library's vector functions for all that is not arithmetic (glibc 2.35 and later). Contraction is off and no
fast-math flag is set, so both give the native engine's bits, but for those functions, which are the C library's.
"""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cipark_sd.compiler.primitives import RECIPES, segments
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, fixed_method
from cipark_sd.model.expr import Table

Kind = Literal["scalar", "libmvec"]
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC", "-w", "-x", "c++")
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARED = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}
_ROUNDED = {"sqrt", "floor", "trunc", "rint"}
#: Functions that the engines compute by recipes of their own, to a unit in the last place of the C library's.
OWN = set(RECIPES)

_HEAD_SCALAR = """
#include <math.h>
typedef double V; typedef int M; typedef V U;
static inline V spread(double a) { return a; }
static inline V absolute(V a) { return fabs(a); }
static inline V look(int n, const double *x, const double *y, const double *s, V at) {
  int j = 0;
  while (j < n - 2 && at >= x[j + 1]) j++;
  V inner = s[j] * (at - x[j]) + y[j];
  return at < x[0] ? y[0] : at >= x[n - 1] ? y[n - 1] : inner;
}
"""
_HEAD_LANES = """
#include <math.h>
typedef double V __attribute__((vector_size(64))); typedef long long M __attribute__((vector_size(64)));
typedef V U __attribute__((aligned(8)));
static inline V spread(double a) { return V{a, a, a, a, a, a, a, a}; }
static inline V absolute(V a) { return (V)((M)a & 0x7fffffffffffffffLL); }
/* the widest vector that the processor has of the C library's vector functions */
#if defined(__AVX512F__)
#define PARTS 1
#define WIDE(name) _ZGVeN8##name
#elif defined(__AVX2__)
#define PARTS 2
#define WIDE(name) _ZGVdN4##name
#else
#define PARTS 4
#define WIDE(name) _ZGVbN2##name
#endif
typedef double W __attribute__((vector_size(64 / PARTS), may_alias));
"""


@dataclass(frozen=True)
class Twin:
    """A compiled program."""

    program: Program
    lanes: int
    call: Callable[..., None]

    def prepared(self, inputs: Inputs) -> Callable[[], NDArray[np.float64]]:
        """A call without arguments that computes the runs, everything around it done; it gives back the raw outputs."""
        lanes, n_runs = self.lanes, inputs.n_runs
        n_blocks = -(-n_runs // lanes)
        params = np.repeat(inputs.params[:, -1:], n_blocks * lanes, axis=1)
        params[:, :n_runs] = inputs.params
        blocks = np.ascontiguousarray(params.reshape(-1, n_blocks, lanes).transpose(1, 0, 2))
        times = np.ascontiguousarray(inputs.grid.times)
        saved = np.ascontiguousarray(inputs.saved, dtype=np.uint8)
        uniforms = inputs.uniforms
        n_saved = int(saved.sum())
        out = np.empty((n_blocks, n_saved, len(self.program.outputs), lanes))
        last = len(times) - 1

        def call() -> NDArray[np.float64]:
            arrays = (blocks, out, times, saved, uniforms)
            self.call(n_blocks, *(a.ctypes.data for a in arrays), last, n_saved)
            return out

        return call


def twin(program: Program, kind: Kind) -> Twin:
    """The program compiled by the C++ compiler."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "twin.c", Path(folder) / "twin.so"
        source.write_text(text(program, kind), encoding="ascii")
        links = ["-lmvec", "-lm"] if kind == "libmvec" else ["-lm"]
        subprocess.run(["g++", *FLAGS, str(source), "-o", str(library), *links], check=True)
        call = ctypes.CDLL(str(library)).run
    call.restype = None
    call.argtypes = [ctypes.c_long, *([ctypes.c_void_p] * 5), ctypes.c_long, ctypes.c_long]
    return Twin(program, 1 if kind == "scalar" else 8, call)


def text(program: Program, kind: Kind) -> str:
    """The C of a program.

    Raises
    ------
    NotImplementedError
        For pipes, random numbers and series, which no measured model has, and for other methods than Euler's.
    """
    if program.pipes or program.series or program.n_random or fixed_method(program.method) != "euler":
        raise NotImplementedError("the C twins are for Euler's method without pipes, series and random numbers")
    return _Printer(program, kind).printed()


class _Printer:
    def __init__(self, program: Program, kind: Kind) -> None:
        self.program = program
        self.vector = kind != "scalar"
        self.tables: list[str] = []
        self.truths: set[int] = set()
        self.functions: dict[str, str] = {}

    def printed(self) -> str:
        program = self.program
        per_run = self.lines(program.per_run)
        dynamic, observed = self.lines(program.dynamic), self.lines(program.observed)
        starts = [f"    V s{i} = {self.value(s.initial)};" for i, s in enumerate(program.states)]
        starts += [f"    V c{i} = {self.value(c.initial)};" for i, c in enumerate(program.cells)]
        outputs = [f"        o[{i}] = {self.value(node)};" for i, (_, node) in enumerate(program.outputs)]
        moves = [f"      V m{i} = s{i} + {self.value(s.rate)} * dt;" for i, s in enumerate(program.states)]
        moves += [f"      V d{i} = {self.value(c.following)};" for i, c in enumerate(program.cells)]
        moves += [
            f"      s{i} = " + (f"(m{i} > 0.0 || m{i} != m{i}) ? m{i} : spread(0.0);" if s.non_negative else f"m{i};")
            for i, s in enumerate(program.states)
        ]
        moves += [f"      c{i} = d{i};" for i in range(len(program.cells))]
        body = [
            "    V dt = spread(uni[0]);",
            *per_run,
            *starts,
            "    for (long step = 0;; step++) {",
            "      V t = spread(times[step]);",
            *dynamic,
            f"      if (saved[step]) {{ U *o = out; out += {len(program.outputs)};",
            *observed,
            *outputs,
            "      }",
            "      if (step == steps) break;",
            *moves,
            "    }",
        ]
        head = _HEAD_LANES if self.vector else _HEAD_SCALAR
        signature = (
            'extern "C" void run(long blocks, const U *p, U *out, const double *times, const unsigned char *saved, '
            "const double *uni, long steps, long kept)"
        )
        loop = f"  for (long block = 0; block < blocks; block++, p += {len(program.params)}) {{"
        text = [head, *self.functions.values(), *self.tables, signature + " {", loop, *body, "  }", "}", ""]
        return "\n".join(text)

    def lines(self, nodes: Sequence[int]) -> list[str]:
        """Definitions of nodes, in order."""
        made = []
        for node in nodes:
            entry = self.program.nodes[node]
            if entry.op in ("state", "cell", "time", "instant", "param", "uniform", "const"):
                continue
            is_truth = entry.op in _COMPARED or entry.op in ("and", "or", "not")
            expression = self.operation(node)
            if is_truth:
                self.truths.add(node)
            made.append(f"      {'M' if is_truth else 'V'} n{node} = {expression};")
        return made

    def value(self, node: int) -> str:
        """A node as a number."""
        entry = self.program.nodes[node]
        match entry.op:
            case "const":
                assert isinstance(entry.payload, float)
                return f"spread({number(entry.payload)})" if self.vector else number(entry.payload)
            case "param":
                return f"p[{entry.payload}]"
            case "uniform":
                return f"spread(uni[{entry.payload}])"
            case "time" | "instant":
                return "t"
            case "state":
                return f"s{entry.payload}"
            case "cell":
                return f"c{entry.payload}"
            case _ if node in self.truths:
                return f"(n{node} ? spread(1.0) : spread(0.0))"
            case _:
                return f"n{node}"

    def truth(self, node: int) -> str:
        """A node as a condition."""
        return f"n{node}" if node in self.truths else f"({self.value(node)} != 0.0)"

    def operation(self, node: int) -> str:
        """A node's own operation on its arguments."""
        entry = self.program.nodes[node]
        op = entry.op
        if isinstance(entry.payload, Table):
            return self.table(node, entry.payload, self.value(entry.args[0]))
        if op in ("and", "or", "not"):
            truths = [self.truth(a) for a in entry.args]
            if op == "not":
                return f"({truths[0]} == 0)"
            return f"({truths[0]} {'&' if op == 'and' else '|'} {truths[1]})"
        if op == "select":
            return f"{self.truth(entry.args[0])} ? {self.value(entry.args[1])} : {self.value(entry.args[2])}"
        a = [self.value(argument) for argument in entry.args]
        if op in _INFIX:
            return f"{a[0]} {_INFIX[op]} {a[1]}"
        if op in _COMPARED:
            return f"({a[0]} {_COMPARED[op]} {a[1]})"
        match op:
            case "neg":
                return f"-{a[0]}"
            case "abs":
                return f"absolute({a[0]})"
            case "present":
                return f"({a[0]} == {a[0]}) ? {a[0]} : {a[1]}"
            case "min" | "max":
                sign = "<" if op == "min" else ">"
                return f"(({a[0]} {sign} {a[1]}) | ({a[0]} != {a[0]})) ? {a[0]} : {a[1]}"
            case _ if op in _ROUNDED or op in OWN or op == "fmod":
                return f"{self.function(op, len(a))}({', '.join(a)})"
            case _:
                raise NotImplementedError(f"{op} in C")

    def function(self, op: str, n: int) -> str:
        """A function of the C library on values, one lane after the other unless there is a vector one."""
        symbol = op
        if not self.vector:
            return symbol
        name = f"f_{op}"
        parameters = ", ".join(f"V a{i}" for i in range(n))
        if op in OWN:
            passed = ", ".join(f"((const W *)&a{i})[i]" for i in range(n))
            vector = f"WIDE({'v' * n}_{symbol})"
            self.functions[name] = (
                f'extern "C" W {vector}({", ".join(["W"] * n)});\n'
                f"static inline V {name}({parameters}) {{ V r; "
                f"for (int i = 0; i < PARTS; i++) ((W *)&r)[i] = {vector}({passed}); return r; }}"
            )
        else:
            passed = ", ".join(f"a{i}[i]" for i in range(n))
            loop = f"for (int i = 0; i < 8; i++) r[i] = {symbol}({passed});"
            self.functions[name] = f"static inline V {name}({parameters}) {{ V r; {loop} return r; }}"
        return name

    def table(self, node: int, points: Table, at: str) -> str:
        """A graphical function: a search for one run, a chain of selections for eight."""
        if points.interpolation != "interpolate" or len(points.x) < 2:
            raise NotImplementedError("tables that are not joined by lines")
        x, y, slope = segments(points)
        n = len(x)
        if not self.vector:
            for name, values in (("x", x), ("y", y), ("k", slope)):
                listed = ", ".join(number(v) for v in values)
                self.tables.append(f"static const double {name}{node}[] = {{{listed}}};")
            return f"look({n}, x{node}, y{node}, k{node}, {at})"
        lines = [f"V l = spread({number(x[0])}), y = spread({number(y[0])}), k = spread({number(slope[0])}); M c;"]
        for j in range(1, n - 1):
            lines.append(f"c = at >= {number(x[j])};")
            for name, values in (("l", x), ("y", y), ("k", slope)):
                lines.append(f"{name} = c ? spread({number(values[j])}) : {name};")
        lines.append("V inner = k * (at - l) + y;")
        lines.append(f"inner = (at >= {number(x[-1])}) ? spread({number(y[-1])}) : inner;")
        lines.append(f"return (at < {number(x[0])}) ? spread({number(y[0])}) : inner;")
        self.tables.append(f"static inline V table{node}(V at) {{ {' '.join(lines)} }}")
        return f"table{node}({at})"


def number(value: float) -> str:
    """A double in C, to the bit."""
    if np.isnan(value):
        return '__builtin_nan("")'
    if np.isinf(value):
        return f"({'-' if value < 0 else ''}__builtin_inf())"
    return f"({float(value).hex()})"
