using System.Text;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Gradients;
using static OrtCpr.Tests.Gradients.RuleCases;

namespace OrtCpr.Tests.Passes;

/// <summary>Rows of the upgrade table up to opset 9, which ONNX Runtime does not run as they are: the raised model gives
/// what the operator's definition says, written down here in operators of today.</summary>
[TestClass]
public sealed class EarlyOpsetTests
{
    /// <summary>An old operator and its definition.</summary>
    internal sealed record Early(string Op, int Opset, Feed?[] Inputs, (string Name, object Value)[] Attributes,
        Func<GraphBuilder, Term[], Value[]> Is)
    {
        /// <summary>Whether the model tells the shapes of its inputs.</summary>
        public bool Shaped { get; init; } = true;

        public override string ToString() =>
            $"{Op} opset {Opset} ({string.Join(", ", Inputs.Select(i => i is null ? "none" : $"[{string.Join(',', i.Shape)}]"))}; "
            + $"{string.Join(", ", Attributes.Select(a => a.Name))}){(Shaped ? "" : " without shapes")}";
    }

    private static readonly (string, object) Consumed = ("consumed_inputs", new long[] { 0 });

    private static Early Row(string op, int opset, Feed?[] inputs, Func<GraphBuilder, Term[], Value> definition,
        params (string Name, object Value)[] attributes) => new(op, opset, inputs, attributes, (g, x) => [definition(g, x)]);

    private static Early Same(string op, Feed?[] inputs, params (string Name, object Value)[] attributes) =>
        Row(op, 1, inputs, (g, x) => g.Op(op, [.. x.Select(t => t.Value)]), [.. attributes, Consumed]);

    /// <summary>The second operand along the first one's axes from <c>axis</c> on, of a rank of 3.</summary>
    private static Early Along(string op, Feed first, Feed second, long axis, params long[] target) => Row(op, 6, [first, second],
        (g, x) => g.Op(op, [x[0], g.Reshape(x[1], target)]), ("broadcast", 1), ("axis", axis));

    private static Feed Positive(params long[] shape) => Between(0.5, 2, shape);

    private static Value Normalized(GraphBuilder g, Term[] x, params long[] target)
    {
        Term mean = g.Reshape(x[3], target), variance = g.Reshape(x[4], target);
        return (x[0] - mean) / g.Sqrt(variance + 1e-5) * g.Reshape(x[1], target) + g.Reshape(x[2], target);
    }

    internal static readonly Early[] Rows =
    [
        .. new[] { "Abs", "Ceil", "Exp", "Floor", "HardSigmoid", "Neg", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Clip" }
            .Select(op => Same(op, [X(2, 3)])),
        .. new[] { "Log", "Reciprocal", "Sqrt" }.Select(op => Same(op, [Positive(2, 3)])),
        .. new[] { "Max", "Min", "Mean", "Sum", "Add", "Sub", "Mul" }.Select(op => Same(op, [X(2, 3), Between(-1, 3, 2, 3)])),
        Same("Div", [X(2, 3), Positive(2, 3)]),
        Same("InstanceNormalization", [X(2, 3, 4), X(3), X(3)]),
        Row("Selu", 1, [X(2, 3)], (g, x) => g.Op("Selu", [x[0]], ("alpha", 1.6732f), ("gamma", 1.0507f)), Consumed),
        Along("Add", X(2, 3, 4), X(3), 1, 1, 3, 1),
        Along("Add", X(2, 3, 4), X(3, 4), 1, 1, 3, 4),
        Along("Add", X(2, 3, 4), X(2), 0, 2, 1, 1),
        Along("Add", X(2, 3, 4), X(1), 0, 1),
        Along("Add", X(2, 3, 4), X(4), -1, 4),
        Along("Sub", X(2, 3, 4), X(3), 1, 1, 3, 1),
        Along("Mul", X(2, 3, 4), X(2, 3), 0, 2, 3, 1),
        Along("Div", X(2, 3, 4), Positive(3), 1, 1, 3, 1),
        Along("Pow", Positive(2, 3, 4), X(3), 1, 1, 3, 1),
        Along("Greater", X(2, 3, 4), X(3), 1, 1, 3, 1),
        Along("Less", X(2, 3, 4), X(3), 1, 1, 3, 1),
        Along("Equal", Fed(Ints([2, 2], [0, 1, 1, 0])), Fed(Ints(0, 1)), 0, 2, 1),
        Along("And", Bools([2, 2], 0, 1, 1, 1), Bools([2], 0, 1), 0, 2, 1),
        Along("Or", Bools([2, 2], 0, 1, 1, 0), Bools([2], 0, 1), 0, 2, 1),
        Along("Xor", Bools([2, 2], 0, 1, 1, 0), Bools([2], 0, 1), 0, 2, 1),
        Along("Add", X(2, 3, 4), X(3), 1, 1, 3, 1) with { Shaped = false },
        Along("Mul", X(2, 3, 4), X(3, 4), 1, 1, 3, 4) with { Shaped = false },
        Row("Add", 6, [X(2, 3), X(3)], (g, x) => x[0] + x[1], ("broadcast", 1)),
        Row("PRelu", 6, [X(2, 3, 4), X(3)], (g, x) => g.Op("PRelu", [x[0], g.Reshape(x[1], 3, 1)])),
        Row("PRelu", 6, [X(2, 3, 4), X(1)], (g, x) => g.Op("PRelu", [x[0], x[1]])),
        Row("PRelu", 1, [X(2, 3), X(3)], (g, x) => g.Op("PRelu", [x[0], x[1]]), Consumed),
        Row("PRelu", 6, [X(2, 3, 4), X(3)], (g, x) => g.Op("PRelu", [x[0], g.Reshape(x[1], 3, 1)])) with { Shaped = false },
        Row("BatchNormalization", 1, [X(2, 3, 4), X(3), X(3), Fixed(X(3)), Fixed(Positive(3))], (g, x) => Normalized(g, x, 1, 3, 1),
            ("is_test", 1), Consumed),
        Row("BatchNormalization", 8, [X(2, 3, 4), X(3, 4), X(3, 4), Fixed(X(3, 4)), Fixed(Positive(3, 4))], (g, x) => Normalized(g, x, 1,
            3, 4),
            ("spatial", 0)),
        Row("BatchNormalization", 6, [X(2, 3), X(3), X(3), Fixed(X(3)), Fixed(Positive(3))], (g, x) => Normalized(g, x, 1, 3),
            ("spatial", 0), ("is_test", 1)),
        new("BatchNormalization", 6, [X(2, 3, 4), X(3), X(3), Fixed(X(3)), Fixed(Positive(3))], [("is_test", 1)],
            (g, x) => [Normalized(g, x, 1, 3, 1), g.Identity(x[3]), g.Identity(x[4])]),
        Row("Cast", 5, [X(2, 3)], (g, x) => g.Op("Cast", [x[0]], ("to", (long)ElementType.Int32)), ("to", "INT32")),
        Row("Concat", 3, [X(2, 3), X(2, 4)], (g, x) => g.Op("Concat", [x[0], x[1]], ("axis", 1))),
        Row("ConstantFill", 8, [X(2, 3)], (g, x) => x[0] * 0 + 1.5, ("value", 1.5f)),
        Row("ConstantFill", 8, [Fed(Ints(2, 3))], (g, x) => g.Op("Expand", [g.Int(4), x[0]]), ("value", 4f), ("dtype", 7),
            ("input_as_shape", 1)),
        Row("ConstantFill", 8, [], (g, x) => g.Op("Expand", [g.Scalar(2, ElementType.Float), g.Ints(2, 2, 1)]), ("value", 2f),
            ("shape", new long[] { 2, 2 }), ("extra_shape", new long[] { 1 })),
        Row("GivenTensorFill", 8, [], (g, x) => g.Reshape(g.Constant(TensorData.From<float>([1, 2, 3, 4], 4)), 2, 2),
            ("values", new float[] { 1, 2, 3, 4 }), ("shape", new long[] { 2, 2 })),
        Row("Dropout", 6, [X(2, 3)], (g, x) => g.Identity(x[0]), ("is_test", 1), ("ratio", 0.3f)),
        Row("Dropout", 1, [X(2, 3)], (g, x) => g.Identity(x[0]), ("is_test", 1), Consumed),
        Row("Gemm", 6, [X(2, 3), X(4, 3), X(4)], (g, x) => g.Op("MatMul", [x[0], g.Op("Transpose", [x[1]])]) * 2 + x[2], ("broadcast", 1),
            ("transB", 1), ("alpha", 2f)),
        Row("GlobalLpPool", 1, [X(2, 3, 4)], (g, x) => g.Op("ReduceL2", [x[0], g.Ints(2)]), ("p", 2f)),
        Row("LpPool", 1, [X(2, 3, 4)], (g, x) => g.Op("ReduceL1", [x[0], g.Ints(2)]), ("p", 1f), ("kernel_shape", new long[] { 4 })),
        Row("MeanVarianceNormalization", 8, [X(2, 3, 4, 5)], (g, x) => Scored(g, x[0], 2, 3)),
        Row("MeanVarianceNormalization", 8, [X(2, 3, 4, 5)], (g, x) => Scored(g, x[0], 1, 2, 3), ("across_channels", 1)),
        Row("MeanVarianceNormalization", 8, [X(2, 3, 4, 5)], (g, x) => x[0] - g.Op("ReduceMean", [x[0], g.Ints(2, 3)]),
            ("normalize_variance", 0)),
        Row("Pad", 1, [X(3, 2)], (g, x) => g.Op("Concat", [x[0] * 0 + 2.5, x[0]], ("axis", 1)), ("paddings", new long[] { 0, 2, 0, 0 }),
            ("value", 2.5f)),
        Row("Reshape", 4, [X(2, 3, 4)], (g, x) => g.Op("Flatten", [x[0]]), ("shape", new long[] { 0, -1 })),
        Row("Reshape", 1, [X(2, 3, 4)], (g, x) => g.Op("Flatten", [x[0]], ("axis", 0)), ("shape", new long[] { 1, 24 }), Consumed),
        Row("RNN", 6, [X(4, 2, 3), X(1, 5, 3), X(1, 5, 5)], (g, x) => g.Op("RNN", [x[0], x[1], x[2]], ("hidden_size", 5)), ("hidden_size",
            5),
            ("output_sequence", 1)),
        Row("GRU", 1, [X(4, 2, 3), X(1, 15, 3), X(1, 15, 5)], (g, x) => g.Op("GRU", [x[0], x[1], x[2]], ("hidden_size", 5)),
            ("hidden_size", 5),
            ("output_sequence", 1)),
        Row("LSTM", 6, [X(4, 2, 3), X(1, 20, 3), X(1, 20, 5)], (g, x) => g.Op("LSTM", [x[0], x[1], x[2]], ("hidden_size", 5)),
            ("hidden_size", 5),
            ("output_sequence", 1)),
        new("Split", 1, [X(2, 5), Fixed(Exactly([2], 2, 3))], [("axis", 1)],
            (g, x) => [.. g.Ops("Split", 2, [x[0], g.Ints(2, 3)], ("axis", 1)).Select(t => t.Value)]),
        new("Split", 2, [X(2, 5)], [("axis", 1), ("split", new long[] { 2, 3 })],
            (g, x) => [.. g.Ops("Split", 2, [x[0], g.Ints(2, 3)], ("axis", 1)).Select(t => t.Value)]),
        Row("Tile", 5, [X(2, 3), Fixed(Exactly([1], 3)), Fixed(Exactly([1], 1))], (g, x) => g.Op("Tile", [x[0], g.Ints(1, 3)])),
        Row("Upsample", 6, [X(1, 2, 3, 2)], (g, x) => Twice(g, Twice(g, x[0], 2), 3), ("height_scale", 2f), ("width_scale", 2f), ("mode",
            "nearest")),
        Row("Upsample", 7, [X(1, 2, 3, 2)], (g, x) => Twice(g, Twice(g, x[0], 2), 3), ("scales", new float[] { 1, 1, 2, 2 })),
        Row("Slice", 1, [X(4, 5)], (g, x) => g.Op("Slice", [x[0], g.Ints(1, 0), g.Ints(3, 4), g.Ints(0, 1)]),
            ("starts", new long[] { 1, 0 }), ("ends", new long[] { 3, -1 })),
        new("TopK", 1, [X(2, 5)], [("k", 2)], (g, x) => [.. g.Ops("TopK", 2, [x[0], g.Ints(2)]).Select(t => t.Value)]),
        Row("Softmax", 1, [X(2, 3, 4)], (g, x) => g.Reshape(g.Op("Softmax", [g.Reshape(x[0], 2, 12)], ("axis", -1)), 2, 3, 4)),
    ];

    private static Value Scored(GraphBuilder g, Term x, params long[] axes)
    {
        Term apart = x - g.Op("ReduceMean", [x, g.Ints(axes)]);
        return apart / g.Sqrt(g.Op("ReduceMean", [apart * apart, g.Ints(axes)]));
    }

    /// <summary>Each element twice along an axis.</summary>
    private static Value Twice(GraphBuilder g, Value x, int axis)
    {
        long[] sizes = [.. x.Shape!.Select(d => d.Known!.Value)], target = [.. sizes];
        target[axis] *= 2;
        return g.Reshape(g.Op("Concat", [g.Unsqueeze(x, axis + 1), g.Unsqueeze(x, axis + 1)], ("axis", (long)axis + 1)), target);
    }

    public static IEnumerable<object[]> Indices => Rows.Select((r, i) => new object[] { i, r.ToString() });

    [TestMethod]
    [DynamicData(nameof(Indices))]
    public void RaisedModel_GivesWhatTheOldOperatorIsDefinedAs(int index, string name)
    {
        Early row = Rows[index];
        Dictionary<string, TensorData> feeds = RuleCheck.Named(row.Inputs.Select(i => i?.ToTensor(ElementType.Float)))
            .ToDictionary(StringComparer.Ordinal);
        RuleCase definition = new(row.Op, row.Inputs, []) { Body = (g, x) => row.Is(g, [.. x.OfType<Value>().Select(g.Term)]) };
        (byte[] today, string[] outputs) = RuleCheck.Write(definition, dynamic: false, ElementType.Float);
        OnnxModel raised = RegulariseModel.Run(ModelFile.Load(Old(row, outputs)), new Dictionary<string, TensorData>());
        using InferenceSession right = RuleCheck.Open(today), found = RuleCheck.Open(GraphWriter.ToBytes(raised));
        Dictionary<string, TensorData> expected = RuleCheck.Evaluate(right, feeds, outputs), actual = RuleCheck.Evaluate(found, feeds,
            outputs);
        foreach (string output in outputs)
        {
            Assert.AreEqual(expected[output].Type, actual[output].Type, $"{output} of {name}");
            CollectionAssert.AreEqual(expected[output].Dimensions.ToArray(), actual[output].Dimensions.ToArray(), $"{output} of {name}");
            double[] wanted = expected[output].ToDoubles(), values = actual[output].ToDoubles();
            for (int i = 0; i < wanted.Length; i++)
                Assert.AreEqual(wanted[i], values[i], 2e-6 * Math.Max(1, Math.Abs(wanted[i])), $"{output}[{i}] of {name}");
        }
    }

    /// <summary>A file as exporters of that time wrote it: weights are inputs as well.</summary>
    private static byte[] Old(Early row, string[] outputs)
    {
        OnnxModel model = OnnxModel.Create("old", row.Opset);
        model.IrVersion = 3;
        var node = new Node("", row.Op, "");
        for (int i = 0; i < row.Inputs.Length; i++)
        {
            if (row.Inputs[i] is not Feed feed)
            {
                node.Inputs.Add(null);
                continue;
            }
            TensorData data = feed.ToTensor(ElementType.Float);
            node.Inputs.Add(feed.Constant ? model.Graph.AddInitializer($"x{i}", data)
                : model.Graph.AddInput($"x{i}", data.Type, row.Shaped ? Shape.Of(feed.Shape) : null));
        }
        foreach ((string name, object value) in row.Attributes) node.Set(name, value);
        foreach (string output in outputs)
        {
            var value = new Value(output) { Producer = node };
            node.Outputs.Add(value);
            model.Graph.Outputs.Add(value);
        }
        model.Graph.Nodes.Add(node);
        return GraphWriter.ToBytes(model);
    }

    [TestMethod]
    [DataRow("ATen", "experimental")]
    [DataRow("GRUUnit", "experimental")]
    [DataRow("FC", "experimental")]
    [DataRow("Embedding", "experimental")]
    [DataRow("LoopIndexTensor", "experimental")]
    public void WhatNoRuntimeDefines_IsRefusedByName(string op, string what)
    {
        Early row = Row(op, 6, [X(2, 3)], (g, x) => x[0]);
        ModelFormatException error = Assert.ThrowsExactly<ModelFormatException>(() =>
            RegulariseModel.Run(ModelFile.Load(Old(row, ["y0"])), new Dictionary<string, TensorData>()));
        Assert.IsTrue(error.Message.Contains(op, StringComparison.Ordinal) && error.Message.Contains(what, StringComparison.Ordinal)
            && error.Message.Contains("export", StringComparison.OrdinalIgnoreCase), error.Message);
    }

    [TestMethod]
    public void ATypeThatCastDoesNotKnow_IsRefusedByName()
    {
        Early row = Row("Cast", 5, [X(2, 3)], (g, x) => x[0], ("to", Encoding.UTF8.GetBytes("REAL")));
        ModelFormatException error = Assert.ThrowsExactly<ModelFormatException>(() =>
            RegulariseModel.Run(ModelFile.Load(Old(row, ["y0"])), new Dictionary<string, TensorData>()));
        Assert.Contains("REAL", error.Message);
    }

    [TestMethod]
    public void FirstScan_RunsItsBodyForEachExample()
    {
        // A running sum over the time, for each example: state [2], elements [2].
        OnnxModel model = OnnxModel.Create("scan", 8);
        model.IrVersion = 3;
        Value start = model.Graph.AddInput("start", ElementType.Float, Shape.Of(3, 2)), x = model.Graph.AddInput("x", ElementType.Float,
            Shape.Of(3, 4, 2));
        var body = new OnnxGraph("step", model.Names);
        Value state = body.AddInput("state", ElementType.Float, Shape.Of(2)), element = body.AddInput("element", ElementType.Float,
            Shape.Of(2));
        var add = new Node("", "Add", "add");
        add.Inputs.Add(state);
        add.Inputs.Add(element);
        var sum = new Value("sum", ElementType.Float, Shape.Of(2)) { Producer = add };
        add.Outputs.Add(sum);
        var copy = new Node("", "Identity", "copy");
        copy.Inputs.Add(sum);
        var seen = new Value("seen", ElementType.Float, Shape.Of(2)) { Producer = copy };
        copy.Outputs.Add(seen);
        body.Nodes.AddRange([add, copy]);
        body.Outputs.AddRange([sum, seen]);
        var scan = new Node("", "Scan", "scan");
        foreach (Value? input in new[] { null, start, x }) scan.Inputs.Add(input);
        foreach (string name in new[] { "last", "all" })
        {
            var output = new Value(name, ElementType.Float) { Producer = scan };
            scan.Outputs.Add(output);
            model.Graph.Outputs.Add(output);
        }
        scan.Set("body", body).Set("num_scan_inputs", 1).Set("directions", new long[] { 1 });
        model.Graph.Nodes.Add(scan);
        OnnxModel raised = RegulariseModel.Run(ModelFile.Load(GraphWriter.ToBytes(model)), new Dictionary<string, TensorData>());
        float[] first = [.. Enumerable.Range(0, 6).Select(i => i * 0.5f)], elements = [.. Enumerable.Range(0, 24).Select(i =>
            (float)(i % 7))];
        using InferenceSession session = RuleCheck.Open(GraphWriter.ToBytes(raised));
        Dictionary<string, TensorData> results = RuleCheck.Evaluate(session, new Dictionary<string, TensorData>(StringComparer.Ordinal)
        { ["start"] = TensorData.From<float>(first, 3, 2), ["x"] = TensorData.From<float>(elements, 3, 4, 2) }, ["last", "all"]);
        CollectionAssert.AreEqual(new long[] { 3, 4, 2 }, results["all"].Dimensions.ToArray());
        double[] last = results["last"].ToDoubles(), all = results["all"].ToDoubles();
        for (int b = 0; b < 3; b++)
        {
            for (int c = 0; c < 2; c++)
            {
                double value = first[(b * 2) + c];
                for (int t = 0; t < 4; t++)
                {
                    value += elements[(((b * 4) + 3 - t) * 2) + c];
                    Assert.AreEqual(value, all[(((b * 4) + t) * 2) + c], 1e-6);
                }
                Assert.AreEqual(value, last[(b * 2) + c], 1e-6);
            }
        }
    }
}
