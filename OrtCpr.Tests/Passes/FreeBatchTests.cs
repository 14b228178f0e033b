using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Passes;

/// <summary>Models with a fixed batch, trained, evaluated and exported for batches of any size.</summary>
[TestClass]
public sealed class FreeBatchTests
{
    private const string Warned = "fixed batch";

    /// <summary>x of some shape, with the batch in front, to logits [batch, 3].</summary>
    private static byte[] Model(Dim batch, long[] rest, Func<GraphBuilder, Term, Value> body)
    {
        OnnxModel model = OnnxModel.Create("fixed", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(rest.Select(d => (Dim)d).Prepend(batch)));
        model.Graph.Outputs.Add(g.Named(body(g, g.Term(x)), "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static Value Head(GraphBuilder g, Value features, int width) =>
        g.Op("Gemm", [features, TestModels.Weight(g.Graph, "head.weight", 3, width), TestModels.Weight(g.Graph, "head.bias", 3)],
            ("transB", 1));

    private static Value Attention(GraphBuilder g, Term x, long batch)
    {
        // x [batch, 5, 8] in 2 heads of 4.
        Value Heads(string name) => g.Op("Transpose", [g.Reshape(g.Op("MatMul", [x, TestModels.Weight(g.Graph, name, 8, 8)]), batch, 5, 2,
            4)],
            ("perm", new long[] { 0, 2, 1, 3 }));
        Value scores = g.Op("MatMul", [Heads("query"), g.Op("Transpose", [Heads("keys")], ("perm", new long[] { 0, 1, 3, 2 }))]);
        Value mixed = g.Op("MatMul", [g.Op("Softmax", [scores], ("axis", -1)), Heads("values")]);
        Value joined = g.Reshape(g.Op("Transpose", [mixed], ("perm", new long[] { 0, 2, 1, 3 })), batch, 5, 8);
        return Head(g, g.Reshape(joined, batch, 40), 40);
    }

    private static Value Recurrent(GraphBuilder g, Term x, long batch)
    {
        // x [batch, 5, 4] to the time first, two directions of 3.
        Value time = g.Op("Transpose", [x], ("perm", new long[] { 1, 0, 2 }));
        Value zero = g.Op("Constant", [], ("value", TensorData.From<float>(new float[2 * batch * 3], 2, batch, 3)));
        Term[] y = g.Ops("LSTM", 3, [time, TestModels.Weight(g.Graph, "W", 2, 12, 4), TestModels.Weight(g.Graph, "R", 2, 12, 3), null,
            null, zero,
            zero], ("hidden_size", 3), ("direction", "bidirectional"));
        Value last = g.Reshape(g.Op("Transpose", [y[1]], ("perm", new long[] { 1, 0, 2 })), batch, 6);
        return Head(g, last, 6);
    }

    private static Value Tokens(GraphBuilder g, Term x, long batch)
    {
        // A class token in front of the others, as vision transformers have it.
        Value token = g.Op("Expand", [TestModels.Weight(g.Graph, "token", 1, 1, 4), g.Ints(batch, 1, 4)]);
        Value all = g.Op("Concat", [token, x], ("axis", 1));
        Value table = g.Op("ConstantOfShape", [g.Ints(batch, 6, 4)], ("value", TensorData.From<float>([0.25f], 1)));
        return Head(g, g.Reshape(g.Op("Tanh", [g.Op("Add", [all, table])]), batch, -1), 24);
    }

    private static Value Convolution(GraphBuilder g, Term x, long batch)
    {
        Value y = g.Op("Relu", [g.Op("Conv", [x, TestModels.Weight(g.Graph, "conv", 4, 2, 3, 3)])]);
        return Head(g, g.Op("Reshape", [g.Op("GlobalAveragePool", [y]), g.Ints(batch, 4)]), 4);
    }

    private static Value Sliced(GraphBuilder g, Term x, long batch)
    {
        // The whole batch, and the last step of each, by slices with numbers in them; a merged dimension in between.
        Value whole = g.Op("Slice", [x, g.Ints(0, 1), g.Ints(batch, 5), g.Ints(0, 1)]);
        Value rows = g.Op("MatMul", [g.Reshape(whole, batch * 4, 4), TestModels.Weight(g.Graph, "each", 4, 4)]);
        return Head(g, g.Reshape(g.Op("Tanh", [g.Reshape(rows, batch, 4, 4)]), batch, 16), 16);
    }

    private static Value Scanned(GraphBuilder g, Term x, long batch)
    {
        // A recurrence written out, from a state of zeros.
        Value weight = TestModels.Weight(g.Graph, "recurrent", 4, 4);
        var body = new OnnxGraph("step", g.Graph.Names);
        var b = new GraphBuilder(body);
        Value state = body.AddInput("state", ElementType.Float, Shape.Of(batch, 4)), element = body.AddInput("element", ElementType.Float,
            Shape.Of(batch, 4));
        Value flat = b.Reshape(b.Op("Add", [b.Op("MatMul", [state, weight]), element]), batch, 4);
        Value next = b.Op("Tanh", [flat]);
        body.Outputs.Add(next);
        body.Outputs.Add(b.Identity(next));
        Value zero = g.Op("Constant", [], ("value", TensorData.From<float>(new float[batch * 4], batch, 4)));
        Term[] results = g.Ops("Scan", 2, [zero, g.Op("Transpose", [x], ("perm", new long[] { 1, 0, 2 }))], ("body", body),
            ("num_scan_inputs", 1));
        return Head(g, g.Op("Add", [results[0], g.Op("ReduceMean", [results[1], g.Ints(0)], ("keepdims", 0))]), 4);
    }

    private static Value Looped(GraphBuilder g, Term x, long batch)
    {
        // A state of zeros that a loop takes over the time, and what each step leaves.
        Value weight = TestModels.Weight(g.Graph, "recurrent", 4, 4);
        Value zero = g.Op("Constant", [], ("value", TensorData.From<float>(new float[batch * 4], batch, 4)));
        Value[] results = Gradients.RuleCases.Loop(g, g.Scalar(5, ElementType.Int64), null, [zero], (b, i, states) =>
        {
            Value element = b.Reshape(b.Op("Gather", [x, i], ("axis", 1)), batch, 4);
            Value next = b.Op("Tanh", [b.Op("Add", [b.Op("MatMul", [states[0], weight]), element])]);
            return (null, [next], [b.Reshape(next, batch, 4)]);
        });
        return Head(g, g.Op("Add", [results[0], g.Op("ReduceMean", [results[1], g.Ints(0)], ("keepdims", 0))]), 4);
    }

    private static Value Branched(GraphBuilder g, Term x, long batch)
    {
        Value mean = g.Op("ReduceMean", [TestModels.Constant(g.Graph, "switch", 1, 2), g.Ints(0)], ("keepdims", 0));
        OnnxGraph Branch(string name, string function)
        {
            var body = new OnnxGraph(name, g.Graph.Names);
            var b = new GraphBuilder(body);
            body.Outputs.Add(b.Reshape(b.Op(function, [x]), batch, 20));
            return body;
        }
        Value either = g.Op("If", [g.Op("Greater", [mean, g.Scalar(0, ElementType.Float)])], ("then_branch", Branch("then", "Tanh")),
            ("else_branch", Branch("else", "Sigmoid")));
        return Head(g, either, 20);
    }

    private static Value Resized(GraphBuilder g, Term x, long batch)
    {
        Value grown = g.Op("Resize", [x, null, null, g.Ints(batch, 2, 8, 8)], ("mode", "linear"));
        Value y = g.Op("Conv", [grown, TestModels.Weight(g.Graph, "conv", 4, 2, 3, 3)]);
        return Head(g, g.Op("Squeeze", [g.Op("GlobalAveragePool", [y]), g.Ints(2, 3)]), 4);
    }

    private static Value Flat(GraphBuilder g, Term x, long batch) => Head(g, g.Reshape(x, batch, -1), 20);

    private sealed record Body(long[] Dims, Func<GraphBuilder, Term, long, Value> Write);

    private static readonly Dictionary<string, Body> Bodies = new(StringComparer.Ordinal)
    {
        ["flat"] = new([5, 4], Flat),
        ["convolution"] = new([2, 6, 6], Convolution),
        ["attention"] = new([5, 8], Attention),
        ["recurrent"] = new([5, 4], Recurrent),
        ["tokens"] = new([5, 4], Tokens),
        ["sliced"] = new([5, 4], Sliced),
        ["scanned"] = new([5, 4], Scanned),
        ["looped"] = new([5, 4], Looped),
        ["branched"] = new([5, 4], Branched),
        ["resized"] = new([2, 6, 6], Resized),
    };

    private static byte[] Fixed(string name, long batch) => Model(batch, Bodies[name].Dims, (g, x) => Bodies[name].Write(g, x, batch));

    private static Batch Batch(int size, long[] rest, int seed = 1, int from = 0, int take = int.MaxValue)
    {
        var random = new Random(seed);
        int each = (int)rest.Aggregate(1L, (p, d) => p * d);
        float[] x = [.. Enumerable.Range(0, size * each).Select(_ => (float)((random.NextDouble() * 2) - 1))];
        long[] labels = [.. Enumerable.Range(0, size).Select(_ => (long)random.Next(3))];
        take = Math.Min(take, size - from);
        return new Batch().Add("x", x[(from * each)..((from + take) * each)], [take, .. rest]).Add("labels", labels[from..(from + take)],
            take);
    }

    private static TrainingDriver Driver(byte[] model, bool free = true) => new(TrainingGraphBuilder.Build(model, new TrainingOptions
    {
        Optimizer = new() { Groups = [UpdateRule.AdamCpr(1e-2)] },
        FreeBatch = free,
    }), new DriverOptions { Threads = 1 });

    public static IEnumerable<object[]> Cases =>
        Bodies.Keys.SelectMany(name => new[] { 1L, 4L }.Select(batch => new object[] { name, batch }));

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void FreedModel_TrainsOnAnyBatch_AsTheFixedOneOnItsOwn(string name, long batch)
    {
        long[] rest = Bodies[name].Dims;
        using TrainingDriver free = Driver(Fixed(name, batch)), own = Driver(Fixed(name, batch), free: false);
        Assert.IsFalse(free.Plan.Warnings.Any(w => w.Contains(Warned, StringComparison.Ordinal)), string.Join("\n", free.Plan.Warnings));
        using Batch eight = Batch(8, rest);
        double loss = free.TrainStep(eight), sum = 0;
        int parts = 8 / (int)batch;
        for (int i = 0; i < parts; i++)
        {
            using Batch part = Batch(8, rest, from: i * (int)batch, take: (int)batch);
            sum += own.TrainStep(part);
        }
        Assert.AreEqual(sum / parts, loss, 1e-6);
        foreach (ParameterSpec parameter in own.Plan.Trained)
        {
            double[] wanted = own.GetGradient(parameter.Name).ToDoubles(), found = free.GetGradient(parameter.Name).ToDoubles();
            for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i] / parts, found[i], 1e-6, parameter.Name);
        }
        // Sizes that are no multiple, and a single example.
        foreach (int size in new[] { 3, 1, 5 })
        {
            using Batch other = Batch(size, rest);
            Assert.IsTrue(double.IsFinite(free.Step(other)));
            using Evaluation evaluation = free.EvalStep(other, "logits");
            using Prediction prediction = free.Predict(other);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void ExportWithAFreeBatch_RunsAnyBatch_AndTheOrdinaryOneStaysFixed(string name, long batch)
    {
        long[] rest = Bodies[name].Dims;
        using TrainingDriver driver = Driver(Fixed(name, batch));
        using Batch five = Batch(5, rest);
        driver.Step(five);
        using Evaluation evaluation = driver.EvalStep(five, "logits");
        using var folder = new TemporaryFolder();
        string free = Path.Combine(folder.FolderPath, "free.onnx"), usual = Path.Combine(folder.FolderPath, "usual.onnx");
        driver.ExportModel(free, freeBatch: true);
        driver.ExportModel(usual);
        using InferenceSession session = new(free), old = new(usual);
        Assert.AreEqual(batch, old.InputMetadata["x"].Dimensions[0]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x"], [five.Tensors["x"]], ["logits"]);
        float[] wanted = evaluation["logits"].GetTensorDataAsSpan<float>().ToArray();
        float[] found = results[0].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i], found[i], 1e-5);
    }

    [TestMethod]
    public void FixedBatchOf1_IsTheModelWithAFreeOne_ToTheLastBit()
    {
        using TrainingDriver freed = Driver(Fixed("flat", 1)),
            free = Driver(Model(SymbolicInt.Symbol("N"), [5, 4], (g, x) => Head(g, g.Reshape(x, 0, -1), 20)));
        for (int step = 0; step < 5; step++)
        {
            using Batch batch = Batch(8, [5, 4], step);
            Assert.AreEqual(free.Step(batch), freed.Step(batch));
        }
    }

    private static Value MixedByWeight(GraphBuilder g, Term x)
    {
        Value all = g.Reshape(x, 1, -1);
        return g.Op("MatMul", [all, TestModels.Weight(g.Graph, "W", 20 * 4, 3)]);
    }

    private static Value MixedByMean(GraphBuilder g, Term x) =>
        Head(g, g.Reshape(x - g.Op("ReduceMean", [x, g.Ints(0)]), 4, 20), 20);

    private static Value MixedByTranspose(GraphBuilder g, Term x) =>
        Head(g, g.Reshape(g.Op("Transpose", [x], ("perm", new long[] { 1, 0, 2 })), 4, 20), 20);

    private static Value FirstExample(GraphBuilder g, Term x) =>
        Head(g, g.Reshape(x + g.Op("Gather", [x, g.Ints(0)]), 4, 20), 20);

    [TestMethod]
    [DataRow("weight", "MatMul")]
    [DataRow("mean", "ReduceMean")]
    [DataRow("transpose", "Reshape")]
    [DataRow("gather", "Gather")]
    public void WhatMixesTheExamples_IsRefusedByNode_AndTrainsWithItsOwnBatch(string how, string node)
    {
        byte[] model = Model(4, [5, 4], (g, x) => how switch
        {
            "weight" => MixedByWeight(g, x),
            "mean" => MixedByMean(g, x),
            "transpose" => MixedByTranspose(g, x),
            _ => FirstExample(g, x),
        });
        if (how == "weight")
        {
            TrainingPlan plan = TrainingGraphBuilder.Build(model);
            Assert.IsTrue(plan.Warnings.Any(w => w.Contains(node, StringComparison.Ordinal)), string.Join("\n", plan.Warnings));
            return;
        }
        using TrainingDriver driver = Driver(model);
        string warning = driver.Plan.Warnings.Single(w => w.Contains(Warned, StringComparison.Ordinal));
        Assert.Contains(node, warning);
        Assert.Contains("--batch-size 4 --accumulation N", warning);
        using Batch own = Batch(4, [5, 4]), other = Batch(8, [5, 4]);
        Assert.IsTrue(double.IsFinite(driver.Step(own)));
        DriverException error = Assert.ThrowsExactly<DriverException>(() => driver.Step(other));
        Assert.Contains("dimension 0 must be 4", error.Message);
        Assert.Contains(node, error.Message);
        OptionException export = Assert.ThrowsExactly<OptionException>(() => driver.ExportModel(Stream.Null, freeBatch: true));
        Assert.Contains(node, export.Message);
    }

    [TestMethod]
    public void TheLastShortBatchOfAnEpoch_IsTrained_AndResumedAfter()
    {
        IEnumerable<Batch> Epoch(long epoch) => new[] { 4, 4, 2 }.Select((size, i) => Batch(size, [5, 4], (int)(10 * epoch) + i));
        FitOptions Options(int epochs, string? folder) => new()
        {
            Epochs = epochs,
            Validation = BatchSource.From(_ => Epoch(99)),
            Checkpoint = folder is null ? null : new CheckpointOptions(folder) { Resume = true },
        };
        using var folder = new TemporaryFolder();
        using TrainingDriver whole = Driver(Fixed("flat", 4)), first = Driver(Fixed("flat", 4)), second = Driver(Fixed("flat", 4));
        new Trainer(whole).Fit(BatchSource.From(Epoch), Options(2, null));
        new Trainer(first).Fit(BatchSource.From(Epoch), Options(1, folder.FolderPath));
        new Trainer(second).Fit(BatchSource.From(Epoch), Options(2, folder.FolderPath));
        CollectionAssert.AreEqual(whole.ToBuffer().ToDoubles(), second.ToBuffer().ToDoubles());
    }

    [TestMethod]
    public void WithoutTheOption_TheBatchStaysFixed()
    {
        using TrainingDriver driver = Driver(Fixed("flat", 4), free: false);
        Assert.AreEqual("4", driver.Plan.BatchInputs[0].Dimensions![0]);
        using Batch other = Batch(3, [5, 4]);
        Assert.Contains("dimension 0 must be 4", Assert.ThrowsExactly<DriverException>(() => driver.Step(other)).Message);
    }

    [TestMethod]
    public void AnAxisThatAnInputDoesNotHave_IsRefused()
    {
        var options = new TrainingOptions { BatchAxes = new TrainingOptions().BatchAxes.Add("x", 7) };
        OptionException error = Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(Fixed("flat", 4), options));
        Assert.Contains("'x' has no axis 7", error.Message);
    }

    [TestMethod]
    public void StatesAsInputs_HaveTheirBatchOnTheSecondAxis()
    {
        OnnxModel model = OnnxModel.Create("states", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(1, 5, 4)), h = model.Graph.AddInput("h", ElementType.Float,
            Shape.Of(2, 1, 3));
        Term[] y = g.Ops("GRU", 2, [g.Op("Transpose", [x], ("perm", new long[] { 1, 0, 2 })), TestModels.Weight(model.Graph, "W", 2, 9, 4),
            TestModels.Weight(model.Graph, "R", 2, 9, 3), null, null, h], ("hidden_size", 3), ("direction", "bidirectional"));
        model.Graph.Outputs.Add(g.Named(Head(g, g.Reshape(g.Op("Transpose", [y[1]], ("perm", new long[] { 1, 0, 2 })), 1, 6), 6),
            "logits"));
        using TrainingDriver driver = Driver(GraphWriter.ToBytes(model));
        Assert.IsEmpty(driver.Plan.Warnings, string.Join("\n", driver.Plan.Warnings));
        using Batch batch = Batch(6, [5, 4]).Add("h", new float[2 * 6 * 3], 2, 6, 3);
        Assert.IsTrue(double.IsFinite(driver.Step(batch)));
    }

    [TestMethod]
    public void ARecurrentLayerTells_ThatTheTimeComesFirst()
    {
        OnnxModel model = OnnxModel.Create("time_first", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(5, 1, 4));
        Term[] y = g.Ops("GRU", 2, [x, TestModels.Weight(model.Graph, "W", 1, 9, 4), TestModels.Weight(model.Graph, "R", 1, 9, 3)],
            ("hidden_size", 3));
        model.Graph.Outputs.Add(g.Named(Head(g, g.Reshape(y[1], 1, 3), 3), "logits"));
        using TrainingDriver driver = Driver(GraphWriter.ToBytes(model));
        CollectionAssert.AreEqual(new[] { "5", "batch", "4" }, driver.Plan.BatchInputs[0].Dimensions!.ToArray());
        using Batch batch = new Batch().Add("x", new float[5 * 6 * 4], 5, 6, 4).Add("labels", new long[6], 6);
        Assert.IsTrue(double.IsFinite(driver.Step(batch)));
    }

    [TestMethod]
    public void AnOldFile_IsFreedAndKeepsItsOpset()
    {
        // Opset 6 with the shape as an attribute's successor, and a bias along axis 1.
        OnnxModel model = OnnxModel.Create("old", 6);
        model.IrVersion = 3;
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(1, 5, 4));
        Value product = g.Op("MatMul", [g.Reshape(x, 1, 20), TestModels.Weight(model.Graph, "W", 20, 3)]);
        model.Graph.Outputs.Add(g.Named(g.Op("Add", [product, TestModels.Weight(model.Graph, "b", 3)], ("broadcast", 1), ("axis", 1)),
            "logits"));
        using TrainingDriver driver = Driver(GraphWriter.ToBytes(model));
        double first = 0, last = 0;
        for (int step = 0; step < 20; step++)
        {
            using Batch batch = Batch(7, [5, 4]);
            last = driver.Step(batch);
            if (step == 0) first = last;
        }
        Assert.IsLessThan(first, last);
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        ModelFile exported = ModelFile.Load(stream.ToArray());
        Assert.AreEqual(6, exported.Proto.OpsetImport.Single(o => o.Domain == "").Version);
        Assert.AreEqual(3, exported.Proto.IrVersion);
    }
}
