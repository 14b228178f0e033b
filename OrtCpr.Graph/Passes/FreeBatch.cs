using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>A model whose inputs have a fixed batch becomes one for batches of any size: the dimension is a symbol in
/// the inputs, shapes follow from it node by node, and constants that were written for the fixed size are written
/// anew. What cannot be followed is refused by node; the model then stays as it is.</summary>
/// <remarks>Two proofs: each output has the symbol in one dimension where its size was a multiple of the batch's, and,
/// where nothing is drawn at random, two batches run together give what they gave one by one
/// (<see cref="BatchCheck"/>).</remarks>
internal sealed partial class FreeBatch
{
    private readonly OnnxModel _model;
    private readonly ShapeInference _known = new();
    private readonly SymbolicInt _batch, _fixed;
    private readonly string _symbol;

    /// <summary>Shapes with the fixed batch.</summary>
    private readonly Dictionary<Value, Shape?> _old = [];

    /// <summary>Where one dimension holds more than the batch: elements of that dimension from one example to the
    /// next.</summary>
    private readonly Dictionary<Value, SymbolicInt> _inner = [];

    /// <summary>Values that depend on the examples and have the batch in no dimension any more, with the node that took
    /// it.</summary>
    private readonly Dictionary<Value, Node> _lost = [];

    /// <summary>Slices of one row that were written for values which, a round later, may turn out to go with the
    /// batch.</summary>
    private readonly HashSet<Value> _singles = [];
    private readonly Dictionary<(OnnxGraph Graph, Value Value, int Axis), Value> _widened = [];
    private (Value Input, int Axis) _source;
    private bool _rewritten;

    private FreeBatch(OnnxModel model, long size)
    {
        _model = model;
        var texts = model.Graph.Inputs.SelectMany(i => i.Shape ?? Shape.Scalar).Select(d => d.ToString()).ToList();
        _symbol = "batch";
        while (texts.Any(t => t.Contains(_symbol, StringComparison.Ordinal))) _symbol += "_";
        _batch = SymbolicInt.Symbol(_symbol);
        _fixed = SymbolicInt.Of(size);
        Remember(model.Graph);
    }

    /// <summary>What came of it.</summary>
    /// <param name="Model">The freed model; null where there is none.</param>
    /// <param name="Size">The fixed size; null where the batch is free already, or no input has one.</param>
    /// <param name="Problem">Why the batch stays fixed; null where it does not.</param>
    /// <param name="Rewritten">Whether anything but shapes changed.</param>
    public sealed record Result(OnnxModel? Model, long? Size, string? Problem, bool Rewritten = false)
    {
        /// <summary>The problem for the user, with the way out.</summary>
        public string? Warning => Problem is null ? null
            : $"The model has a fixed batch of {Size}, and keeps it: {Problem}. Train it with batches of {Size}, several a step (on the "
            + $"command line --batch-size {Size} --accumulation N), or export it with a free batch.";
    }

    /// <summary>Tries on a copy.</summary>
    /// <param name="model">Regularised, with shapes.</param>
    /// <param name="axes">The user's word on where inputs have the batch; a negative axis means nowhere.</param>
    public static Result Run(OnnxModel model, IReadOnlyDictionary<string, int> axes)
    {
        if (BatchAxes.Of(model.Graph, axes) is not { } choice) return new Result(null, null, null);
        Result result = Run(model, choice, out bool timeFirst);
        // A recurrent layer tells that the time comes first.
        string first = choice.Axes.First().Key;
        if (!timeFirst || axes.Count > 0 || model.Graph.Inputs.First(i => i.Name == first).Shape!.Rank < 2) return result;
        var second = new Dictionary<string, int>(StringComparer.Ordinal) { [first] = 1 };
        return BatchAxes.Of(model.Graph, second) is { } other && Run(model, other, out _) is { Model: not null } found ? found
            : result;
    }

    private static Result Run(OnnxModel model, BatchAxes choice, out bool timeFirst)
    {
        timeFirst = false;
        OnnxModel copy = GraphCopier.Copy(model).Model;
        var pass = new FreeBatch(copy, choice.Size);
        try
        {
            pass.Free(choice.Axes);
            if (BatchCheck.FirstDifference(model, copy, choice, pass._symbol, pass.Stride) is string where)
                throw new Refusal($"{where} mixes the examples of a batch");
            return new Result(copy, choice.Size, null, pass._rewritten);
        }
        catch (Refusal refusal)
        {
            timeFirst = refusal.TimeFirst;
            return new Result(null, choice.Size, refusal.Message);
        }
        catch (ModelFormatException error)
        {
            return new Result(null, choice.Size, error.Message);
        }
    }

    /// <summary>Why a batch of any size is out of reach.</summary>
    private sealed class Refusal(string reason) : Exception(reason)
    {
        public Refusal(Node node, string reason) : this($"node {node.Label} {reason}")
        {
        }

        /// <summary>Whether a recurrent layer has the time where the batch was taken to be.</summary>
        public bool TimeFirst { get; init; }
    }

    private void Remember(OnnxGraph graph)
    {
        foreach (Value value in graph.Inputs.Concat(graph.Initializers)) _old[value] = value.Shape;
        foreach (Node node in graph.Nodes)
        {
            foreach (Value? output in node.Outputs)
            {
                if (output is not null) _old[output] = output.Shape;
            }
            foreach (OnnxGraph body in node.Subgraphs) Remember(body);
        }
    }

    private void Free(IReadOnlyDictionary<string, int> axes)
    {
        OnnxGraph graph = _model.Graph;
        HashSet<Value> read = ReadIn(graph);
        foreach (Value input in graph.Inputs)
        {
            if (!axes.TryGetValue(input.Name, out int axis)) continue;
            input.Shape = input.Shape!.With(axis, _batch);
            input.Origin = null;
            if (_source.Input is null) _source = (input, axis);
        }
        Sweep(graph);
        read.ExceptWith(ReadIn(graph));
        graph.Initializers.RemoveAll(read.Contains);
        foreach (Value output in graph.Outputs)
        {
            if (_lost.TryGetValue(output, out Node? node))
                throw new Refusal(node, $"gives '{output.Name}' without a dimension that grows with the batch");
            if (Depends(output) && AxisOf(output) is null)
                throw new Refusal($"output '{output.Name}' {output.Shape} has the batch in more than one dimension");
        }
        GraphChecker.Check(_model, "free batch");
    }

    private static HashSet<Value> ReadIn(OnnxGraph graph) => [.. graph.Nodes.SelectMany(OnnxGraph.ReadBy), .. graph.Outputs];

    private void Sweep(OnnxGraph graph)
    {
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in graph.Nodes)
        {
            bool reached = OnnxGraph.ReadBy(node).Any(v => Depends(v) || _lost.ContainsKey(v));
            if (!reached)
            {
                _known.Visit(node);
                continue;
            }
            var before = new List<Node>();
            var g = new GraphBuilder(graph, _known, before) { Scope = $"{node.Outputs.First(o => o is not null)!.Name}/batch" };
            Value?[] inputs = [.. node.Inputs];
            Rewrite(g, node);
            Infer(g, node);
            _rewritten |= before.Count > 0 || !inputs.SequenceEqual(node.Inputs);
            if (before.Count > 0) pieces[node] = [.. before, node];
        }
        graph.Splice(pieces);
    }

    /// <summary>Shapes of what a node gives, with the symbol; what inference leaves open where the batch is found
    /// elsewhere in the shape is as it was.</summary>
    private void Infer(GraphBuilder g, Node node)
    {
        foreach (Value? output in node.Outputs)
        {
            if (output is null) continue;
            output.Shape = null;
            output.Origin = null;
        }
        if (node.Subgraphs.Any()) FreeBodies(g, node);
        _known.Visit(node);
        if (node.Subgraphs.Any()) FromBodies(node);
        if (node.Outputs.Any(o => o is not null && (o.Shape is null || o.Shape.Any(d => d.Size is null))))
        {
            Shape?[] ours = [.. node.Outputs.Select(o => o?.Shape)];
            foreach (Value? output in node.Outputs.Where(o => o is not null)) output!.Shape = null;
            RuntimeInference.Run(InferShapes.Part(_model, [node]));
            _known.Visit(node);
            for (int i = 0; i < ours.Length; i++)
            {
                if (node.Outputs[i] is Value output) output.Shape ??= ours[i];
            }
        }
        foreach (Value output in node.Outputs.OfType<Value>())
        {
            Shape? old = _old.GetValueOrDefault(output);
            if (output.Shape is Shape shape && old is not null && old.Rank == shape.Rank && Holds(shape))
                output.Shape = new Shape(shape.Zip(old, (now, then) => now.Size is null ? then : now));
            ShapeInference.NameUnknown(output);
            Follow(node, output);
        }
    }

    /// <summary>Where the batch lies in a result, and whether it was lost.</summary>
    private void Follow(Node node, Value output)
    {
        if (Depends(output))
        {
            if (AxisOf(output) is not int axis || _inner.ContainsKey(output)) return;
            SymbolicInt? times = SymbolicInt.Exact(output.Shape![axis].Size!, _batch);
            if (times is null || times.Constant == 1) return;
            Value? like = node.Inputs.FirstOrDefault(i => i is not null && AxisOf(i) is int a
                && i.Shape![a].SurelyEquals(output.Shape[axis]));
            SymbolicInt? whole = node.Inputs.OfType<Value>().Select(Stride).FirstOrDefault(s => s is not null);
            _inner[output] = OperatorTraits.Has(node, Trait.View) && whole is not null
                && SymbolicInt.Exact(whole, Behind(output.Shape, axis)) is SymbolicInt inner
                ? inner : like is not null && _inner.TryGetValue(like, out SymbolicInt? same) ? same : times;
            return;
        }
        if (node.Is("Shape") || node.Is("Size") || _known.Integers(output) is not null) return;
        _lost[output] = node.Inputs.OfType<Value>().Select(i => _lost.GetValueOrDefault(i)).FirstOrDefault(n => n is not null) ?? node;
    }

    private bool Depends(Value value) =>
        Holds(value.Shape) || (_known.Integers(value) is { } numbers && numbers.Any(n => n is not null && Holds(n)));

    private bool Holds(Shape? shape) => shape is not null && shape.Any(d => d.Size is not null && Holds(d.Size));

    private bool Holds(SymbolicInt size) => size.Constant is null && size.ToString().Contains(_symbol, StringComparison.Ordinal);

    /// <summary>The dimension that is a multiple of the batch, when there is exactly one.</summary>
    private int? AxisOf(Value value)
    {
        if (value.Shape is not Shape shape) return null;
        int axis = -1;
        for (int i = 0; i < shape.Rank; i++)
        {
            if (shape[i].Size is not SymbolicInt size || !Holds(size)) continue;
            if (axis >= 0 || SymbolicInt.Exact(size, _batch) is not SymbolicInt times || Holds(times)) return null;
            axis = i;
        }
        return axis < 0 ? null : axis;
    }

    private static SymbolicInt Behind(Shape shape, int axis) =>
        shape.Skip(axis + 1).Aggregate(SymbolicInt.One, (product, d) => product * (d.Size ?? SymbolicInt.Zero));

    /// <summary>Elements from one example to the next, in row-major order.</summary>
    private SymbolicInt? Stride(Value value)
    {
        if (AxisOf(value) is not int axis || value.Shape!.Any(d => d.Size is null)) return null;
        return Behind(value.Shape!, axis) * (_inner.GetValueOrDefault(value) ?? SymbolicInt.One);
    }

    /// <summary>The number of examples, as a vector of one element.</summary>
    private Value Count(GraphBuilder g) => g.DimOf(_source.Input, _source.Axis);

    /// <summary>A state that comes back with the batch starts with it, which may show only when the body is
    /// followed.</summary>
    private void FreeBodies(GraphBuilder g, Node node)
    {
        (int firstInput, int firstOutput, int states) = States(node);
        for (int round = 0; round <= states; round++)
        {
            if (node.Is("Scan")) InferBodies.TypeScanInputs(node, node.Graph("body"));
            if (node.Is("Loop")) InferBodies.TypeLoopInputs(node, node.Graph("body"));
            foreach (OnnxGraph body in node.Subgraphs) Sweep(body);
            bool again = false;
            for (int i = 0; i < states; i++)
            {
                Value after = node.Graph("body").Outputs[i + firstOutput];
                if (AxisOf(after) is not int axis || node.In(i + firstInput) is not Value start || Depends(start)) continue;
                if (!after.Shape![axis].SurelyEquals(_batch) || !CanWiden(start, axis))
                    throw new Refusal(node, $"starts its state '{start.Name}' with another batch than it goes on with");
                node.Inputs[i + firstInput] = Widen(g, node, start, axis);
                again = true;
            }
            if (!again) return;
        }
    }

    /// <summary>The first state among a node's inputs and among its body's outputs, and the number of states.</summary>
    private static (int Input, int Output, int Count) States(Node node) =>
        node.Is("Scan") ? (0, 0, node.Inputs.Count - (int)node.Int("num_scan_inputs", 0))
        : node.Is("Loop") ? (2, 1, node.Inputs.Count - 2) : (0, 0, 0);

    private static void FromBodies(Node node)
    {
        int states = States(node).Count;
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is not Value output) continue;
            if (!node.Is("Scan")) output.Shape ??= InferBodies.FromBody(node, i);
            else if (i < states) output.Shape ??= node.Graph("body").Outputs[i].Shape;
        }
    }
}
