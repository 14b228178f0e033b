using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>What Loop and Scan have in common: a body, states that go from one iteration to the next, tensors cut into
/// slices and slices joined into tensors.</summary>
internal sealed class Iteration
{
    /// <summary>A state: what the body reads and gives, and where the node has its first and last value.</summary>
    public sealed record State(Value Input, Value Output, int NodeInput, int NodeOutput);

    /// <summary>A slice an iteration. Direction 1 counts from the end.</summary>
    public sealed record Slice(Value InBody, int NodeIndex, long Axis, long Direction);

    private readonly bool _isLoop;

    private Iteration(Node node, bool isLoop)
    {
        Node = node;
        _isLoop = isLoop;
        Body = node.Graph("body");
    }

    public Node Node { get; }

    public OnnxGraph Body { get; }

    public required IReadOnlyList<State> States { get; init; }

    public required IReadOnlyList<Slice> ScanInputs { get; init; }

    public required IReadOnlyList<Slice> ScanOutputs { get; init; }

    /// <summary>Integers and conditions that the body reads, other than states.</summary>
    public IReadOnlyList<Value> Counters => _isLoop ? [Body.Inputs[0], Body.Inputs[1]] : [];

    public static Iteration OfScan(Forward op)
    {
        Node node = op.Node;
        OnnxGraph body = node.Graph("body");
        int scanned = (int)node.Int("num_scan_inputs", 0), states = body.Inputs.Count - scanned;
        long At(string name, int i) => node.Ints(name) is long[] values && i < values.Length ? values[i] : 0;
        return new(node, false)
        {
            States = [.. Enumerable.Range(0, states).Select(i => new State(body.Inputs[i], body.Outputs[i], i, i))],
            ScanInputs = [.. Enumerable.Range(0, scanned)
                .Select(i => new Slice(body.Inputs[states + i], states + i, At("scan_input_axes", i), At("scan_input_directions", i)))],
            ScanOutputs = [.. Enumerable.Range(0, body.Outputs.Count - states)
                .Select(i => new Slice(body.Outputs[states + i], states + i, At("scan_output_axes", i), At("scan_output_directions", i)))],
        };
    }

    /// <summary>Body inputs are the iteration number, the condition and the states; its outputs the next condition, the
    /// states and the slices.</summary>
    public static Iteration OfLoop(Forward op)
    {
        OnnxGraph body = op.Node.Graph("body");
        int states = body.Inputs.Count - 2;
        for (int i = 0; i < states; i++)
        {
            Shape? before = body.Inputs[i + 2].Shape, after = body.Outputs[i + 1].Shape;
            if (before is not null && after is not null
                && (before.Rank != after.Rank || before.Zip(after).Any(d => SurelyDiffer(d.First, d.Second))))
            {
                throw new UnsupportedGradientException(
                    $"Node {op.Node.Label} changes the shape of its state '{body.Inputs[i + 2].Name}' from iteration to iteration "
                    + $"({before} becomes {after}), so that its values cannot be stacked for the backward pass. "
                    + "Write the state into a tensor of its final size, or collect what grows as a scan output.");
            }
        }
        return new(op.Node, true)
        {
            States = [.. Enumerable.Range(0, states).Select(i => new State(body.Inputs[i + 2], body.Outputs[i + 1], i + 2, i))],
            ScanInputs = [],
            ScanOutputs = [.. Enumerable.Range(0, body.Outputs.Count - 1 - states)
                .Select(i => new Slice(body.Outputs[states + 1 + i], states + i, 0, 0))],
        };
    }

    /// <summary>Scan has an iteration at least, the kernel demands it; Loop when its trip count and its condition say
    /// so.</summary>
    public bool SurelyRuns(ShapeInference known) => !_isLoop
        || ((Node.In(0) is null || known.Integers(Node.In(0)) is [{ IsPositive: true }])
            && (Node.In(1) is null || Node.In(1)!.Data?.Bytes.Span[0] is not (null or 0)));

    /// <summary>Two numbers, or something computed of the dimension itself. Another symbol may stand for the same
    /// number.</summary>
    private static bool SurelyDiffer(Dim before, Dim after) =>
        before.Size is not null && after.Size is not null && !before.SurelyEquals(after)
        && (before.Known is not null ? after.Known is not null : after.ToString().Contains(before.ToString(), StringComparison.Ordinal));

    /// <summary>The values of a body input in all iterations, as one more output of the node: along axis 0, in the
    /// order of the iterations.</summary>
    public Value Stacked(GraphBuilder g, Value input)
    {
        var body = new GraphBuilder(Body) { Scope = input.Name };
        Value copy = GraphBuilder.Like(body.Identity(input), input);
        Body.Outputs.Add(copy);
        int scanOutputs = Body.Outputs.Count - States.Count - (_isLoop ? 1 : 0);
        foreach (string name in new[] { "scan_output_axes", "scan_output_directions" })
        {
            if (Node.Ints(name) is long[] values)
                Node.Set(name, new long[scanOutputs].Select((_, i) => i < values.Length ? values[i] : 0).ToArray());
        }
        while (Node.Outputs.Count < States.Count + scanOutputs - 1) Node.Outputs.Add(null);
        var stacked =
            new Value(g.Graph.Names.Unique($"{input.Name}/iterations"), input.Type, input.Shape is Shape s ? new Shape(s.Prepend(Count))
                : null)
            { Producer = Node };
        Node.Outputs.Add(stacked);
        return stacked;
    }

    /// <summary>Number of iterations, where it is known.</summary>
    private Dim Count
    {
        get
        {
            if (_isLoop) return Dim.Unknown;
            Slice first = ScanInputs[0];
            return Node.In(first.NodeIndex)?.Shape is Shape shape ? shape[shape.Axis(first.Axis)] : Dim.Unknown;
        }
    }
}
