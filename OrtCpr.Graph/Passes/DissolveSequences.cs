using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Sequences and optionals whose lengths and positions are known are no more than names for their tensors: the
/// operators on them are dissolved into those. What is left (a length that depends on data, a sequence that goes into a
/// loop) keeps its operators, and they are refused where a gradient would pass.</summary>
internal sealed class DissolveSequences
{
    private readonly OnnxGraph _graph;
    private readonly ShapeInference _known;
    private readonly GraphBuilder _builder;
    private readonly List<Node> _written = [];
    private readonly Dictionary<Value, Value[]> _sequences = [];

    private DissolveSequences(OnnxGraph graph, ShapeInference known)
    {
        _graph = graph;
        _known = known;
        _builder = new GraphBuilder(graph, known, _written);
    }

    /// <summary>True when anything was.</summary>
    public static bool Run(OnnxModel model, ShapeInference known)
    {
        var pass = new DissolveSequences(model.Graph, known);
        pass.Run();
        return pass._sequences.Count > 0;
    }

    private void Run()
    {
        foreach (Node node in _graph.Nodes.ToList())
        {
            if (node.Domain.Length != 0 || node.Outputs[0] is not Value output) continue;
            _builder.Scope = output.Name;
            if (node.Is("SequenceMap")) Map(node);
            else if (Elements(node) is Value[] elements) _sequences[output] = elements;
            else if (Tensor(node) is Value tensor) Replace(node, output, tensor);
        }
        // Operators that made a dissolved sequence go when nobody reads it any more.
        RemoveDeadNodes.Run(_graph);
    }

    /// <summary>The tensors of the sequence (or the one of the optional) that the node makes; null when it makes none,
    /// or an unknown one.</summary>
    private Value[]? Elements(Node node)
    {
        switch (node.OpType)
        {
            case "SequenceEmpty": return [];
            case "SequenceConstruct": return [.. node.Inputs.OfType<Value>()];
            case "Optional": return node.In(0) is Value inner ? _sequences.GetValueOrDefault(inner) ?? [inner] : null;
            case "OptionalGetElement" or "Identity" when Sequence(node) is Value[] same
            && node.Outputs[0]!.Type == ElementType.Undefined:
                return same;
            case "SequenceInsert" when Sequence(node) is Value[] before
            && Position(node.In(2), before.Length, before.Length, after: 1) is int at:
                return [.. before[..at], node.Inputs[1]!, .. before[at..]];
            case "SequenceErase" when Sequence(node) is Value[] before && Position(node.In(1), before.Length, before.Length - 1) is int at:
                return [.. before[..at], .. before[(at + 1)..]];
            case "SplitToSequence": return Split(node);
            default: return null;
        }
    }

    /// <summary>What the node takes out of a known sequence.</summary>
    private Value? Tensor(Node node)
    {
        // From opset 18 on a tensor may stand for an optional that has it.
        if (node.OpType == "OptionalGetElement" && node.In(0) is Value { Type: not ElementType.Undefined } plain) return plain;
        if (Sequence(node) is not Value[] elements) return null;
        switch (node.OpType)
        {
            case "SequenceAt" when Position(node.In(1), elements.Length, null) is int at: return elements[at];
            case "SequenceLength": return _builder.Int(elements.Length);
            case "OptionalGetElement" when elements.Length == 1: return elements[0];
            case "OptionalHasElement": return _builder.Constant(TensorData.Scalar(true));
            case "ConcatFromSequence" when elements.Length > 0:
                int axis = (int)node.Int("axis", 0);
                return _builder.Concat(axis, node.Int("new_axis", 0) == 0 ? elements
                    : [.. elements.Select(e => _builder.Unsqueeze(e, axis))]);
            default: return null;
        }
    }

    /// <summary>The body once for each element; tensors beside the sequences are the same for all.</summary>
    private void Map(Node node)
    {
        if (Sequence(node) is not Value[] first) return;
        OnnxGraph body = node.Graph("body");
        Value[][] inputs = [.. node.Inputs.Select(i => _sequences.GetValueOrDefault(i!) ?? [.. Enumerable.Repeat(i!, first.Length)])];
        if (inputs.Any(i => i.Length != first.Length)) return;
        Value[][] results = [.. node.Outputs.Select(_ => new Value[first.Length])];
        for (int i = 0; i < first.Length; i++)
        {
            var copier = new GraphCopier(_graph.Names, "/recompute");
            for (int k = 0; k < inputs.Length; k++) copier.Map[body.Inputs[k]] = inputs[k][i];
            foreach (Value constant in body.Initializers) copier.Map[constant] = constant;
            _written.AddRange(body.Nodes.Select(copier.Node));
            for (int k = 0; k < results.Length; k++) results[k][i] = copier.Map.GetValueOrDefault(body.Outputs[k], body.Outputs[k]);
        }
        foreach (Value constant in body.Initializers) _graph.Initializers.Add(constant);
        foreach (Node copy in _written) _known.Visit(copy);
        Insert(node);
        for (int k = 0; k < results.Length; k++)
        {
            if (node.Outputs[k] is Value output) _sequences[output] = results[k];
        }
    }

    private Value[]? Sequence(Node node) => node.In(0) is Value value ? _sequences.GetValueOrDefault(value) : null;

    /// <summary>Negative ones count from the end; SequenceInsert may also name the position after it.</summary>
    private int? Position(Value? position, int length, int? fallback, int after = 0)
    {
        if (position is null) return fallback;
        return _known.Constants(position) is [long at] && (at < 0 ? at + length : at) is long index && index >= 0 && index < length + after
            ? (int)index : null;
    }

    /// <summary>Pieces of a given size, the last one possibly smaller, or of given sizes; one row each and without the
    /// axis when no split is given and keepdims is 0.</summary>
    private Value[]? Split(Node node)
    {
        Value x = node.Inputs[0]!;
        if (x.Shape is not Shape shape) return null;
        int axis = shape.Axis(node.Int("axis", 0));
        long[]? sizes = node.In(1) is Value given && given.Shape is { Rank: 1 } ? _known.Constants(given)
            : shape[axis].Known is long length && (node.In(1) is null ? [1] : _known.Constants(node.In(1))) is [long size and > 0]
            ? [.. Enumerable.Range(0, (int)((length + size - 1) / size)).Select(i => Math.Min(size, length - (i * size)))] : null;
        if (sizes is null || sizes.Length == 0) return null;
        Value[] parts = [.. _builder.Ops("Split", sizes.Length, [x, _builder.Ints(sizes)], ("axis", axis))];
        Insert(node);
        return node.In(1) is null && node.Int("keepdims", 1) == 0 ? Squeezed(node, parts, axis) : parts;
    }

    private Value[] Squeezed(Node node, Value[] parts, int axis)
    {
        Value[] rows = [.. parts.Select(p => _builder.Squeeze(p, axis))];
        Insert(node);
        return rows;
    }

    private void Insert(Node before)
    {
        _graph.Nodes.InsertRange(_graph.Nodes.IndexOf(before), _written);
        _written.Clear();
    }

    private void Replace(Node node, Value output, Value tensor)
    {
        Insert(node);
        var copy = new Node("", "Identity", _graph.Names.Unique($"{output.Name}/Identity"));
        copy.Inputs.Add(tensor);
        copy.Outputs.Add(output);
        output.Producer = copy;
        _graph.Nodes[_graph.Nodes.IndexOf(node)] = copy;
        output.Type = tensor.Type;
        output.Shape ??= tensor.Shape;
    }
}
