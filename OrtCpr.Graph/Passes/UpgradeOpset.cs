using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

// Raises models of opset 9 to 17 to 18, so that rules and bodies have one form of each operator. Models of opset 18 and more stay as they are. A row
// is one change of one operator: it applies to models below `Since` and writes the newer form.
internal static class UpgradeOpset
{
    public const int Target = 18;

    private sealed record Row(string OpType, int Since, Action<Node, Upgrade> Apply);

    private static readonly Row[] Table =
    [
        new("BatchNormalization", 14, BatchNormalization),
        new("Clip", 11, (n, u) => ScalarInputs(n, u, ("min", 1), ("max", 2))),
        new("Dropout", 12, Dropout),
        new("Hardmax", 13, FlattenedAxis),
        new("LogSoftmax", 13, FlattenedAxis),
        new("Softmax", 13, FlattenedAxis),
        new("Pad", 11, Pad),
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
        new("Resize", 11, (n, u) => Scaled(n, u, nearestDown: "ceil")),
        new("Upsample", 10, (n, u) => Scaled(n, u, nearestDown: "floor")),
        new("Scatter", 11, (n, u) => n.OpType = "ScatterElements"),
        new("Slice", 10, Slice),
        new("Split", 13, (n, u) => IntsInput(n, u, "split", 1)),
        new("Split", 18, (n, u) => { if (n.In(1) is null) n.Set("num_outputs", n.Outputs.Count); }),
        new("Squeeze", 13, AxesInput),
        new("TopK", 10, (n, u) => IntsInput(n, u, "k", 1)),
        new("Unsqueeze", 13, AxesInput),
    ];

    public static void Run(OnnxModel model)
    {
        int opset = model.Opset;
        if (opset >= Target) return;
        Dictionary<string, Row[]> rows = Table.Where(r => opset < r.Since).GroupBy(r => r.OpType).ToDictionary(r => r.Key, r => r.ToArray(), StringComparer.Ordinal);
        Raise(model.Graph, rows);
        model.Opsets[""] = Target;
        model.IrVersion = Math.Max(model.IrVersion, 8);
    }

    private static void Raise(OnnxGraph graph, Dictionary<string, Row[]> rows)
    {
        var upgrade = new Upgrade(graph);
        foreach (Node node in graph.Nodes.ToList())
        {
            foreach (OnnxGraph body in node.Subgraphs) Raise(body, rows);
            upgrade.Nodes.Clear();
            upgrade.After.Clear();
            if (node.Domain.Length == 0 && rows.TryGetValue(node.OpType, out Row[]? changes))
            {
                foreach (Row row in changes) row.Apply(node, upgrade);
            }
            int at = graph.Nodes.IndexOf(node);
            graph.Nodes.InsertRange(at + 1, upgrade.After);
            graph.Nodes.InsertRange(at, upgrade.Nodes);
        }
    }

    // Where an upgrade puts what it adds: constants into the graph, nodes in front of or behind the one it changes.
    private sealed class Upgrade(OnnxGraph graph)
    {
        public List<Node> Nodes { get; } = [];

        public List<Node> After { get; } = [];

        public Value Constant(string name, TensorData data) => graph.AddInitializer(name, data);

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

    private static void SetInput(Node node, int index, Value value)
    {
        while (node.Inputs.Count <= index) node.Inputs.Add(null);
        node.Inputs[index] = value;
    }

    private static void AxesInput(Node node, Upgrade u) => IntsInput(node, u, "axes", 1);

    // An INTS (or INT) attribute becomes an INT64 vector input.
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

    private static void Dropout(Node node, Upgrade u) => ScalarInputs(node, u, ("ratio", 1));

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

    // Before 14 more than one output meant training.
    private static void BatchNormalization(Node node, Upgrade u)
    {
        node.Unset("spatial");
        if (node.Outputs.Count(o => o is not null) > 1) node.Set("training_mode", 1);
        while (node.Outputs.Count > 3) node.Outputs.RemoveAt(3);
    }

    // Before 13 these flattened to [d0·…·d(axis-1), d(axis)·…] first. The same when the axis is the last one.
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

    // Upsample and the first Resize are Resize with asymmetric coordinates. That Resize took the nearest pixel below where an axis grows and above
    // where it shrinks, which is one Resize for the growing axes and one for the others.
    private static void Scaled(Node node, Upgrade u, string nearestDown)
    {
        bool nearest = node.Text("mode", "nearest") == "nearest";
        node.OpType = "Resize";
        node.Set("coordinate_transformation_mode", "asymmetric");
        node.Inputs.Insert(1, null);
        Value scales = node.Inputs[2]!;
        if (!nearest) return;
        double[]? known = scales.Data?.ToDoubles();
        bool grows = nearestDown == "floor" || known?.All(s => s >= 1) == true;
        node.Set("nearest_mode", grows ? "floor" : "ceil");
        if (grows || known?.All(s => s <= 1) == true) return;
        Value one = u.Constant($"{node.Outputs[0]!.Name}/one", TensorData.From<float>([1], 1)), x = node.Inputs[0]!;
        Value up = u.NewValue($"{node.Outputs[0]!.Name}/up", scales), down = u.NewValue($"{node.Outputs[0]!.Name}/down", scales), grown = u.NewValue($"{node.Outputs[0]!.Name}/grown", x);
        u.NewNode("Max", [scales, one], up, u.Nodes);
        u.NewNode("Min", [scales, one], down, u.Nodes);
        u.NewNode("Resize", [x, null, up], grown, u.Nodes).Set("mode", "nearest").Set("coordinate_transformation_mode", "asymmetric").Set("nearest_mode", "floor");
        (node.Inputs[0], node.Inputs[2]) = (grown, down);
    }
}
