"""Goldens of the `node` rule where braces hold a body together.

`‹` is the cursor, where the canvas begins; `›` where it ends and the text behind it goes on; `■` where the answer must
end. No `■`: the canvas is not complete yet. Where `›` begins a line the text behind the canvas begins with the end of
the cursor's line, as it does in an editor.
"""

import pytest

from model.syntax.stop import stop_offset

SCRIPT = [
    "const x = ‹1;■\nconst y = 2;\n›",
    "const x = ‹1›",
    "const x = ‹a + b■\nconst y = 2\n›",
    "const x = ‹a +\n  b■\nfoo()\n›",
    "foo(‹a,\n  b)■\nbar()\n›",
    "foo(‹a,\n  b›",
    "foo(‹a■\nbar›)\n",
    "const f = ‹(a) => {\n  return a\n}■\nf(1)\n›",
    "function f() {\n  ‹if (x) {\n    y()\n  } else {\n    z()\n  }■\n  w()\n›}\n",
    "function f() {\n  ‹if (x)\n    y();■\n  z();\n›}\n",
    "function f() {\n  ‹if (x) {\n    y();\n›}\n",
    "if (x) {‹\n  y();\n}■\nz();\n›",
    "if (x) {‹\n  y();■\n  z();\n›\n}\n",
    "function f() {\n  if (x) {‹\n    y();\n  }■\n  z();\n›\n}\n",
    "const s = ‹`a {\n  ${b}\n`;■\nt\n›",
    "const s = ‹`a\nb\n›",
    "/**\n * Adds.‹ More (of■\n * it.\n›",
    "x = ‹/[(]/.test(y)■\nz\n›",
    "x = ‹a / (b\n  / c)■\nz\n›",
    "const s = ‹'it■\nx = 1\n›",
    "switch (x) {\n  ‹case 1:■\n    f();\n›}\n",
    "const o = {\n  a: 1,\n  ‹b: 2,■\n  c: 3,\n›}\n",
    "‹// a comment {■\nx()\n›",
    "x = ‹[1,\n 2,\n]■\r\ny\n›",
    "f((\n\nx = ‹1■\ny = 2\n›",
    "x = ‹1■\ny\n›\nfunction broken({ {\n",
    "const x = ‹y\n  .map(f)\n  .filter(g)■\nz()\n›",
    "const x = ‹y\n›",
    "const a = ‹1,\n  b = 2■\nc()\n›}\n",
    "return (\n  ‹<ul>\n    <li>{x}</li>\n  </ul>■\n  more\n›)\n",
]
TYPESCRIPT = [
    "interface A {\n  ‹x: number■\n  y: string\n›}\n",
    "‹interface A {\n  x: number\n}■\nlet y\n›",
    "type T = ‹{\n  a: string;\n}■\nlet y\n›",
    "‹@Component({\n  a: 1,\n})\nclass A {\n  b = 1\n}■\nlet y\n›",
    "class A {\n  ‹private foo(a: string): void {\n    b()\n  }■\n  c = 1\n›}\n",
    "type T = ‹\n  | A\n  | B■\nlet y\n›",
    "class A {\n  ‹@Input() name: string■\n  b = 1\n›}\n",
    "const x = ‹y as Foo<Bar>■\nlet z\n›",
    "function f(a: A): ‹Promise<B> {\n  return a\n}■\nx\n›",
]
GO = [
    "func f() {\n\t‹x := g(1)■\n\ty := 2\n›}\n",
    "func f() {\n\t‹x := a +\n\t\tb■\n\ty := 2\n›}\n",
    "func f() {\n\t‹if err != nil {\n\t\treturn err\n\t}■\n\treturn nil\n›}\n",
    "func f() {\n\tif err != nil {‹\n\t\treturn err\n\t}■\n\treturn nil\n›\n}\n",
    "‹type A struct {\n\tx int\n}■\nvar y int\n›",
    "x := ‹`a (\nb`■\ny := 1\n›",
    "\tswitch x {\n\t‹case 1:■\n\t\tf()\n›\t}\n",
    "func f() {\n\t‹a,\n\t\tb := g()■\n\ty()\n›}\n",
    "x := A{\n\ta: 1,\n\t‹b: 2,■\n\tc: 3,\n›}\n",
    'import (\n\t‹"fmt"■\n\t"os"\n›)\n',
]
RUST = [
    "fn f() {\n    ‹let x = g(1);■\n    h();\n›}\n",
    "fn f() -> u8 {\n    ‹let x = a\n        .b()\n        .c();■\n    x\n›}\n",
    "fn f() -> u8 {\n    ‹x + 1■\n    // done\n›}\n",
    "‹#![allow(dead_code)]■\nfn f() {}\n›",
    "fn f() {\n    ‹match x {\n        Some(y) => y,\n        None => 0,\n    }■\n    g()\n›}\n",
    "fn f() {\n    match x {\n        ‹Some(y) => y,■\n        None => 0,\n›    }\n}\n",
    "‹#[derive(Debug)]\nstruct A {\n    x: u8,\n}■\nfn g() {}\n›",
    'let s = ‹"a {\nb";■\nlet t = 1;\n›',
    'let s = ‹r#"a " {\nb"#;■\nlet t = 1;\n›',
    "fn f<'a>(‹x: &'a str) -> char {\n    '{'\n}■\nfn g() {}\n›",
    "fn f() {\n    ‹let x = match y {\n        1 => 2,\n        _ => 3,\n    };■\n    g();\n›}\n",
]
C = [
    "int main() {\n  ‹int x = f(1);■\n  g();\n›}\n",
    "int main() {\n  ‹int x = a +\n      b;■\n  g();\n›}\n",
    "int main()‹\n{\n  return 0;\n}■\nint y;\n›",
    "int main() {\n  ‹if (x)\n    y();■\n  z();\n›}\n",
    "int main() {\n  ‹if (x)\n  {\n    y();\n  }■\n  z();\n›}\n",
    "int main() {\n  ‹for (int i = 0; i < n; i++) {\n    f(i);\n  }■\n  z();\n›}\n",
    "‹#include <stdio.h>■\nint x;\n›",
    "‹#define F(x) do { \\\n  g(x)■\nint y;\n›",
    "enum E {\n  A,\n  ‹B,■\n  C\n›};\n",
    "struct A {\n  ‹int x;■\n  int y;\n›};\n",
    "char c = ‹'{';■\nint y;\n›",
    "  switch (x) {\n    ‹case '{':■\n      f();\n›  }\n",
    "x = ‹/* a {\n b */ 1;■\ny = 2;\n›",
    "f(\n  a,\n  ‹b■\n  // all\n›);\n",
    "int x = ‹a■\n y›;\n",
]
CPP = [
    "‹template <typename T>\nT f(T a) {\n  return a;\n}■\nint y;\n›",
    "class A {\n ‹public:■\n  int x;\n›};\n",
    'auto s = ‹R"(a { )" \n)";■\nint y;\n›'.replace(')" \n', "x\n"),
    "auto f = ‹[&](int a) {\n  return a + 1'000;\n};■\nint y;\n›",
    "namespace a {\n‹class B {\n public:\n  int x;\n};■\nint y;\n›}  // namespace a\n",
    "std::vector<int> v = ‹{\n  1,\n  2,\n};■\nint y;\n›",
]
JAVA = [
    "class A {\n  void f() {\n    ‹int x = g(1);■\n    h();\n›  }\n}\n",
    "class A {\n  ‹@Override\n  public void f() {\n    g();\n  }■\n  int x;\n›}\n",
    "class A {\n  void f() {\n    ‹return x.stream()\n        .map(a -> a)\n        .toList();■\n    y();\n›  }\n}\n",
    'class A {\n  String s = ‹"""\n      a {\n      """;■\n  int x;\n›}\n',
    "class A {\n  void f() {\n    ‹try {\n      g();\n    } catch (E e) {\n      h();\n    }■\n    i();\n›  }\n}\n",
    "enum E {\n  ‹A(1),■\n  B(2);\n›}\n",
    "enum E {\n  ‹A() {\n    void f() {}\n  },■\n  B;\n›}\n",
    "‹import java.util.List;■\nclass A {}\n›",
    "class A {\n  void f() {\n    ‹x.g(\n        a,\n        b);■\n    y();\n›  }\n}\n",
]

GOLDENS = [
    *(("javascript", text) for text in SCRIPT),
    *(("typescript", text) for text in TYPESCRIPT),
    *(("typescriptreact", text) for text in SCRIPT + TYPESCRIPT),
    *(("go", text) for text in GO),
    *(("rust", text) for text in RUST),
    *(("c", text) for text in C),
    *(("cpp", text) for text in C + CPP),
    *(("java", text) for text in JAVA),
]


def parts(golden: str) -> tuple[str, str, str, str | None]:
    """The prefix, the canvas, the suffix, and what of the canvas must be kept."""
    prefix, rest = golden.split("‹")
    canvas, suffix = rest.split("›")
    if canvas.endswith("\n"):
        suffix = "\n" + suffix
    kept, mark, _ = canvas.partition("■")
    return prefix, canvas.replace("■", ""), suffix, kept if mark else None


@pytest.mark.parametrize(("language", "golden"), GOLDENS)
def test_where_an_answer_ends_and_that_more_text_changes_nothing(language: str, golden: str) -> None:
    prefix, canvas, suffix, kept = parts(golden)
    answers = [stop_offset(prefix, canvas[:n], suffix, "node", language) for n in range(len(canvas) + 1)]
    assert [None if answer is None else canvas[:answer] for answer in answers[-1:]] == [kept]
    decided = [answer for answer in answers if answer is not None]
    assert answers == [None] * (len(answers) - len(decided)) + decided
    assert len(set(decided)) <= 1


@pytest.mark.parametrize("language", ["javascript", "go", "rust", "java", "c"])
def test_a_window_that_begins_inside_a_comment_holds_no_strings_of_it(language: str) -> None:
    prefix = "/*\n" + "don't ` it\n" * 70 + "*/\n" + "f();\n" * 5
    canvas = "f(\n  1);\ng();\n"
    assert stop_offset(prefix, canvas, "", "node", language) == canvas.index("\ng")
