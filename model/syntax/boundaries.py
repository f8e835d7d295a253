"""Where a draft may be cut into denoising blocks: the starts of its statements.

Source: the request's `boundaries` field (block starts of draft text; a masked canvas has none, its statements are not
known yet). Left out: merging short statements into blocks of a good size, which needs token counts and is the engine's.
"""

from model.syntax.trees import CharOffsets, grammar, parse


def statement_starts(source: str, language: str) -> list[int]:
    """Character offsets, ascending, of the lines on which a statement begins.

    An offset is the start of the line, so that indentation goes into the block of the statement it belongs to. A
    statement behind another one on the same line gives none. What stands directly in a block or at the top counts
    whatever it is called (a tail expression, a bare `struct`). Without a grammar: the starts of all non-blank lines.
    """
    tree = parse(source, language)
    kinds = grammar(language)
    if tree is None or kinds is None:
        return _line_starts(source)
    offsets = CharOffsets(source)
    starts: set[int] = set()
    cursor = tree.walk()
    is_in_block = [False]  # for each node on the way down: does its parent hold statements?
    while True:
        node = cursor.node
        assert node is not None
        is_statement = node.type in kinds.statements or (
            is_in_block[-1] and node.type not in kinds.comments and not node.is_error
        )
        if node.is_named and is_statement and node.end_byte > node.start_byte:
            line = offsets.line_start(node.start_point[0])
            first = offsets.of(node.start_point)
            if not source[line:first].strip():
                starts.add(line)
        if cursor.goto_first_child():
            is_in_block.append(len(is_in_block) == 1 or node.type in kinds.blocks or node.type in kinds.sections)
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return sorted(starts)
            is_in_block.pop()


def _line_starts(source: str) -> list[int]:
    starts: list[int] = []
    start = 0
    for line in source.split("\n"):
        if line.strip():
            starts.append(start)
        start += len(line) + 1
    return starts
