"""The languages we have grammars for, as data: node types sorted into our four kinds, tokens, and how a statement ends.

Source: the node-types.json of the grammar wheels (versions in ci/constraints.txt) and each language's lexical grammar;
names are LSP's language ids. Left out: loading a grammar (trees.py) and every rule that reads these tables; a type that
a wheel does not know makes a test fail. Which languages a *model* knows is its preset's business, not this file's.
"""

from typing import Literal

import msgspec

SpanKind = Literal["expression", "statement", "block", "arguments"]


class Grammar(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of `model.syntax` needs to know of a language.

    `module` and `function` name the wheel's entry. `body` says what holds a compound statement's body together,
    `ends_at_newline` whether a statement may end without a `;`, `operators_lead` whether a line that begins with an
    operator goes on with the one above. `tokens` is the scanner's pattern (scan.py); `sections` hold statements without
    being a block; `clause_words` continue a statement after its body has ended, `label_words` begin a line that a colon
    ends.
    """

    module: str = ""
    function: str = "language"
    body: Literal["indentation", "braces"] = "braces"
    ends_at_newline: bool = False
    operators_lead: bool = True
    tokens: str = ""
    statements: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    sections: frozenset[str] = frozenset()
    arguments: frozenset[str] = frozenset()
    expressions: frozenset[str] = frozenset()
    comments: frozenset[str] = frozenset({"comment"})
    clause_words: tuple[str, ...] = ()
    label_words: tuple[str, ...] = ()

    def kind(self, node_type: str) -> SpanKind | None:
        """Our name for a node type, or None when the node is neither of the four kinds."""
        if node_type in self.expressions:
            return "expression"
        if node_type in self.statements:
            return "statement"
        if node_type in self.blocks:
            return "block"
        if node_type in self.arguments:
            return "arguments"
        return None


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Tokens: named groups in the order in which they are tried. An unfinished comment or many-line string runs to the end
# of the text, an unfinished one-line string to the end of its line (no later line can mend it).
_BRACKETS = r"(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<word>\w+)|(?P<other>\S)"
_COMMENT = r"(?P<comment>//[^\n]*|/\*[\s\S]*?(?:\*/|\Z))"
_DOUBLE = r'"(?:\\(?:\r?\n|.)|[^"\\\n])*"?'
_SINGLE = r"'(?:\\(?:\r?\n|.)|[^'\\\n])*'?"
_BACKTICK = r"`(?:\\[\s\S]|[^`\\])*(?:`|\Z)"
_RAW_BACKTICK = r"`[^`]*(?:`|\Z)"
_DIRECTIVE = r"(?P<directive>(?m:^)[ \t]*\#(?:\\\r?\n|[^\n])*)"
# Bounded, or a long line of slashes that close nothing would take the square of its length.
_REGEX = r"(?P<regex>/(?:\\.|\[(?:\\.|[^\]\\\n]){0,200}\]|[^/\\\n\[]){1,400}/[a-z]*)"
_NUMBER = r"(?P<number>\d[\w.]*(?:'\w+)*)"  # C++ writes 1'000

_SCRIPT_TOKENS = f"{_COMMENT}|{_REGEX}|(?P<string>{_DOUBLE}|{_SINGLE}|{_BACKTICK})|{_BRACKETS}"
_C_TOKENS = f"{_DIRECTIVE}|{_COMMENT}|(?P<string>{_DOUBLE}|{_SINGLE})|{_NUMBER}|{_BRACKETS}"
_CPP_RAW = r'(?:u8|[uUL])?R"(?P<fence>[^ ()\\\n]{0,16})\([\s\S]*?(?:\)(?P=fence)"|\Z)'
_RUST_RAW = r'b?r(?P<fence>\#*)"[\s\S]*?(?:"(?P=fence)|\Z)'
_RUST_STRING = r"""b?"(?:\\[\s\S]|[^"\\])*(?:"|\Z)|b?'(?:\\[^\n']+|\\'|[^'\\\n])'"""
_JAVA_BLOCK = r'"""(?:\\[\s\S]|[^\\])*?(?:"""|\Z)'

_PYTHON_STRING = (
    r"""(?:[rRbBuUfFtT]{0,2})(?:'''(?:\\[\s\S]|[^\\])*?(?:'''|\Z)|\"\"\"(?:\\[\s\S]|[^\\])*?(?:\"\"\"|\Z)"""
    rf"|{_SINGLE}|{_DOUBLE})"
)

# Text without a grammar: quotes count only where they are closed on their line, for prose has apostrophes.
PLAIN = Grammar(ends_at_newline=True, tokens=rf'(?P<string>"(?:\\.|[^"\\\n])*")|{_BRACKETS}')

_PYTHON = Grammar(
    module="tree_sitter_python",
    body="indentation",
    ends_at_newline=True,
    tokens=rf"(?P<comment>#[^\n]*)|(?P<string>{_PYTHON_STRING})|{_NUMBER}|{_BRACKETS}",
    statements=_set(
        "assert_statement break_statement class_definition continue_statement decorated_definition delete_statement "
        "exec_statement expression_statement for_statement function_definition future_import_statement "
        "global_statement if_statement import_from_statement import_statement match_statement nonlocal_statement "
        "pass_statement print_statement raise_statement return_statement try_statement type_alias_statement "
        "while_statement with_statement"
    ),
    blocks=_set("block"),
    arguments=_set("argument_list parameters lambda_parameters"),
    expressions=_set(
        "assignment attribute augmented_assignment await binary_operator boolean_operator call comparison_operator "
        "concatenated_string conditional_expression dictionary dictionary_comprehension false float "
        "generator_expression identifier integer lambda list list_comprehension named_expression none not_operator "
        "pair parenthesized_expression set set_comprehension string subscript true tuple unary_operator "
        "expression_list pattern_list yield"
    ),
    clause_words=("else", "elif", "except", "finally", "case"),
)

_SCRIPT_STATEMENTS = (
    "break_statement class_declaration class_static_block continue_statement debugger_statement do_statement "
    "empty_statement export_statement expression_statement for_in_statement for_statement function_declaration "
    "generator_function_declaration if_statement import_statement labeled_statement lexical_declaration "
    "method_definition return_statement switch_case switch_default switch_statement throw_statement try_statement "
    "variable_declaration while_statement with_statement"
)
_SCRIPT_EXPRESSIONS = (
    "array arrow_function assignment_expression augmented_assignment_expression await_expression binary_expression "
    "call_expression class false function_expression generator_function identifier member_expression meta_property "
    "new_expression null number object pair parenthesized_expression regex sequence_expression "
    "shorthand_property_identifier spread_element string subscript_expression super template_string "
    "ternary_expression this true unary_expression undefined update_expression yield_expression"
)
_JSX_EXPRESSIONS = "jsx_element jsx_expression jsx_self_closing_element"
_SCRIPT_LABELS = ("case", "default")

_JAVASCRIPT = Grammar(
    module="tree_sitter_javascript",
    ends_at_newline=True,
    tokens=_SCRIPT_TOKENS,
    statements=_set(f"{_SCRIPT_STATEMENTS} field_definition using_declaration"),
    blocks=_set("statement_block class_body switch_body"),
    arguments=_set("arguments formal_parameters"),
    expressions=_set(f"{_SCRIPT_EXPRESSIONS} {_JSX_EXPRESSIONS}"),
    comments=_set("comment html_comment"),
    label_words=_SCRIPT_LABELS,
)

_TYPESCRIPT = Grammar(
    module="tree_sitter_typescript",
    function="language_typescript",
    ends_at_newline=True,
    tokens=_SCRIPT_TOKENS,
    statements=_set(
        f"{_SCRIPT_STATEMENTS} abstract_class_declaration abstract_method_signature ambient_declaration "
        "enum_assignment enum_declaration function_signature import_alias index_signature interface_declaration "
        "internal_module method_signature module property_signature public_field_definition type_alias_declaration"
    ),
    blocks=_set("statement_block class_body switch_body enum_body interface_body"),
    arguments=_set("arguments formal_parameters type_arguments type_parameters"),
    expressions=_set(
        f"{_SCRIPT_EXPRESSIONS} as_expression instantiation_expression non_null_expression satisfies_expression"
    ),
    comments=_set("comment html_comment"),
    label_words=_SCRIPT_LABELS,
)

_TSX = msgspec.structs.replace(
    _TYPESCRIPT, function="language_tsx", expressions=_TYPESCRIPT.expressions | _set(_JSX_EXPRESSIONS)
)

_GO = Grammar(
    module="tree_sitter_go",
    ends_at_newline=True,
    operators_lead=False,
    tokens=f"{_COMMENT}|(?P<string>{_DOUBLE}|{_SINGLE}|{_RAW_BACKTICK})|{_BRACKETS}",
    statements=_set(
        "assignment_statement break_statement communication_case const_declaration const_spec continue_statement "
        "dec_statement default_case defer_statement empty_statement expression_case expression_statement "
        "expression_switch_statement fallthrough_statement field_declaration for_statement function_declaration "
        "go_statement goto_statement if_statement import_declaration import_spec inc_statement labeled_statement "
        "method_declaration method_elem package_clause receive_statement return_statement select_statement "
        "send_statement short_var_declaration type_alias type_case type_declaration type_spec type_switch_statement "
        "var_declaration var_spec"
    ),
    blocks=_set("block field_declaration_list import_spec_list var_spec_list"),
    arguments=_set("argument_list parameter_list type_arguments type_parameter_list"),
    expressions=_set(
        "binary_expression call_expression composite_literal expression_list false float_literal func_literal "
        "identifier imaginary_literal index_expression int_literal interpreted_string_literal iota keyed_element "
        "literal_value nil parenthesized_expression raw_string_literal rune_literal selector_expression "
        "slice_expression true type_assertion_expression type_conversion_expression type_instantiation_expression "
        "unary_expression"
    ),
    label_words=("case", "default"),
)

_RUST = Grammar(
    module="tree_sitter_rust",
    tokens=f"{_COMMENT}|(?P<string>{_RUST_RAW}|{_RUST_STRING})|{_BRACKETS}",
    statements=_set(
        "associated_type attribute_item const_item empty_statement enum_item enum_variant expression_statement "
        "extern_crate_declaration field_declaration foreign_mod_item function_item function_signature_item impl_item "
        "inner_attribute_item let_declaration macro_definition match_arm mod_item static_item struct_item trait_item "
        "type_item union_item use_declaration"
    ),
    blocks=_set("block declaration_list enum_variant_list field_declaration_list match_block"),
    arguments=_set("arguments closure_parameters parameters type_arguments type_parameters"),
    expressions=_set(
        "array_expression assignment_expression async_block await_expression binary_expression boolean_literal "
        "break_expression call_expression char_literal closure_expression compound_assignment_expr const_block "
        "continue_expression field_expression field_initializer float_literal for_expression generic_function "
        "identifier if_expression index_expression integer_literal loop_expression macro_invocation match_expression "
        "parenthesized_expression range_expression raw_string_literal reference_expression return_expression "
        "scoped_identifier self string_literal struct_expression try_block try_expression tuple_expression "
        "type_cast_expression unary_expression unit_expression unsafe_block while_expression yield_expression"
    ),
    comments=_set("line_comment block_comment"),
)

_JAVA = Grammar(
    module="tree_sitter_java",
    tokens=f"{_COMMENT}|(?P<string>{_JAVA_BLOCK}|{_DOUBLE}|{_SINGLE})|{_BRACKETS}",
    statements=_set(
        "annotation_type_declaration annotation_type_element_declaration assert_statement break_statement "
        "class_declaration compact_constructor_declaration constant_declaration constructor_declaration "
        "continue_statement do_statement enhanced_for_statement enum_constant enum_declaration "
        "explicit_constructor_invocation expression_statement field_declaration for_statement if_statement "
        "import_declaration interface_declaration labeled_statement local_variable_declaration method_declaration "
        "module_declaration package_declaration record_declaration return_statement static_initializer "
        "switch_block_statement_group switch_rule synchronized_statement throw_statement try_statement "
        "try_with_resources_statement while_statement yield_statement"
    ),
    blocks=_set("annotation_type_body block class_body constructor_body enum_body interface_body switch_block"),
    arguments=_set("annotation_argument_list argument_list formal_parameters type_arguments type_parameters"),
    expressions=_set(
        "array_access array_creation_expression array_initializer assignment_expression binary_expression "
        "binary_integer_literal cast_expression character_literal class_literal decimal_floating_point_literal "
        "decimal_integer_literal false field_access hex_floating_point_literal hex_integer_literal identifier "
        "instanceof_expression lambda_expression method_invocation method_reference null_literal "
        "object_creation_expression octal_integer_literal parenthesized_expression scoped_identifier string_literal "
        "super switch_expression template_expression ternary_expression this true unary_expression update_expression"
    ),
    comments=_set("line_comment block_comment"),
    label_words=("case", "default"),
)

_C_STATEMENTS = (
    "attributed_statement break_statement case_statement continue_statement declaration do_statement enumerator "
    "expression_statement field_declaration for_statement function_definition goto_statement if_statement "
    "labeled_statement linkage_specification preproc_call preproc_def preproc_function_def preproc_if preproc_ifdef "
    "preproc_include return_statement seh_leave_statement seh_try_statement switch_statement type_definition "
    "while_statement"
)
_C_SECTIONS = "preproc_elif preproc_elifdef preproc_else preproc_if preproc_ifdef"
_C_EXPRESSIONS = (
    "alignof_expression assignment_expression binary_expression call_expression cast_expression char_literal "
    "comma_expression compound_literal_expression concatenated_string conditional_expression extension_expression "
    "false field_expression generic_expression gnu_asm_expression identifier initializer_list initializer_pair null "
    "number_literal offsetof_expression parenthesized_expression pointer_expression sizeof_expression string_literal "
    "subscript_expression true unary_expression update_expression"
)

_C = Grammar(
    module="tree_sitter_c",
    tokens=_C_TOKENS,
    statements=_set(_C_STATEMENTS),
    blocks=_set("compound_statement declaration_list enumerator_list field_declaration_list"),
    sections=_set(_C_SECTIONS),
    arguments=_set("argument_list parameter_list preproc_params"),
    expressions=_set(_C_EXPRESSIONS),
    label_words=("case", "default"),
)

_CPP = Grammar(
    module="tree_sitter_cpp",
    tokens=_C_TOKENS.replace("(?P<string>", f"(?P<string>{_CPP_RAW}|"),
    statements=_set(
        f"{_C_STATEMENTS} access_specifier alias_declaration co_return_statement co_yield_statement "
        "concept_definition for_range_loop friend_declaration namespace_alias_definition namespace_definition "
        "static_assert_declaration template_declaration template_instantiation throw_statement try_statement "
        "using_declaration"
    ),
    blocks=_set("compound_statement declaration_list enumerator_list field_declaration_list requirement_seq"),
    sections=_set(_C_SECTIONS),
    arguments=_set("argument_list parameter_list preproc_params template_argument_list template_parameter_list"),
    expressions=_set(
        f"{_C_EXPRESSIONS} co_await_expression delete_expression fold_expression lambda_expression new_expression "
        "qualified_identifier raw_string_literal requires_expression template_function this user_defined_literal"
    ),
    label_words=("case", "default", "public", "private", "protected"),
)

LANGUAGES = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "javascriptreact": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TSX,
    "go": _GO,
    "rust": _RUST,
    "java": _JAVA,
    "c": _C,
    "cpp": _CPP,
}
"""By LSP language id."""

_LANGUAGE_OF_SUFFIX = {
    **dict.fromkeys((".py", ".pyi"), "python"),
    **dict.fromkeys((".js", ".mjs", ".cjs"), "javascript"),
    ".jsx": "javascriptreact",
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "typescriptreact",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
    ".c": "c",
    **dict.fromkeys((".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"), "cpp"),
}


def language_of_suffix(suffix: str) -> str:
    """The language id that editors give to files with this suffix (`.h` as VS Code does: C++); unknown ones get their
    own name, none `plaintext`."""
    suffix = suffix.lower()
    return _LANGUAGE_OF_SUFFIX.get(suffix) or suffix.lstrip(".") or "plaintext"
