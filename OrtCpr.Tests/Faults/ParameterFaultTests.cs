using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Faults;

/// <summary>Small models that went wrong once: what is trained, and what the exported file is.</summary>
[TestClass]
public sealed class ParameterFaultTests
{
    private static string File(string name) => Path.Combine(AppContext.BaseDirectory, "Data", "faults", $"{name}.onnx");

    private static TrainingOptions Options(double learningRate = 1e-2) => new()
    {
        Loss = new MseLoss(),
        Optimizer = new OptimizerOptions { Groups = [UpdateRule.AdamW(learningRate, 0)] },
    };

    private static TrainingPlan Plan(string name, TrainingOptions? options = null) =>
        TrainingGraphBuilder.Build(File(name), options ?? Options());

    private static string[] Trained(string name, TrainingOptions? options = null) =>
        [.. Plan(name, options).Trained.Select(p => p.Name).Order(StringComparer.Ordinal)];

    // Inputs of the plan filled with waves; a dimension that is not fixed is 4.
    private static Batch Waves(TrainingPlan plan)
    {
        var batch = new Batch();
        foreach (BatchInput input in plan.BatchInputs)
        {
            long[] dims = [.. input.Dimensions!.Select(d => long.TryParse(d, out long n) ? n : 4)];
            int count = (int)dims.Aggregate(1L, (n, d) => n * d);
            if (input.Type == ElementType.Int64) batch.Add(input.Name, [.. Enumerable.Repeat(16000L, count)], dims);
            else if (input.Type == ElementType.Bool) batch.Add(input.Name, Enumerable.Repeat(false, count).ToArray(), dims);
            else batch.Add(input.Name, [.. Enumerable.Range(0, count).Select(i => MathF.Sin(i + (input.IsLabel ? 1 : 0)))], dims);
        }
        return batch;
    }

    // Trains, exports, and compares a plain session with the run's own evaluation. Gives the exported model.
    private static ModelProto TrainAndExport(string name, TrainingOptions? options = null, int steps = 5)
    {
        TrainingPlan plan = Plan(name, options);
        using TrainingDriver driver = new(plan, new DriverOptions { Threads = 1 });
        using Batch batch = Waves(plan);
        for (int i = 0; i < steps; i++) driver.Step(batch);
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        string output = plan.ModelOutputs[0];
        using Evaluation evaluated = driver.EvalStep(batch, output);
        using var session = new InferenceSession(stream.ToArray());
        using var run = new RunOptions();
        string[] inputs = [.. plan.BatchInputs.Where(i => !i.IsLabel).Select(i => i.Name)];
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(run, inputs, [.. inputs.Select(i => batch.Tensors[i])], [output]);
        double[] expected = Device.ReadOnHost(evaluated[output]).ToDoubles(), actual = Device.ReadOnHost(results[0]).ToDoubles();
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-5, $"{name}, element {i}");
        return ModelProto.Parser.ParseFrom(stream.ToArray());
    }

    private static float[] Value(ModelProto model, string name) =>
        TensorPlaces.Of(model).Find(name)!.Read(ModelFile.Load(model.ToByteArray())).ToArray<float>();

    [TestMethod]
    [DataRow("constant_node_weight", "W b")]
    [DataRow("constant_node_all", "b2 cb w w2")]
    [DataRow("constant_weights_in_branch", "Wc bc")]
    [DataRow("sibling_bodies_one_name", "b node_If_0/else_branch/W node_If_0/then_branch/W")]
    [DataRow("if_constant_condition", "V W")]
    [DataRow("quantize_dequantize", "W b")]
    [DataRow("logit_scale_scalar", "W logit_scale")]
    [DataRow("bias_in_branch", "V W b k")]
    [DataRow("branch_returns_outer_value", "W")]
    [DataRow("dead_branch_invalid", "W")]
    [DataRow("fully_masked_row", "W")]
    [DataRow("linear_regressor", "LR.coefficients LR.intercepts")]
    public void Parameters_AreFoundWhereTheyStand_AndExportedThere(string name, string expected)
    {
        string[] trained = Trained(name);
        string text = string.Join(' ', trained);
        if (!expected.Contains("node_If", StringComparison.Ordinal)) Assert.AreEqual(expected, text, Plan(name).Parameters.ToString());
        else Assert.AreEqual(2, trained.Count(t => t.EndsWith("/W", StringComparison.Ordinal)), text);
        ModelProto before = ModelProto.Parser.ParseFrom(System.IO.File.ReadAllBytes(File(name))), after = TrainAndExport(name);
        Assert.AreEqual(before.Graph.Initializer.Count, after.Graph.Initializer.Count, "initializers were added");
        Assert.AreEqual(before.OpsetImport, after.OpsetImport);
        string[] changed = [.. trained.Where(t => !Value(before, t).SequenceEqual(Value(after, t)))];
        Assert.AreNotEqual(0, changed.Length, "nothing was trained");
    }

    [TestMethod]
    public void StatisticsInConstantNodes_AreWrittenBackIntoThem()
    {
        ModelProto model = TrainAndExport("constant_node_statistics");
        Assert.IsEmpty(model.Graph.Initializer.Where(i => i.Name is "rm" or "rv"));
        Assert.AreNotEqual(0f, Value(model, "rm")[0]);
        Assert.AreNotEqual(1f, Value(model, "rv")[0]);
    }

    [TestMethod]
    public void SiblingBodies_KeepTheirOwnValues()
    {
        ModelProto model = TrainAndExport("sibling_bodies_one_name", Options(0));
        float[][] values = [.. TensorPlaces.Of(model).All.Where(p => p.Name.EndsWith("/W", StringComparison.Ordinal))
            .Select(p => Value(model, p.Name))];
        CollectionAssert.AreEqual(new[] { 1f, 2f }, values[0]);
        CollectionAssert.AreEqual(new[] { 30f, 40f }, values[1]);
    }

    [TestMethod]
    public void ModelThatOnnxRuntimeRefuses_IsRefusedBeforeTraining_WithItsReason()
    {
        ModelFormatException error = Assert.ThrowsExactly<ModelFormatException>(() => Plan("refused_by_onnxruntime"));
        StringAssert.Contains(error.Message, "does not run the model");
        StringAssert.Contains(error.Message, "Resize");
    }

    [TestMethod]
    public void BranchThatReturnsAnOuterValue_IsMended_AndTold() =>
        Assert.Contains(w => w.Contains("returns 'h'", StringComparison.Ordinal), Plan("branch_returns_outer_value").Warnings);

    [TestMethod]
    public void BranchNeverTaken_MayBeIllegal() =>
        Assert.Contains(w => w.Contains("is never taken", StringComparison.Ordinal), Plan("dead_branch_invalid").Warnings);

    [TestMethod]
    public void ConditionOnARank_IsKnownInABodyToo()
    {
        ModelProto model = ModelProto.Parser.ParseFrom(System.IO.File.ReadAllBytes(File("branch_returns_outer_value")));
        GraphProto then = model.Graph.Node.Single(n => n.OpType == "If").Attribute.Single(a => a.Name == "then_branch").G;
        GraphProto Branch(string name, NodeProto node)
        {
            var branch = new GraphProto { Name = name, Node = { node } };
            branch.Output.Add(new ValueInfoProto { Name = node.Output[0], Type = new TypeProto { TensorType = new() { ElemType = 1 } } });
            return branch;
        }
        AttributeProto Body(string name, GraphProto graph) =>
            new() { Name = name, Type = AttributeProto.Types.AttributeType.Graph, G = graph };
        then.Node.Clear();
        then.Output.Clear();
        then.Initializer.Add(TensorSerializer.Write("two", TensorData.From<long>([2], 1)));
        then.Initializer.Add(TensorSerializer.Write("first", TensorData.From<long>([0], 1)));
        then.Node.Add(new NodeProto { OpType = "Shape", Input = { "h" }, Output = { "shape" } });
        then.Node.Add(new NodeProto { OpType = "Shape", Input = { "shape" }, Output = { "rank" } });
        then.Node.Add(new NodeProto { OpType = "Equal", Input = { "rank", "two" }, Output = { "isMatrix" } });
        then.Node.Add(new NodeProto
        {
            OpType = "If",
            Input = { "isMatrix" },
            Output = { "u" },
            Attribute =
            {
                Body("then_branch", Branch("a", new NodeProto { OpType = "Identity", Input = { "h" }, Output = { "same" } })),
                Body("else_branch", Branch("b", new NodeProto { OpType = "Unsqueeze", Input = { "h", "first" }, Output = { "more" } })),
            },
        });
        then.Output.Add(new ValueInfoProto { Name = "u", Type = new TypeProto { TensorType = new() { ElemType = 1 } } });
        TrainingPlan plan = TrainingGraphBuilder.Build(model.ToByteArray(), Options());
        Assert.IsEmpty(plan.Training.Graph.Nodes.SelectMany(n => n.Subgraphs).SelectMany(b => b.NodesAndInner()).Where(n => n.Is("If")));
        CollectionAssert.AreEqual(new[] { "W" }, plan.Trained.Select(p => p.Name).ToArray());
    }

    [TestMethod]
    [DataRow("fully_masked_row")]
    [DataRow("sqrt_at_zero")]
    public void WhatIsMaskedOrZero_GivesNoNaN(string name)
    {
        foreach (bool kernels in new[] { true, false })
        {
            using TrainingDriver driver = new(Plan(name), new DriverOptions { Threads = 1, Kernels = kernels });
            using Batch batch = Waves(driver.Plan);
            driver.TrainStep(batch);
            double[] gradient = driver.GetGradient("W").ToDoubles();
            Assert.IsTrue(gradient.All(double.IsFinite), string.Join(", ", gradient));
            Assert.IsTrue(gradient.Any(v => v != 0));
            if (name == "sqrt_at_zero") CollectionAssert.AreEqual(new[] { 0.0, 0.0 }, gradient[..2]);
        }
    }

    [TestMethod]
    [DataRow("bn.*")]
    [DataRow("regex:bn\\..*")]
    public void PatternToTrain_TakesNoStatistics(string pattern)
    {
        TrainingOptions options = Options() with { Parameters = new ParameterOptions { TrainOnly = [pattern] } };
        CollectionAssert.AreEqual(new[] { "bn.b", "bn.w" }, Trained("statistics_by_pattern", options));
    }

    [TestMethod]
    public void StatisticNamedAsAParameter_IsRefused()
    {
        OptionException error = Assert.ThrowsExactly<OptionException>(() =>
            Plan("statistics_by_pattern", Options() with { Parameters = new ParameterOptions { TrainOnly = ["bn.w", "bn.v"] } }));
        StringAssert.Contains(error.Message, "'bn.v'");
    }

    [TestMethod]
    public void InfiniteStart_IsRefusedByName()
    {
        OptionException error = Assert.ThrowsExactly<OptionException>(() =>
            Plan("minus_infinity", Options() with { Parameters = new ParameterOptions { Train = ["neg"] } }));
        StringAssert.Contains(error.Message, "'neg'");
        CollectionAssert.AreEqual(new[] { "w" }, Trained("minus_infinity"));
    }

    [TestMethod]
    [DataRow("Round")]
    [DataRow("Floor")]
    [DataRow("ArgMax")]
    public void WhatStopsAGradient_IsNamed(string opType)
    {
        var model = new ModelProto { IrVersion = 8 };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        model.Graph = ModelProto.Parser.ParseFrom(System.IO.File.ReadAllBytes(File("softmax_output"))).Graph;
        model.Graph.Node.Clear();
        model.Graph.Initializer.Add(TensorSerializer.Write("V", TensorData.From<float>([1, 2, 3, 4], 2, 2)));
        model.Graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "x", "W" }, Output = { "h" } });
        NodeProto stop = new() { OpType = opType, Name = "stop", Input = { "h" }, Output = { "r" } };
        model.Graph.Node.Add(stop);
        string last = "r";
        if (opType == "ArgMax")
        {
            model.Graph.Node.Add(new NodeProto
            {
                OpType = "Cast",
                Input = { "r" },
                Output = { "f" },
                Attribute = { new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = 1 } },
            });
            last = "f";
        }
        model.Graph.Node.Add(new NodeProto { OpType = "Add", Input = { last, "V" }, Output = { "y" } });
        byte[] bytes = model.ToByteArray();
        TrainingPlan plan = TrainingGraphBuilder.Build(bytes, Options());
        StringAssert.Contains(plan.Parameters.All.Single(p => p.Name == "W").Reason, $"the gradient stops at {opType} 'stop'");
        Assert.Contains(w => w.Contains("'W'", StringComparison.Ordinal) && w.Contains("--straight-through", StringComparison.Ordinal),
            plan.Warnings);
        if (opType == "ArgMax") return;
        TrainingOptions through = Options() with { Rules = GradientRules.Default.StraightThrough() };
        Assert.HasCount(2, TrainingGraphBuilder.Build(bytes, through).Trained);
    }
}
