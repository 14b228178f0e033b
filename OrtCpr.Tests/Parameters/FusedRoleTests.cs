using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Parameters;

/// <summary>A model trains alike in plain and in fused form: the same tensors are trained, bounded and decayed.</summary>
[TestClass]
public sealed class FusedRoleTests
{
    private const string Contrib = "com.microsoft.";

    // weight: a weight of a name and a shape, made once.
    private delegate Value Body(GraphBuilder g, Value x, Func<string, long[], Value> weight);

    private static readonly (string, object) Normal = ("epsilon", 1e-5f);

    // Fused operator → the model with it, and the model without. Inputs are x [batch, 6, 8] or what a row says, outputs y.
    private static readonly Dictionary<string, (long[] Dims, Body Fused, Body Plain)> Pairs = new(StringComparer.Ordinal)
    {
        ["FusedConv"] = ([2, 7, 7],
            (g, x, w) => g.Op(Contrib + "FusedConv", [x, w("w", [4, 2, 3, 3]), w("b", [4])], ("activation", "Relu")),
            (g, x, w) => g.Op("Relu", [g.Op("Conv", [x, w("w", [4, 2, 3, 3]), w("b", [4])])])),
        ["FusedGemm"] = ([8],
            (g, x, w) => g.Op(Contrib + "FusedGemm", [x, w("w", [8, 4]), w("b", [4])], ("activation", "Relu")),
            (g, x, w) => g.Op("Relu", [g.Op("Gemm", [x, w("w", [8, 4]), w("b", [4])])])),
        ["FusedMatMul"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "FusedMatMul", [x, w("w", [4, 8])], ("transB", 1), ("alpha", 0.5f)),
            (g, x, w) => g.Mul(g.MatMul(x, g.Transpose(w("w", [4, 8]), 1, 0)), g.Scalar(0.5, ElementType.Float))),
        ["BiasGelu"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "BiasGelu", [g.MatMul(x, w("w", [8, 4])), w("b", [4])]),
            (g, x, w) => g.Op(Contrib + "Gelu", [g.Add(g.MatMul(x, w("w", [8, 4])), w("b", [4]))])),
        ["FastGelu"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "FastGelu", [g.MatMul(x, w("w", [8, 4])), w("b", [4])]),
            (g, x, w) => g.Op(Contrib + "FastGelu", [g.Add(g.MatMul(x, w("w", [8, 4])), w("b", [4]))])),
        ["SkipLayerNormalization"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "SkipLayerNormalization",
                [x, g.MatMul(x, w("w", [8, 8])), w("gain", [8]), w("shift", [8]), w("b", [8])], Normal),
            (g, x, w) => g.Op("LayerNormalization",
                [g.Add(x, g.Add(g.MatMul(x, w("w", [8, 8])), w("b", [8]))), w("gain", [8]), w("shift", [8])], Normal)),
        ["SkipSimplifiedLayerNormalization"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "SkipSimplifiedLayerNormalization",
                [x, g.MatMul(x, w("w", [8, 8])), w("gain", [8]), w("b", [8])], Normal),
            (g, x, w) => g.Op("SimplifiedLayerNormalization",
                [g.Add(x, g.Add(g.MatMul(x, w("w", [8, 8])), w("b", [8]))), w("gain", [8])], Normal)),
        ["EmbedLayerNormalization"] = ([6],
            (g, x, w) =>
            {
                Value y = g.Ops(Contrib + "EmbedLayerNormalization", 2, [Tokens(g, x), null, w("word", [5, 8]), w("position", [6, 8]), null,
                    w("gain", [8]), w("shift", [8])], Normal)[0];
                y.Type = ElementType.Float;
                return y;
            },
            (g, x, w) => g.Op("LayerNormalization", [g.Add(g.Op("Gather", [w("word", [5, 8]), Tokens(g, x)]),
                g.Op("Gather", [w("position", [6, 8]), g.Ints(0, 1, 2, 3, 4, 5)])), w("gain", [8]), w("shift", [8])], Normal)),
        ["MultiHeadAttention"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "MultiHeadAttention",
                [g.MatMul(x, w("q", [8, 8])), g.MatMul(x, w("k", [8, 8])), g.MatMul(x, w("v", [8, 8])), w("b", [24])],
                ("num_heads", 2)),
            (g, x, w) => g.Op(Contrib + "MultiHeadAttention", [.. new[] { "q", "k", "v" }.Select((name, i) => (Value)g.Add(
                g.MatMul(x, w(name, [8, 8])), g.Op("Slice", [w("b", [24]), g.Ints(8 * i), g.Ints(8 * (i + 1)), g.Ints(0)])))],
                ("num_heads", 2))),
        ["Attention"] = ([6, 8],
            (g, x, w) => g.Op(Contrib + "Attention", [x, w("w", [8, 24]), w("b", [24])], ("num_heads", 2)),
            (g, x, w) =>
            {
                Value all = g.Add(g.MatMul(x, w("w", [8, 24])), w("b", [24]));
                return g.Op(Contrib + "MultiHeadAttention", [.. Enumerable.Range(0, 3).Select(i =>
                    (Value)g.Op("Slice", [all, g.Ints(8 * i), g.Ints(8 * (i + 1)), g.Ints(2)]))], ("num_heads", 2));
            }
        ),
    };

    // What takes no vector that could be mistaken: products of data, draws, forms of operators that are in the table.
    private static readonly HashSet<string> WithoutParameters = new(StringComparer.Ordinal)
    {
        "BiasSoftmax", "CDist", "CropAndResize", "DequantizeLinear", "ExpandDims", "GatedAdd", "GatherND", "Gelu",
        "GridSample", "GroupQueryAttention", "HyperConnectionPostMix", "HyperConnectionPreMix", "Inverse", "LinearAttention",
        "MRotaryEmbedding", "MaxpoolWithMask", "NGramRepeatBlock", "Pad", "QuantizeLinear", "QuickGelu", "Range", "RotaryEmbedding",
        "SampleOp", "ScaledSiLU", "SparseAttention", "Trilu", "UnfoldTensor", "Unique",
    };

    // Numbers from -1 to 1 as tokens from 0 to 4.
    private static Value Tokens(GraphBuilder g, Value x) =>
        g.Cast(g.Mul(g.Add(x, g.Scalar(1, ElementType.Float)), g.Scalar(2, ElementType.Float)), ElementType.Int32);

    private static IEnumerable<object[]> Names => Pairs.Keys.Select(k => new object[] { k });

    private static byte[] Model(long[] dims, Body body)
    {
        OnnxModel model = OnnxModel.Create("fused", 18);
        model.Opsets["com.microsoft"] = 1;
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape([SymbolicInt.Symbol("batch"), .. dims.Select(d => (Dim)d)]));
        var weights = new Dictionary<string, Value>(StringComparer.Ordinal);
        Value y = body(g, x, (name, shape) => weights.TryGetValue(name, out Value? known) ? known
            : weights[name] = TestModels.Weight(graph, name, shape));
        graph.Outputs.Add(g.Named(y, "y"));
        return GraphWriter.ToBytes(model);
    }

    private static TrainingPlan Plan(byte[] model) => TrainingGraphBuilder.Build(model, new TrainingOptions
    {
        Loss = new OutputLoss(),
        Parameters = new ParameterOptions { RegularizeEmbeddings = true },
        Optimizer = new OptimizerOptions { Groups = [UpdateRule.AdamW(1e-2, 0.5)] },
    });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void FusedAndPlain_TrainAlike(string name)
    {
        (long[] dims, Body fused, Body plain) = Pairs[name];
        TrainingPlan[] plans = [Plan(Model(dims, fused)), Plan(Model(dims, plain))];
        string[][] roles = [.. plans.Select(p => p.Parameters.Trained.Select(t => $"{t.Name} {t.Role} {t.Constrained}")
            .Order(StringComparer.Ordinal).ToArray())];
        CollectionAssert.AreEqual(roles[1], roles[0], $"{string.Join(", ", roles[0])} for {string.Join(", ", roles[1])}");
        Assert.IsTrue(roles[0].Any(r => r.EndsWith("True", StringComparison.Ordinal)), "nothing is bounded");
        using TrainingDriver one = new(plans[0], new DriverOptions { Threads = 1 }), two = new(plans[1], new DriverOptions { Threads = 1 });
        int count = (int)dims.Aggregate(3L, (n, d) => n * d);
        float[] numbers = [.. Enumerable.Range(0, count).Select(i => MathF.Sin(i))];
        for (int step = 0; step < 20; step++)
        {
            foreach (TrainingDriver driver in new[] { one, two })
            {
                using Batch batch = new Batch().Add("x", numbers, [3, .. dims]);
                driver.Step(batch);
            }
        }
        foreach (ParameterInfo parameter in plans[0].Parameters.Trained)
        {
            double[] a = one.GetParameter(parameter.Name).ToDoubles(), b = two.GetParameter(parameter.Name).ToDoubles();
            for (int i = 0; i < a.Length; i++) Assert.AreEqual(b[i], a[i], 2e-3, $"{parameter.Name}[{i}]");
        }
    }

    /// <summary>Each fused operator that is differentiated has a row of roles, or is known to take no parameter.</summary>
    [TestMethod]
    public void EveryFusedOperator_IsInTheTableOfRoles()
    {
        var known = OperandRoles.Operators.ToHashSet(StringComparer.Ordinal);
        string[] missing = [.. GradientRules.Default.Differentiable.Concat(Decompositions.Operators)
            .Where(o => o.StartsWith(Contrib, StringComparison.Ordinal) && !known.Contains(o)
                && !WithoutParameters.Contains(o[Contrib.Length..])).Distinct()];
        Assert.IsEmpty(missing, string.Join(", ", missing));
    }
}
