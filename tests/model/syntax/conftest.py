"""Real-looking programs, one a language, for tests that hold for every language: indented, with strings, comments,
generics and the odd non-ASCII character. `▸` marks each line on which a statement begins."""

import pytest

_SCRIPT = """\
▸import { readFile } from 'fs';

// Adds, or doesn't (über).
▸export class Cart {
▸  items = [];

▸  add(item, { count = 1 } = {}) {
▸    if (!item || count < 1) {
▸      throw new Error(`bad ${item} {`);
    } else {
▸      this.items.push({ item, count });
    }
▸    return this.items
      .map((x) => x.count * 2)
      .filter((x) => /[(]/.test(x));
  }
}

▸const total = (cart) => {
▸  switch (cart.kind) {
▸    case 'a':
▸      return 1;
▸    default:
▸      for (const x of cart.items) sum(x)
  }
};
"""

_TYPESCRIPT = """\
▸import { A } from './a';

▸export interface Shape<T> {
▸  readonly name: string;
▸  area(x: T): number;
}

▸type Pair = [string, number] | undefined;

▸enum Kind {
▸  A,
▸  B = 2,
}

▸abstract class Box<T extends A> implements Shape<T> {
▸  private name: string = "ü{";
▸  async area(x: T): Promise<number> {
▸    const y = x as unknown as number;
▸    return y! + 1;
  }
}
"""

_TSX = """\
▸export function List({ items }: Props) {
▸  const [open, setOpen] = useState<boolean>(false);
▸  return (
    <ul className="a" onClick={() => setOpen(!open)}>
      {items.map((x) => (
        <li key={x}>it is {x}</li>
      ))}
    </ul>
  );
}
"""

_GO = """\
▸package main

▸import (
▸	"fmt"
▸	"os"
)

// Point is a place.
▸type Point struct {
▸	X, Y int `json:"x"`
}

▸func (p *Point) Move(d int) (err error) {
▸	if d < 0 {
▸		return fmt.Errorf("bad {%d ü", d)
	}
▸	for i := 0; i < d; i++ {
▸		p.X += i
	}
▸	switch d {
▸	case 1:
▸		p.Y = 'x'
▸	default:
▸		defer os.Exit(1)
	}
▸	return nil
}
"""

_RUST = """\
▸use std::fmt::{self, Display};

/// A place's {name}.
▸#[derive(Debug, Clone)]
▸pub struct Point<'a> {
▸    name: &'a str,
▸    x: f64,
}

▸impl<'a> Point<'a> {
▸    pub fn far(&self, d: f64) -> Option<f64> {
▸        let s = r#"raw " { ü"#;
▸        if d < 0.0 {
▸            return None;
        }
▸        let y = match self.name {
▸            "a" => '{' as u8 as f64,
▸            _ => self.x,
        };
▸        Some(y + d)
    }
}
"""

_JAVA = """\
▸package a.b;

▸import java.util.List;

/** A cart's {items}. */
▸public class Cart<T extends Item> implements Box {
▸    private final List<T> items = new ArrayList<>();

▸    @Override
    public int total(int tax) throws Bad {
▸        if (tax < 0) {
▸            throw new Bad("bad { ü" + tax);
        }
▸        for (T item : items) {
▸            sum += item.price() * 'x';
        }
▸        return items.stream()
            .mapToInt(x -> x.n)
            .sum();
    }

▸    enum Kind {
▸        A,
▸        B;
    }
}
"""

_C = """\
▸#include <stdio.h>
▸#define MAX(a, b) ((a) > (b) ? (a) : (b))

▸#ifdef FOO
▸struct point {
▸  int x;
▸  char *name;
};
#endif

/* Moves a point's x { ü. */
▸static int move(struct point *p, int d)
{
▸  if (d < 0)
▸    return -1;
▸  for (int i = 0; i < d; i++) {
▸    p->x += i;
▸    printf("%d {\\n", '}');
  }
▸  switch (d) {
▸  case 1:
▸    break;
▸  default:
▸    p->name = "a";
  }
▸  return MAX(p->x, d);
}
"""

_CPP = """\
▸#include <vector>

▸namespace geo {
▸template <typename T>
class Point : public Base<T> {
▸ public:
▸  explicit Point(T x) : x_(std::move(x)) {}
▸  auto far(const T& d) const -> double {
▸    auto f = [this](auto y) { return y * 2'000; };
▸    for (const auto& p : points_) {
▸      if (p.x_ < d) continue;
    }
▸    try {
▸      return f(d) + R"x(raw " { ü)x"[0];
    } catch (const std::exception& e) {
▸      throw;
    }
  }

▸ private:
▸  T x_;
};
}  // namespace geo
"""

_PYTHON = """\
▸import os

▸@cache
▸def total(items: list[int], *, tax=0.1) -> float:
    '''Adds {items}: it's ü.'''
▸    if not items:
▸        return 0
    # nothing
▸    for item in items:
▸        print(f"{item!r} ({tax})")
▸    return sum(
        x for x in items
    )
"""

MARKED = {
    "python": _PYTHON.replace("    '''", "▸    '''"),
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TSX,
    "go": _GO,
    "rust": _RUST,
    "java": _JAVA,
    "c": _C,
    "cpp": _CPP,
}


@pytest.fixture
def marked_program(language: str) -> str:
    """The program in the test's `language`, with its marks."""
    return MARKED.get(language, _C)  # a language nobody knows looks like C


@pytest.fixture
def program(marked_program: str) -> str:
    """The program in the test's `language`."""
    return marked_program.replace("▸", "")
