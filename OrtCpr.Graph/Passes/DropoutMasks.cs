using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Passes;

/// <summary>What Dropout does while training.</summary>
public enum DropoutMode
{
    /// <summary>As the model was exported: nodes whose <c>training_mode</c> is true drop elements, the others pass everything.</summary>
    AsExported,
    /// <summary>All nodes drop elements, with the ratio that they carry.</summary>
    Training,
    /// <summary>All nodes pass everything.</summary>
    Inference,
}

/// <summary>Dropout written out with masks that depend on nothing but a key, the node and the element's position, so
/// that a resumed run draws the same masks on every device. Whole numbers below a prime p = 46,337 only, so that no
/// product leaves int32: p² &lt; 2³¹. Rows and columns are hashed by a four-round Feistel network on base-p digits
/// (round function x³, a permutation modulo p as 3 does not divide p − 1); an element by (a·b + d)³ from its row's and
/// its column's numbers. The element is kept where that is at least ratio·p.</summary>
internal static class DropoutMasks
{
    public const int Prime = 46337;

    private const int Rounds = 4;

    /// <summary>Wanted name of the input that masks are made of.</summary>
    public const string KeyInput = "ortcpr.dropout_key";

    /// <summary>Numbers of the key: below the prime, of (seed, step, micro-batch).</summary>
    public const int KeyLength = 2;

    /// <summary>Writes out those nodes that drop, in bodies too; the others become the identity that they are without
    /// the flag.</summary>
    /// <returns>The input that masks are made of, int32 [2]; null where nothing drops.</returns>
    public static Value? Run(OnnxModel model, DropoutMode mode)
    {
        Value? key = null;
        int count = 0;
        Run(model.Graph, mode, () =>
            key ??= model.Graph.AddInput(KeyInput, ElementType.Int32, Shape.Of(KeyLength)), () => count++);
        return key;
    }

    /// <summary>key: that of the graph, made when it is first asked for. number: the next one of those that tell nodes
    /// apart.</summary>
    private static void Run(OnnxGraph graph, DropoutMode mode, Func<Value> key, Func<int> number)
    {
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in graph.Nodes.ToList())
        {
            foreach (OnnxGraph body in node.Subgraphs.ToList()) Run(body, mode, DropoutKeys.Of(graph, node, body, key, number), number);
            if (!node.Is("Dropout")) continue;
            if (!Drops(node, mode))
            {
                while (node.Inputs.Count > 2) node.Inputs.RemoveAt(2);
                continue;
            }
            var nodes = new List<Node>();
            var g = new GraphBuilder(graph, sink: nodes) { Scope = node.Name.Length > 0 ? node.Name : node.Outputs[0]!.Name };
            Write(g, node, key(), number());
            pieces[node] = nodes;
        }
        graph.Splice(pieces);
    }

    private static bool Drops(Node node, DropoutMode mode) => mode switch
    {
        DropoutMode.Training => Ratio(node) > 0,
        DropoutMode.Inference => false,
        _ => node.In(2) is Value flag && (flag.Data is TensorData data ? data.ToInt64s()[0] != 0
            : throw new UnsupportedGradientException(
                $"Whether node {node.Label} drops depends on '{flag.Name}', which the model computes. "
                + $"Choose {nameof(DropoutMode)}.{nameof(DropoutMode.Training)} or {nameof(DropoutMode.Inference)}.")) && Ratio(node) > 0,
    };

    private static double Ratio(Node node)
    {
        double ratio = node.In(1) is not Value value ? 0.5 : value.Data is TensorData data ? data.ToDoubles()[0]
            : throw new UnsupportedGradientException(
                $"The ratio of node {node.Label} is computed by the model ('{value.Name}'). "
                + $"Export it with a constant ratio, or choose {nameof(DropoutMode)}.{nameof(DropoutMode.Inference)}.");
        return ratio is >= 0 and < 1 ? ratio
            : throw new ModelFormatException(
                Invariant($"The ratio of node {node.Label} is {ratio}; expected at least 0 and less than 1. Export the model again."));
    }

    /// <summary>y = x · kept / (1 − ratio).</summary>
    private static void Write(GraphBuilder g, Node node, Value key, int index)
    {
        Term x = g.In(node, 0);
        double ratio = Ratio(node);
        Term kept = g.Op("GreaterOrEqual", [Hash(g, x, key, index), Number(g, (int)Math.Round(ratio * Prime))])
            .Typed(ElementType.Bool, x.Shape);
        Term scaled = g.Cast(kept, x.Type) * (1 / (1 - ratio));
        Replace((x * scaled).Like(x), node.Outputs[0]!);
        if (node.Outputs.Count > 1 && node.Outputs[1] is Value mask) Replace(g.Identity(kept), mask);
    }

    /// <summary>The node that made a result makes the old output instead.</summary>
    private static void Replace(Value made, Value output)
    {
        Node producer = made.Producer!;
        producer.Outputs[0] = output;
        output.Producer = producer;
        (output.Type, output.Shape) = (made.Type, made.Shape ?? output.Shape);
    }

    /// <summary>A number below the prime for every element, in the shape of x: the last axis gives the columns,
    /// everything in front of it the rows.</summary>
    private static Term Hash(GraphBuilder g, Value x, Value key, int node)
    {
        Term size = g.Reshape(g.SizeOf(x), 1), last = x.Shape is { Rank: 0 } ? g.Ints(1) : g.DimOf(x, -1);
        Term rows = size / g.Max(last, g.Ints(1));
        Term Count(Value count) => g.Cast(g.Positions(count), ElementType.Int32);
        (Term a, Term d) = Digits(g, Count(rows), key, node, 0);
        (Term b, Term e) = Digits(g, Count(last), key, node, 1);
        Term line = g.Unsqueeze(a, 1), shift = g.Unsqueeze(d, 1);
        // a·b ≤ (p − 1)² leaves room for d + e below 2³¹.
        Term mixed = Mod(g, line * b + shift + e);
        return g.Reshape(Cube(g, mixed), g.ShapeOf(x));
    }

    /// <summary>The key of an iteration: its number after the rounds, so that no two iterations of a node have one
    /// key.</summary>
    public static Term KeyOf(GraphBuilder g, Value iteration, Value key, int node)
    {
        (Term left, Term right) = Digits(g, g.Cast(g.Reshape(iteration, 1), ElementType.Int32), key, node, 2);
        return g.Concat(0, left, right);
    }

    /// <summary>Two numbers for each position: its digits after the rounds.</summary>
    private static (Term, Term) Digits(GraphBuilder g, Term position, Value key, int node, int axis)
    {
        Term right = Mod(g, position), left = position / Number(g, Prime);
        for (int round = 0; round < Rounds; round++)
        {
            Term secret = g.Slice(key, [round % KeyLength], [(round % KeyLength) + 1], [0]);
            Term mixed = Cube(g, Mod(g, right + secret + Number(g, Mix(node, axis, round))));
            (left, right) = (right, Mod(g, left + mixed));
        }
        return (left, right);
    }

    private static Term Cube(GraphBuilder g, Term value) => Mod(g, Mod(g, value * value) * value);

    private static Term Mod(GraphBuilder g, Value value) => g.Op("Mod", [value, Number(g, Prime)]);

    private static Term Number(GraphBuilder g, int value) => g.Constant(TensorData.Scalar(value));

    /// <summary>A constant of a round, different for each node.</summary>
    private static int Mix(int node, int axis, int round) => Below(Scramble(((ulong)node << 8) | ((ulong)axis << 4) | (uint)round));

    /// <summary>The key of one micro-batch: two numbers below the prime.</summary>
    public static (int, int) KeyOf(long seed, long step, long microBatch)
    {
        ulong mixed = Scramble(Scramble(Scramble((ulong)seed) + (ulong)step) + (ulong)microBatch);
        return (Below(mixed), Below(Scramble(mixed)));
    }

    private static int Below(ulong value) => (int)(value % Prime);

    private static ulong Scramble(ulong x) => Mixing.Bits(x + Mixing.GoldenGamma);
}
