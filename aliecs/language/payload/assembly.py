"""The tags that put templates together: include, import, extends, block, macro.

A name in so many words is resolved before anything is rendered, by `linking`, which leaves what it
found in `references`; an expression is resolved when its turn comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from aliecs.language.payload.error import PayloadError
from aliecs.language.payload.evaluation import Body, Expression, Frame, ILinked, Output, Statement
from aliecs.language.payload.expression import Callee, Literal
from aliecs.language.payload.lexing import IDENTIFIER, KEYWORD, STRING, SYMBOL, Token
from aliecs.language.payload.parsing import Cursor, Parser, Tag
from aliecs.language.payload.value import BlockView, SafeText, to_text


def lineage(linked: ILinked) -> tuple[ILinked, ...]:
    """A template and all that it extends, one after the other."""
    found = [linked]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return tuple(found)


def run_document(frame: Frame, output: Output) -> None:
    """Run the template that the first of the frame's lineage is: that is the body of the last."""
    frame.linked = frame.lineage[-1]
    frame.linked.document.body.run(frame, output)


# --- include -------------------------------------------------------------------------------------


@define(eq=False)
class Include:
    """`include`: another template's output."""

    token: Token
    name: Expression
    literal: str | None
    """The name in so many words; else it is an expression."""
    if_exists: bool
    pairs: dict[str, Expression]
    only: bool
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        """Run the other template here, with names of its own."""
        context: dict[str, Any] = {}
        if not self.only:
            frame.render.spend((len(frame.public) + len(frame.private)) >> 2)
            context.update(frame.public)
            context.update(frame.private)
        context.update({name: value.evaluate(frame) for name, value in self.pairs.items()})
        if self.literal is not None:
            linked = frame.linked.references[self]
            state = frame.state.setdefault(self, {})
        else:
            linked = self._resolved(frame)
            state = {}
        if linked is None:
            return
        frame.enter("includes", self.token)
        run_document(Frame(frame.render, context, {}, linked, lineage(linked), state), output)
        frame.leave()

    def _resolved(self, frame: Frame) -> ILinked | None:
        name = to_text(self.name.evaluate(frame))
        if not name:
            reason = "Filename for 'include'-tag evaluated to an empty string."
            raise frame.error(reason, self.token)
        try:
            return frame.render.load(name)
        except PayloadError as error:
            if self.if_exists and error.stage == "fromfile":
                return None
            raise


def _parse_include(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    literal = arguments.match(STRING)
    if literal is not None:
        filename: Expression = Literal(literal, literal.text)
    else:
        filename = arguments.expression()
    if_exists = arguments.match(IDENTIFIER, "if_exists") is not None
    pairs: dict[str, Expression] = {}
    only = False
    if arguments.match(IDENTIFIER, "with"):
        while arguments.remaining:
            key = arguments.need(IDENTIFIER, "", "Expected an identifier")
            arguments.need(SYMBOL, "=", "Expected '='.")
            pairs[key.text] = arguments.expression()
            if arguments.match(IDENTIFIER, "only"):
                only = True
                break
    arguments.finish("Malformed 'include'-tag arguments.")
    include = Include(
        literal or name,
        filename,
        None if literal is None else literal.text,
        if_exists,
        pairs,
        only,
        4 + len(arguments.tokens),
    )
    if literal is not None:
        parser.document.references.append(include)
    return include


# --- extends, block ------------------------------------------------------------------------------


@define(eq=False)
class Extends:
    """`extends`: this template only defines blocks of another one."""

    token: Token
    literal: str
    if_exists: bool = False
    weight: int = 1

    def run(self, frame: Frame, output: Output) -> None:
        """Nothing: a template that extends another one is not run itself."""


def _parse_extends(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    if parser.depth > 1:
        raise arguments.error("The 'extends' tag can only defined on root level.", name)
    if parser.document.parent is not None:
        raise arguments.error("This template has already one parent.", name)
    reason = "Tag 'extends' requires a template filename as string."
    literal = arguments.need(STRING, "", reason)
    arguments.finish("Tag 'extends' does only take 1 argument.")
    extends = Extends(literal, literal.text)
    parser.document.parent = extends
    parser.document.references.append(extends)
    return extends


@define(eq=False)
class _Block:
    token: Token
    name: str
    weight: int = 2

    def run(self, frame: Frame, output: Output) -> None:
        owners = [owner for owner in frame.lineage if self.name in owner.document.blocks]
        running = frame.linked
        # The name stays behind when the block is over.
        frame.private["block"] = BlockView(_Super(self, owners[1:], frame))
        frame.linked = owners[0]
        owners[0].document.blocks[self.name].run(frame, output)
        frame.linked = running


@define(eq=False)
class _Super(Callee):
    """The method `block.Super`: the block of this name of the template that is extended."""

    block: _Block
    owners: list[ILinked]
    frame: Frame

    def invoke(self, frame: Frame, arguments: list[Any], token: Token, name: str) -> str:
        """Its output; nothing where there is no such block."""
        if arguments:
            raise frame.error(f"'{name}' takes no arguments", token)
        if not self.owners:
            return SafeText("")
        frame.enter("blocks", token)
        inner = self.frame.child()
        inner.linked = self.owners[0]
        inner.private["block"] = BlockView(_Super(self.block, self.owners[1:], inner))
        text = self.owners[0].document.blocks[self.block.name].captured(inner)
        frame.leave()
        return SafeText(text)


def _parse_block(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    block_name = arguments.need(IDENTIFIER, "", "Tag 'block' requires an identifier.")
    arguments.finish("Tag 'block' takes exactly 1 argument (an identifier).")
    body, _, rest = parser.until("endblock")
    if rest.remaining:
        reason = "Name for 'endblock' must equal to 'block'-tag's name."
        rest.need(IDENTIFIER, block_name.text, reason)
        rest.finish("Either no or only one argument (identifier) allowed for 'endblock'.")
    if block_name.text in parser.document.blocks:
        raise arguments.error(f"Block named '{block_name.text}' already defined", block_name)
    parser.document.blocks[block_name.text] = body
    return _Block(block_name, block_name.text)


# --- macro, import -------------------------------------------------------------------------------


@define(eq=False)
class MacroDefinition:
    """`macro`: a piece of a template with a name and parameters."""

    token: Token
    name: str
    parameters: list[tuple[str, Expression | None]]
    """Names with their defaults; of two equal names the last counts."""
    body: Body
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        """Make the name known."""
        frame.private[self.name] = Macro(self, frame, frame.linked, frame.state)


@define(eq=False)
class Macro(Callee):
    """A macro that can be called; it sees the names that are known where it was defined."""

    definition: MacroDefinition
    frame: Frame
    linked: ILinked
    state: dict[Any, Any]

    def invoke(self, frame: Frame, arguments: list[Any], token: Token, name: str) -> str:
        """What it writes, which is not escaped again."""
        definition = self.definition
        if len(arguments) > len(definition.parameters):
            raise frame.error(
                f"Macro '{definition.name}' called with too many arguments "
                f"({len(arguments)} instead of {len(definition.parameters)}).",
                token,
            )
        frame.enter("macros", token)
        # All defaults are evaluated, those that are not needed too.
        given: dict[str, Any] = {
            parameter: None if default is None else default.evaluate(self.frame)
            for parameter, default in definition.parameters
        }
        for (parameter, _), value in zip(definition.parameters, arguments, strict=False):
            given[parameter] = str(value) if isinstance(value, SafeText) else value
        inner = self.frame.child()
        inner.linked, inner.state = self.linked, self.state
        inner.private.update(given)
        text = definition.body.captured(inner)
        frame.leave()
        return SafeText(text)


def _parse_macro(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    macro_name = arguments.need(IDENTIFIER, "", "Macro-tag needs at least an identifier as name.")
    arguments.need(SYMBOL, "(", "Expected '('.")
    parameters: list[tuple[str, Expression | None]] = []
    while not arguments.match(SYMBOL, ")"):
        reason = "Expected argument name as identifier."
        parameter = arguments.need(IDENTIFIER, "", reason).text
        default = arguments.expression() if arguments.match(SYMBOL, "=") else None
        parameters.append((parameter, default))
        if arguments.match(SYMBOL, ")"):
            break
        arguments.need(SYMBOL, ",", "Expected ',' or ')'.")
    exported = arguments.match(KEYWORD, "export") is not None
    arguments.finish("Malformed macro-tag.")
    body, _, rest = parser.until("endmacro")
    rest.finish("Arguments not allowed here.")
    weight = 1 + len(arguments.tokens)
    definition = MacroDefinition(macro_name, macro_name.text, parameters, body, weight)
    if exported:
        if macro_name.text in parser.document.exported:
            reason = f"another macro with name '{macro_name.text}' already exported"
            raise arguments.error(reason, name)
        parser.document.exported[macro_name.text] = definition
    return definition


@define(eq=False)
class Import:
    """`import`: macros of another template."""

    token: Token
    literal: str
    names: dict[str, Token]
    """Name here -> name there."""
    weight: int
    if_exists: bool = False

    def run(self, frame: Frame, output: Output) -> None:
        """Make the macros known."""
        linked = frame.linked.references[self]
        state = frame.state.setdefault(self, {})
        for name, macro_name in self.names.items():
            definition = linked.document.exported[macro_name.text]
            frame.private[name] = Macro(definition, frame, linked, state)

    def check(self, linked: ILinked, path: str) -> None:
        """Whether the other template has the macros. Raises `PayloadError` where it has not."""
        for token in self.names.values():
            if token.text not in linked.document.exported:
                reason = f"Macro '{token.text}' not found (or not exported) in '{linked.path}'."
                raise PayloadError(reason, "parser", path, token.line, token.column, token.text)


def _parse_import(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    literal = arguments.need(STRING, "", "Import-tag needs a filename as string.")
    if not arguments.remaining:
        raise arguments.error("You must at least specify one macro to import.", literal)
    names: dict[str, Token] = {}
    while arguments.remaining:
        macro_name = arguments.need(IDENTIFIER, "", "Expected macro name (identifier).")
        alias = macro_name.text
        if arguments.match(KEYWORD, "as"):
            alias = arguments.need(IDENTIFIER, "", "Expected macro alias name (identifier).").text
        names[alias] = macro_name
        if not arguments.remaining:
            break
        arguments.need(SYMBOL, ",", "Expected ','.")
    statement = Import(literal, literal.text, names, 1 + len(names))
    parser.document.references.append(statement)
    return statement


ASSEMBLY_TAGS: Mapping[str, Tag] = {
    "block": _parse_block,
    "extends": _parse_extends,
    "import": _parse_import,
    "include": _parse_include,
    "macro": _parse_macro,
}
"""The tags of this module by name."""
