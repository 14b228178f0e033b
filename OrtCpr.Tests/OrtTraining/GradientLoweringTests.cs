using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.Tests.OrtTraining;

/// <summary>Training operators against the gradient that our rules give of the plain forward model, with sizes that only the run
/// knows.</summary>
[TestClass]
public sealed class GradientLoweringTests
{
    // `Training` writes forward and gradient of x and the weights in training operators, `Plain` the forward part in standard ones; both
    // get dy for y.
    private sealed record Case(long[] X, long[][] Weights, Func<GraphBuilder, Value, Value[], Value> Plain,
        Func<GraphBuilder, Value, Value[], Value, Value?[]> Training);

    private static readonly Dictionary<string, Case> Cases = new(StringComparer.Ordinal)
    {
        ["LSTM bidirectional"] = new([4, 2, 3], [[2, 20, 3], [2, 20, 5], [2, 40], [2, 2, 5], [2, 2, 5]],
            (g, x, w) => g.Op("LSTM", [x, w[0], w[1], w[2], null, w[3], w[4]], ("hidden_size", 5), ("direction", "bidirectional")),
            (g, x, w, dy) =>
            {
                Term[] f = g.Ops("com.microsoft.LSTMTraining", 5, [x, w[0], w[1], w[2], null, w[3], w[4]], ("hidden_size", 5),
                    ("direction", "bidirectional"));
                return [.. g.Ops("com.microsoft.LSTMGrad", 6, [x, w[0], w[1], null, w[3], w[4], f[0], f[3], f[4], dy, null, null],
                    ("hidden_size", 5), ("direction", "bidirectional"))];
            }),
        ["GRU linear before reset"] = new([4, 2, 3], [[1, 15, 3], [1, 15, 5], [1, 30], [1, 2, 5]],
            (g, x, w) => g.Op("GRU", [x, w[0], w[1], w[2], null, w[3]], ("hidden_size", 5), ("linear_before_reset", 1)),
            (g, x, w, dy) =>
            {
                Term[] f = g.Ops("com.microsoft.GRUTraining", 3, [x, w[0], w[1], w[2], null, w[3]], ("hidden_size", 5),
                    ("linear_before_reset", 1));
                return [.. g.Ops("com.microsoft.GRUGrad", 5, [x, w[0], w[1], w[2], null, w[3], f[0], f[2], dy, null], ("hidden_size", 5),
                    ("linear_before_reset", 1))];
            }),
        ["Conv in groups"] = new([2, 4, 7], [[6, 2, 3], [6]],
            (g, x, w) => g.Op("Conv", [x, w[0], w[1]], ("group", 2), ("strides", new long[] { 2 }), ("pads", new long[] { 1, 0 })),
            (g, x, w, dy) => [.. g.Ops("com.microsoft.ConvGrad", 3, [dy, x, w[0]], ("group", 2), ("strides", new long[] { 2 }),
                ("pads", new long[] { 1, 0 }))]),
        ["AveragePool"] = new([2, 3, 7], [],
            (g, x, w) => g.Op("AveragePool", [x], ("kernel_shape", new long[] { 3 }), ("pads", new long[] { 1, 1 }),
                ("strides", new long[] { 2 })),
            (g, x, w, dy) =>
            {
                _ = g.Op("AveragePool", [x], ("kernel_shape", new long[] { 3 }), ("pads", new long[] { 1, 1 }),
                    ("strides", new long[] { 2 }));
                return [g.Op("AveragePoolGrad", [dy], ("kernel_shape", new long[] { 3 }), ("pads", new long[] { 1, 1 }),
                    ("strides", new long[] { 2 }))];
            }),
        ["MaxPool"] = new([2, 3, 7], [],
            (g, x, w) => g.Op("MaxPool", [x], ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 })),
            (g, x, w, dy) => [g.Op("MaxPoolGrad",
                [dy, g.Ops("MaxPool", 2, [x], ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }))[1]],
                ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }))]),
        ["BatchNormalization"] = new([4, 3, 5], [[3], [3]],
            (g, x, w) =>
            {
                Value centred = g.Sub(x, g.ReduceMean(x, true, 0, 2));
                Value normal = g.Div(centred, g.Sqrt(g.Add(g.ReduceMean(g.Mul(centred, centred), true, 0, 2), 1e-5)));
                return g.Add(g.Mul(normal, g.Reshape(w[0], -1, 1)), g.Reshape(w[1], -1, 1));
            },
            (g, x, w, dy) =>
            {
                Value running = g.Constant(TensorData.From<float>([1, 1, 1], 3));
                Term[] f = g.Ops("com.microsoft.BatchNormInternal", 5, [x, w[0], w[1], running, running], ("training_mode", 1));
                return [.. g.Ops("com.microsoft.BatchNormalizationGrad", 3, [dy, x, w[0], f[3], f[4]])];
            }),
        ["LayerNormalization"] = new([3, 4, 5], [[5], [5]],
            (g, x, w) => g.Op("LayerNormalization", [x, w[0], w[1]]),
            (g, x, w, dy) =>
            {
                Term[] f = g.Ops("LayerNormalization", 3, [x, w[0], w[1]]);
                return [.. g.Ops("com.microsoft.LayerNormalizationGrad", 3, [dy, x, w[0], f[1], f[2]])];
            }),
        ["Softmax"] = new([3, 4, 5], [],
            (g, x, w) => g.Op("Softmax", [x], ("axis", 1)),
            (g, x, w, dy) => [g.Op("com.microsoft.SoftmaxGrad_13", [dy, g.Op("Softmax", [x], ("axis", 1))], ("axis", 1))]),
        ["Softmax before opset 13"] =
            new([3, 4, 5], [], Flat, (g, x, w, dy) => [g.Op("com.microsoft.SoftmaxGrad", [dy, Flat(g, x, w)], ("axis", 1))]),
        ["LeakyRelu"] = new([3, 4], [],
            (g, x, w) => g.Op("LeakyRelu", [g.Sub(x, 0.7)], ("alpha", 0.3f)),
            (g, x, w, dy) => [g.Op("com.microsoft.LeakyReluGrad", [dy, g.Op("LeakyRelu", [g.Sub(x, 0.7)], ("alpha", 0.3f))],
                ("alpha", 0.3f))]),
        ["Dropout in evaluation"] = new([3, 4], [],
            (g, x, w) => g.Identity(x),
            (g, x, w, dy) =>
            {
                Value ratio = g.Scalar(0.5, ElementType.Float), off = g.Scalar(0, ElementType.Bool);
                return [g.Op("com.microsoft.DropoutGrad", [dy, g.Ops("Dropout", 2, [x, ratio, off])[1], ratio, off])];
            }),
        ["Cross entropy, internal form"] = new([3, 4], [],
            (g, x, w) => g.Op("SoftmaxCrossEntropyLoss", [x, g.Ints(1, 2, 0)], ("ignore_index", 2)),
            (g, x, w, dy) =>
            {
                Value logarithms = g.Ops("com.microsoft.SoftmaxCrossEntropyLossInternal", 2, [x, g.Ints(1, 2, 0), null, g.Int(2)],
                    ("reduction", "mean"))[1];
                return [g.Op("com.microsoft.SoftmaxCrossEntropyLossInternalGrad", [dy, logarithms, g.Ints(1, 2, 0), null, g.Int(2)],
                    ("reduction", "mean"))];
            }),
        ["Slice backwards"] = new([6, 3], [],
            (g, x, w) => g.Op("Slice", [x, g.Ints(-1), g.Ints(0), g.Ints(0), g.Ints(-2)]),
            (g, x, w, dy) => [g.Op("com.microsoft.SliceGrad", [dy, g.Op("Shape", [x]), g.Ints(-1), g.Ints(0), g.Ints(0), g.Ints(-2)])]),
        ["Gather"] = new([5, 3], [],
            (g, x, w) => g.Op("Gather", [x, g.Ints(0, 2, 2)], ("axis", 1)),
            (g, x, w, dy) => [g.Op("com.microsoft.GatherGrad", [g.Op("Shape", [x]), g.Ints(0, 2, 2), dy], ("axis", 1))]),
        ["Div"] = new([3, 4], [[4]],
            (g, x, w) => g.Div(x, w[0]),
            (g, x, w, dy) => [.. g.Ops("com.microsoft.DivGrad", 2, [dy, x, w[0]])]),
        ["BiasGelu"] = new([3, 4], [[4]],
            (g, x, w) => g.Op("com.microsoft.BiasGelu", [x, w[0]]),
            (g, x, w, dy) => [g.Op("com.microsoft.BiasGeluGrad_dX", [dy, x, w[0]])]),
        ["Concat"] = new([3, 4], [[3, 2]],
            (g, x, w) => g.Concat(1, x, w[0]),
            (g, x, w, dy) => [.. g.Ops("com.microsoft.SplitTraining", 2,
                [dy, g.Ops("com.microsoft.ConcatTraining", 2, [x, w[0]], ("axis", 1))[1]], ("axis", 1))]),
        ["Broadcast"] = new([3, 4], [[4]],
            (g, x, w) => g.Add(x, w[0]),
            (g, x, w, dy) =>
            {
                Term[] axes = g.Ops("com.microsoft.BroadcastGradientArgs", 2, [g.Op("Shape", [x]), g.Op("Shape", [w[0]])]);
                Value sum = g.Op("com.microsoft.ReduceSumTraining", [dy, axes[1]], ("keepdims", 1), ("noop_with_empty_axes", 1));
                return [dy, g.Reshape(sum, g.Op("Shape", [w[0]]))];
            }),
        ["Invertible LayerNormalization"] = new([3, 5], [[5], [5]],
            (g, x, w) => g.Op("LayerNormalization", [x, w[0], w[1]]),
            (g, x, w, dy) =>
            {
                Term[] f = g.Ops("LayerNormalization", 3, [x, w[0], w[1]]);
                return [.. g.Ops("com.microsoft.InvertibleLayerNormalizationGrad", 3, [dy, f[0], w[0], w[1], f[2]])];
            }),
    };

    private static Value Flat(GraphBuilder g, Value x, Value[] weights) =>
        g.Reshape(g.Op("Softmax", [g.Op("Flatten", [x], ("axis", 1))], ("axis", -1)), g.Op("Shape", [x]));

    public static IEnumerable<object[]> Names => Cases.Keys.Select(n => new object[] { n });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void TrainingOperators_GiveTheGradientsOfOurRules(string name)
    {
        Case c = Cases[name];
        var random = new Random(5);
        OnnxModel plain = Model(c, out Value x, out Value[] weights);
        var g = new GraphBuilder(plain.Graph);
        plain.Graph.Outputs.Add(g.Named(c.Plain(g, x, weights), "y"));
        Dictionary<string, TensorData> feeds = new(StringComparer.Ordinal);
        foreach (Value input in plain.Graph.Inputs)
        {
            feeds[input.Name] = Random(random, input == x ? c.X : c.Weights[weights.IndexOf(input)]);
        }
        long[] shape;
        using (var run = new InferenceSession(GraphWriter.ToBytes(plain)))
        {
            TensorData y = Run(run, feeds, ["y"])[0];
            shape = [.. y.Dimensions];
        }
        TensorData dy = Random(random, shape);
        string[] wrt = [.. plain.Graph.Inputs.Select(i => i.Name)];

        OnnxModel training = Model(c, out x, out weights);
        Value upstream = training.Graph.AddInput("dy", ElementType.Float,
            new Shape(shape.Select((_, i) => (Dim)SymbolicInt.Symbol($"d{i}"))));
        g = new GraphBuilder(training.Graph);
        Value?[] results = c.Training(g, x, weights, upstream);
        string[] outputs = [.. wrt.Take(results.Length).Where((_, i) => results[i] is not null)];
        for (int i = 0; i < Math.Min(results.Length, wrt.Length); i++)
        {
            if (results[i] is Value result) training.Graph.Outputs.Add(result);
        }
        LowerTraining.Run(training);
        using var lowered = new InferenceSession(GraphWriter.ToBytes(training));
        TensorData[] found = Run(lowered, new(feeds) { ["dy"] = dy }, [.. training.Graph.Outputs.Select(o => o.Name)]);

        using var reference = new InferenceSession(GradientModel.Build(ModelFile.Load(GraphWriter.ToBytes(plain)), ["y"], wrt).ToBytes());
        TensorData[] expected =
            Run(reference, new(feeds) { [GradientModel.CotangentOf("y")] = dy }, [.. outputs.Select(GradientModel.GradientOf)]);
        for (int k = 0; k < outputs.Length; k++)
        {
            CollectionAssert.AreEqual(expected[k].Dimensions.ToArray(), found[k].Dimensions.ToArray(), outputs[k]);
            double[] e = expected[k].ToDoubles(), f = found[k].ToDoubles();
            for (int i = 0; i < e.Length; i++) Assert.AreEqual(e[i], f[i], 2e-5, $"{outputs[k]}[{i}]");
        }
    }

    private static OnnxModel Model(Case c, out Value x, out Value[] weights)
    {
        OnnxModel model = OnnxModel.Create("m", 18);
        model.Opsets["com.microsoft"] = 1;
        x = model.Graph.AddInput("x", ElementType.Float, new Shape(c.X.Select((d, i) => i == 1 ? d : (Dim)SymbolicInt.Symbol($"x{i}"))));
        weights = [.. c.Weights.Select((w, i) => model.Graph.AddInput($"w{i}", ElementType.Float, Shape.Of(w)))];
        return model;
    }

    private static TensorData Random(Random random, long[] dims) =>
        TensorData.From<float>([.. Enumerable.Range(0, (int)dims.Aggregate(1L, (n, d) => n * d))
            .Select(_ => (float)random.NextDouble() + 0.2f)], dims);

    private static TensorData[] Run(InferenceSession session, Dictionary<string, TensorData> feeds, string[] outputs)
    {
        using var run = new RunOptions();
        Dictionary<string, OrtValue> values =
            session.InputNames.ToDictionary(n => n, n =>
            OrtValue.CreateTensorValueFromMemory(feeds[n].ToArray<float>(), [.. feeds[n].Dimensions]), StringComparer.Ordinal);
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, values, outputs);
        return [.. results.Select(r => TensorData.From(r.GetTensorDataAsSpan<float>(), r.GetTensorTypeAndShape().Shape))];
    }
}
