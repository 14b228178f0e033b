using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Raises models of opset 1 to 17 to 18, so that rules and bodies have one form of each operator. A row is one
/// change of one operator: it applies to models below <c>Since</c> and writes the newer form. Rows beyond the target
/// only write down a default that changes then, and leave the model's opset alone.</summary>
internal static partial class UpgradeOpset
{
    public const int Target = 18;

    /// <summary>Below this opset changes need ranks.</summary>
    private const int RanksFrom = 7;

    /// <summary>Gone: from that version on there is no such operator.</summary>
    private sealed record Row(string OpType, int Since, Action<Node, Upgrade> Apply, bool Gone = false);

    /// <summary>What is changed, and from which version on it is not.</summary>
    public static IEnumerable<(string OpType, int Since)> Changes => Table.Select(r => (r.OpType, r.Since));

    /// <summary>Operators that no graph has after this pass.</summary>
    public static IEnumerable<string> Gone => Table.Where(r => r.Gone).Select(r => r.OpType);

    /// <summary>In the order of their versions: a row reads what the ones before it wrote.</summary>
    private static Row[] Table { get; } =
    [
        .. Early,
        new("Affine", 10, (n, u) => Affine(n, u, n.Float("alpha", 1), n.Float("beta", 0)), Gone: true),
        new("BatchNormalization", 14, BatchNormalization),
        new("Clip", 11, (n, u) => ScalarInputs(n, u, ("min", 1), ("max", 2))),
        new("Crop", 10, Crop, Gone: true),
        new("DFT", 20, (n, u) => n.Set("axis", n.Int("axis", 1))),
        new("Dropout", 10, DropoutMask),
        new("Dropout", 12, Dropout),
        new("DynamicSlice", 10, (n, u) => n.OpType = "Slice", Gone: true),
        new("Hardmax", 13, FlattenedAxis),
        new("ImageScaler", 10, ImageScaler, Gone: true),
        new("LogSoftmax", 13, FlattenedAxis),
        new("Softmax", 13, FlattenedAxis),
        new("Pad", 11, Pad),
        new("ParametricSoftplus", 10, (n, u) => Scaled(n, u, "Softplus"), Gone: true),
        new("ReduceL1", 18, AxesInput),
        new("ReduceL2", 18, AxesInput),
        new("ReduceLogSum", 18, AxesInput),
        new("ReduceLogSumExp", 18, AxesInput),
        new("ReduceMax", 18, AxesInput),
        new("ReduceMean", 18, AxesInput),
        new("ReduceMin", 18, AxesInput),
        new("ReduceProd", 18, AxesInput),
        new("ReduceSum", 13, AxesInput),
        new("ReduceSumSquare", 18, AxesInput),
        new("Resize", 11, (n, u) => Resize(n, u, nearestDown: "ceil")),
        new("RoiAlign", 16, (n, u) => n.Set("coordinate_transformation_mode", "output_half_pixel")),
        new("Scale", 10, (n, u) => Affine(n, u, n.Float("scale", 1), 0), Gone: true),
        new("ScaledTanh", 10, (n, u) => Scaled(n, u, "Tanh"), Gone: true),
        new("Scatter", 11, (n, u) => n.OpType = "ScatterElements", Gone: true),
        new("Slice", 10, Slice),
        new("Split", 13, (n, u) => IntsInput(n, u, "split", 1)),
        new("Split", 18, (n, u) => { if (n.In(1) is null) n.Set("num_outputs", n.Outputs.Count); }),
        new("Squeeze", 13, AxesInput),
        new("TopK", 10, (n, u) => IntsInput(n, u, "k", 1)),
        new("Unsqueeze", 13, AxesInput),
        new("Upsample", 10, (n, u) => Resize(n, u, nearestDown: "floor"), Gone: true),
    ];

    public static void Run(OnnxModel model)
    {
        int opset = model.Opset;
        Dictionary<string, Row[]> rows = Table.Where(r => opset < r.Since).OrderBy(r => r.Since).GroupBy(r => r.OpType)
            .ToDictionary(r => r.Key, r => r.ToArray(), StringComparer.Ordinal);
        KnownRanks? ranks = opset < RanksFrom ? new KnownRanks() : null;
        Raise(model.Graph, rows, ranks);
        ranks?.Forget();
        if (opset >= Target) return;
        model.Opsets[""] = Target;
        model.IrVersion = Math.Max(model.IrVersion, 8);
    }

    private static void Raise(OnnxGraph graph, Dictionary<string, Row[]> rows, KnownRanks? ranks)
    {
        var upgrade = new Upgrade(graph);
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in graph.Nodes)
        {
            foreach (OnnxGraph body in node.Subgraphs) Raise(body, rows, ranks);
            upgrade.Nodes.Clear();
            upgrade.After.Clear();
            if (node.Domain.Length == 0 && rows.TryGetValue(node.OpType, out Row[]? changes))
            {
                foreach (Row row in changes) row.Apply(node, upgrade);
            }
            if (upgrade.Nodes.Count + upgrade.After.Count > 0) pieces[node] = [.. upgrade.Nodes, node, .. upgrade.After];
            ranks?.Visit(pieces.GetValueOrDefault(node) ?? [node]);
        }
        graph.Splice(pieces);
    }

    /// <summary>Shapes by our own rules as far as the sweep has come, for the changes that take a rank. They are taken
    /// back in the end, so that the inference proper starts from what the file says.</summary>
    private sealed class KnownRanks
    {
        private readonly ShapeInference _known = new();
        private readonly List<(Value Value, ElementType Type, Shape? Shape)> _before = [];

        public void Visit(IEnumerable<Node> nodes)
        {
            foreach (Node node in nodes)
            {
                foreach (Value? output in node.Outputs)
                {
                    if (output is not null) _before.Add((output, output.Type, output.Shape));
                }
                _known.Visit(node);
            }
        }

        public void Forget()
        {
            foreach ((Value value, ElementType type, Shape? shape) in _before) (value.Type, value.Shape) = (type, shape);
        }
    }

    /// <summary>Where an upgrade puts what it adds: constants into the graph, nodes before or after the one it
    /// changes.</summary>
    private sealed class Upgrade(OnnxGraph graph)
    {
        public List<Node> Nodes { get; } = [];

        public List<Node> After { get; } = [];

        public Value Constant(string name, TensorData data) => graph.AddInitializer(name, data);

        public Value Scalar(Node node, string name, float value) => Constant($"{node.Outputs[0]!.Name}/{name}", TensorData.Scalar(value));

        public Value Ints(Node node, string name, params long[] values) =>
            Constant($"{node.Outputs[0]!.Name}/{name}", TensorData.From<long>(values, values.Length));

        public Value Before(Node node, string opType, params Value?[] inputs)
        {
            Value result = NewValue($"{node.Outputs[0]!.Name}/{opType}", node.Inputs[0]!);
            NewNode(opType, inputs, result, Nodes);
            return result;
        }

        public Value NewValue(string name, Value like) => new(graph.Names.Unique(name), like.Type);

        public Node NewNode(string opType, Value?[] inputs, Value output, List<Node> where)
        {
            var node = new Node("", opType, graph.Names.Unique($"{output.Name}/{opType}"));
            foreach (Value? input in inputs) node.Inputs.Add(input);
            node.Outputs.Add(output);
            output.Producer = node;
            where.Add(node);
            return node;
        }
    }

    /// <summary>The node becomes another operator of constants and what was written in front of it.</summary>
    private static void Become(Node node, string opType, params Value?[] inputs)
    {
        node.OpType = opType;
        foreach (string attribute in node.Attributes.Keys.ToList()) node.Unset(attribute);
        node.Inputs.Clear();
        foreach (Value? input in inputs) node.Inputs.Add(input);
    }

    private static void SetInput(Node node, int index, Value value)
    {
        while (node.Inputs.Count <= index) node.Inputs.Add(null);
        node.Inputs[index] = value;
    }

    private static void AxesInput(Node node, Upgrade u) => IntsInput(node, u, "axes", 1);

    /// <summary>An INTS (or INT) attribute becomes an INT64 vector input.</summary>
    private static void IntsInput(Node node, Upgrade u, string attribute, int index)
    {
        if (!node.Has(attribute)) return;
        long[] values = node.Attributes[attribute] is long single ? [single] : node.Ints(attribute)!;
        SetInput(node, index, u.Constant($"{node.Outputs[0]!.Name}/{attribute}", TensorData.From<long>(values, values.Length)));
        node.Unset(attribute);
    }

    private static void ScalarInputs(Node node, Upgrade u, params (string Attribute, int Index)[] attributes)
    {
        foreach ((string attribute, int index) in attributes)
        {
            if (!node.Has(attribute)) continue;
            SetInput(node, index, u.Constant($"{node.Outputs[0]!.Name}/{attribute}", TensorData.Scalar(node.Float(attribute, 0))));
            node.Unset(attribute);
        }
    }

    /// <summary>The mask was of the data's type.</summary>
    private static void DropoutMask(Node node, Upgrade u)
    {
        if (node.Outputs.Count < 2 || node.Outputs[1] is not Value mask) return;
        Value kept = u.NewValue($"{mask.Name}/kept", mask);
        node.Outputs[1] = kept;
        u.NewNode("CastLike", [kept, node.Inputs[0]], mask, u.After);
    }

    /// <summary>The mask of a Dropout without training was false, not true.</summary>
    private static void Dropout(Node node, Upgrade u)
    {
        ScalarInputs(node, u, ("ratio", 1));
        if (node.Outputs.Count < 2 || node.Outputs[1] is not Value mask || node.In(2) is not null) return;
        node.Outputs.RemoveAt(1);
        Value shape = u.NewValue($"{mask.Name}/shape", mask);
        shape.Type = ElementType.Int64;
        u.NewNode("Shape", [node.Inputs[0]], shape, u.Nodes);
        u.NewNode("ConstantOfShape", [shape], mask, u.Nodes).Set("value", TensorData.From<bool>([false], 1));
    }

    private static void Pad(Node node, Upgrade u)
    {
        IntsInput(node, u, "pads", 1);
        if (node.Float("value", 0) != 0) ScalarInputs(node, u, ("value", 2));
        node.Unset("value");
    }

    private static void Slice(Node node, Upgrade u)
    {
        IntsInput(node, u, "starts", 1);
        IntsInput(node, u, "ends", 2);
        IntsInput(node, u, "axes", 3);
    }

    /// <summary>Before 14 more than one output meant training.</summary>
    private static void BatchNormalization(Node node, Upgrade u)
    {
        node.Unset("spatial");
        if (node.Outputs.Count(o => o is not null) > 1) node.Set("training_mode", 1);
        while (node.Outputs.Count > 3) node.Outputs.RemoveAt(3);
    }

    /// <summary>Before 13 these flattened to [d0·…·d(axis-1), d(axis)·…] first. The same when the axis is the last
    /// one.</summary>
    private static void FlattenedAxis(Node node, Upgrade u)
    {
        long axis = node.Int("axis", 1);
        Value x = node.Inputs[0]!, y = node.Outputs[0]!;
        if (axis == -1 || (x.Shape is Shape s && s.Axis(axis) == s.Rank - 1))
        {
            node.Set("axis", -1);
            return;
        }
        Value shape = u.NewValue($"{y.Name}/shape", x), flat = u.NewValue($"{y.Name}/flat", x), result = u.NewValue($"{y.Name}/result", x);
        shape.Type = ElementType.Int64;
        u.NewNode("Shape", [x], shape, u.Nodes);
        u.NewNode("Flatten", [x], flat, u.Nodes).Set("axis", axis);
        node.Inputs[0] = flat;
        node.Outputs[0] = result;
        result.Producer = node;
        node.Set("axis", -1);
        u.NewNode("Reshape", [result, shape], y, u.After);
    }
}
