"""What an output of a graph is computed from, read from its definition: nodes, and functions that they call.

In a GraphDef an input of a node is `node`, `node:output` or `^node`, which only orders. In the body of a function
it is the name of an argument, or `node:output argument:position in it`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

# Functions whose outputs are one by one those of the function that they call, and so their inputs.
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class GraphWalk:
    """Walks a graph backwards, from what is fetched.

    Args:
      graph_def: a `tensorflow.GraphDef`, with the library of its functions.
    """

    def __init__(self, graph_def: Any) -> None:
        self._nodes = {node.name: node for node in graph_def.node}
        self._functions = {function.signature.name: function for function in graph_def.library.function}
        self._arguments: dict[tuple[str, int], frozenset[int]] = {}

    def node(self, name: str) -> Any:
        """The NodeDef of this name; None if the graph has none."""
        return self._nodes.get(name)

    def depends(self, tensor: str, inputs: Iterable[str]) -> bool:
        """Whether the value of a tensor depends on that of one of the inputs, which are tensors as well."""
        ends = {_split(name)[0] for name in inputs}
        seen, waiting = set(), [_split(tensor)]
        while waiting:
            name, position = waiting.pop()
            if name in ends:
                return True
            node = self._nodes.get(name)
            if node is None or (name, position) in seen:
                continue
            seen.add((name, position))
            waiting.extend(_split(source) for source in self._sources(node, position) if source[:1] != "^")
        return False

    def _sources(self, node: Any, position: int) -> Iterator[str]:
        """Inputs of a node on which one of its outputs depends."""
        data = [source for source in node.input if not source.startswith("^")]
        if node.op in _CALLS and node.attr["f"].func.name in self._functions:
            yield from (data[at] for at in sorted(self._used(node.attr["f"].func.name, position)))
        else:
            yield from data

    def _used(self, function: str, position: int) -> frozenset[int]:
        """The arguments of a function on which one of its outputs depends."""
        key = (function, position)
        if key in self._arguments:
            return self._arguments[key]
        definition = self._functions[function]
        arguments = {argument.name: at for at, argument in enumerate(definition.signature.input_arg)}
        # A function that calls itself, which TensorFlow allows, is taken to depend on everything.
        self._arguments[key] = frozenset(arguments.values())
        nodes = {node.name: node for node in definition.node_def}
        used, seen = set(), set()
        waiting = [definition.ret[definition.signature.output_arg[position].name]]
        while waiting:
            source = waiting.pop()
            if source in seen or source.startswith("^"):
                continue
            seen.add(source)
            name, _, place = source.partition(":")
            if not place and name in arguments:
                used.add(arguments[name])
            elif name in nodes:
                last = place.rpartition(":")[2]
                waiting.extend(self._sources(nodes[name], int(last) if last.isdigit() else 0))
        self._arguments[key] = frozenset(used)
        return self._arguments[key]

    def needed(self, tensors: Iterable[str]) -> Iterator[Any]:
        """Every NodeDef that may run when these tensors are fetched, those in functions too."""
        functions: set[str] = set()
        nodes: set[str] = set()
        waiting = [_split(tensor)[0] for tensor in tensors]
        called: list[str] = []
        while waiting:
            name = waiting.pop()
            if name in nodes or name not in self._nodes:
                continue
            nodes.add(name)
            node = self._nodes[name]
            waiting.extend(_split(source.removeprefix("^"))[0] for source in node.input)
            called.extend(_called(node))
            yield node
        while called:
            function = called.pop()
            if function in functions or function not in self._functions:
                continue
            functions.add(function)
            for node in self._functions[function].node_def:
                called.extend(_called(node))
                yield node

    def everything(self) -> Iterator[Any]:
        """Every NodeDef of the graph and of its functions."""
        yield from self._nodes.values()
        for function in self._functions.values():
            yield from function.node_def

    def defines(self, op: str) -> bool:
        """Whether an op is a function of this graph."""
        return op in self._functions


def _called(node: Any) -> Iterator[str]:
    """Names of the functions that a node calls: in its attributes, or as its op."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _split(tensor: str) -> tuple[str, int]:
    name, _, position = tensor.partition(":")
    return name, int(position) if position.isdigit() else 0
