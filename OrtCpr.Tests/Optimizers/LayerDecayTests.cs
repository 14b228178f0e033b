using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Optimizers;

// Learning rates that fall with the distance from the head.
[TestClass]
public sealed class LayerDecayTests
{
    // A chain of Gemms whose weights have these names; biases where a name has one.
    private static byte[] Chain(params (string Weight, string? Bias, string Node)[] layers)
    {
        OnnxModel model = OnnxModel.Create("chain", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        // Files list parameters in any order.
        foreach ((_, string? bias, _) in layers.Reverse())
        {
            if (bias is not null) TestModels.Weight(graph, bias, 4);
        }
        foreach ((string weight, string? bias, string node) in layers)
        {
            Value w = TestModels.Weight(graph, weight, 4, 4);
            Value?[] inputs = bias is null ? [x, w] : [x, w, graph.Initializers.Single(i => i.Name == bias)];
            Value y = g.Op("Gemm", inputs, ("transB", 1));
            y.Producer!.Name = node;
            x = g.Op("Tanh", [y]);
        }
        graph.Outputs.Add(g.Named(x, "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static Dictionary<string, double> Rates(byte[] model, LayerDecay decay, params UpdateRule[] rules)
    {
        TrainingPlan plan = TrainingGraphBuilder.Build(model, new TrainingOptions
        {
            Optimizer = new OptimizerOptions { Groups = rules.Length > 0 ? [.. rules] : [UpdateRule.AdamW(1)], LayerDecay = decay },
        });
        if (rules.Length < 2)
            Assert.AreEqual(plan.Optimizer.Groups.Max(g => g.LearningRate), plan.Optimizer.Groups[0].LearningRate, "the head's is first");
        return plan.Trained.ToDictionary(p => p.Name, p => plan.Optimizer.Groups[p.Group].LearningRate, StringComparer.Ordinal);
    }

    private static void AreRates(Dictionary<string, double> rates, params (string Name, double Rate)[] expected)
    {
        CollectionAssert.AreEquivalent(expected.Select(e => e.Name).ToArray(), rates.Keys.ToArray());
        foreach ((string name, double rate) in expected) Assert.AreEqual(rate, rates[name], 1e-12, name);
    }

    [TestMethod]
    public void NumbersInNames_AreLayers_AndWhatStandsAboveIsTheHead() => AreRates(
        Rates(Chain(("embed.weight", "embed.bias", ""), ("encoder.layer.0.q.weight", "encoder.layer.0.q.bias", ""),
            ("encoder.layer.0.out.2.weight", null, ""), ("encoder.layer.1.q.weight", null, ""), ("pooler.weight", "pooler.bias", ""),
            ("classifier.weight", null, "")), new LayerDecay { Factor = 0.5 }),
        ("embed.weight", 0.125), ("embed.bias", 0.125), ("encoder.layer.0.q.weight", 0.25), ("encoder.layer.0.q.bias", 0.25),
        ("encoder.layer.0.out.2.weight", 0.25), ("encoder.layer.1.q.weight", 0.5), ("pooler.weight", 1), ("pooler.bias", 1),
        ("classifier.weight", 1));

    [TestMethod]
    public void NodesTell_WhereTheExporterLostTheNames() => AreRates(
        Rates(Chain(("onnx::MatMul_71", null, "/stem/MatMul"), ("onnx::MatMul_72", null, "/blocks.0/fc/MatMul"),
            ("onnx::MatMul_9", null, "/blocks.1/fc/MatMul")), new LayerDecay { Factor = 0.5 },
            [UpdateRule.AdamW(2)]),
        ("onnx::MatMul_71", 0.5), ("onnx::MatMul_72", 1), ("onnx::MatMul_9", 2));

    [TestMethod]
    public void WithoutNumbers_EachMatrixIsALayer_WithItsBias() => AreRates(
        Rates(Chain(("a", "a_b", ""), ("b", "b_b", ""), ("c", "c_b", "")), new LayerDecay { Factor = 0.1 }),
        ("a", 0.01), ("a_b", 0.01), ("b", 0.1), ("b_b", 0.1), ("c", 1), ("c_b", 1));

    [TestMethod]
    public void Patterns_SayWhatALayerIs_AndRulesKeepTheirRates()
    {
        byte[] model = Chain(("stem", null, ""), ("s1.0.w", "s1.0.b", ""), ("s1.1.w", null, ""), ("s2.0.w", null, ""), ("fc", null, ""));
        AreRates(Rates(model, new LayerDecay { Factor = 0.5, Layers = ["s*.*"] }, new UpdateRule
        {
            LearningRate = 8,
            Parameters = ["*.b"],
        }, UpdateRule.AdamW(1)), ("stem", 0.125), ("s1.0.w", 0.25), ("s1.0.b", 2), ("s1.1.w", 0.25), ("s2.0.w", 0.5), ("fc", 1));
    }

    [TestMethod]
    public void Training_IsThatOfGroupsGivenByHand()
    {
        byte[] model = Chain(("h.0.w", "h.0.b", ""), ("h.1.w", null, ""));
        using TrainingDriver decayed = Driver(new OptimizerOptions
        {
            Groups = [UpdateRule.AdamCpr(0.02, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) })],
            LayerDecay = new LayerDecay { Factor = 0.25 },
        });
        using TrainingDriver grouped = Driver(new OptimizerOptions
        {
            Groups =
            [
                UpdateRule.AdamCpr(0.02, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) }) with { Parameters = ["h.1.*"] },
                UpdateRule.AdamCpr(0.005, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) }),
            ],
        });
        for (int step = 0; step < 6; step++)
        {
            using Batch batch = TestModels.Batch(5, seed: step);
            Assert.AreEqual(grouped.Step(batch), decayed.Step(batch));
        }
        CollectionAssert.AreEqual(grouped.ToBuffer().ToDoubles(), decayed.ToBuffer().ToDoubles());

        TrainingDriver Driver(OptimizerOptions optimizer) => new(TrainingGraphBuilder.Build(model,
            new TrainingOptions { Optimizer = optimizer }), new DriverOptions { Threads = 1 });
    }

    [TestMethod]
    public void WhatIsOutOfRange_IsSaid()
    {
        byte[] model = Chain(("a", null, ""), ("b", null, ""));
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Rates(model, new LayerDecay { Factor = 1.5 })).Message,
            "Factor is 1.5; expected above 0 and at most 1");
        LayerDecay idle = new() { Factor = 0.5, Layers = ["layer.*.*"] };
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Rates(model, idle)).Message,
            "'layer.*.*' match neither a trained parameter");
        OptimizerOptions optimizer = new() { LayerDecay = new LayerDecay { Factor = 0.5 } };
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => TrainingPlan.ForOptimizer(
            [new ParameterSpec("w", ElementType.Float, [2, 2], true)], optimizer)).Message,
            "there is no model whose layers it could go by");
    }
}
