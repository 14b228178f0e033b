using System.Globalization;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Tool;

/// <summary>What users of the commands ran into, and what is right.</summary>
[TestClass]
[DoNotParallelize]
public sealed class ToolFaultTests
{
    private static string Fault(string name) => Path.Combine(AppContext.BaseDirectory, "Data", "faults", name);

    private static (int ExitCode, string Output) Run(params string[] words) => CommandTests.Run(words);

    private static void Write(string path, params (string Name, TensorData Value)[] tensors) => SafetensorsFile.Write(path,
        tensors.Select(t => new SafetensorsEntry(t.Name, t.Value.Type, t.Value.Dimensions, s => s.Write(t.Value.Bytes.Span))),
        new Dictionary<string, string>());

    private static TensorData Waves(params long[] dims) => TensorData.From<float>(
        [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (n, d) => n * d)).Select(i => MathF.Sin(i + 1))], dims);

    private static void Save(string path, Func<GraphBuilder, OnnxGraph, Value, Value> body)
    {
        OnnxModel model = OnnxModel.Create("model", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        model.Graph.Outputs.Add(g.Named(body(g, model.Graph, x), "y"));
        File.WriteAllBytes(path, GraphWriter.ToBytes(model));
    }

    private static string Data(TemporaryFolder folder, int examples = 12)
    {
        Write(folder["data.safetensors"], ("x", Waves(examples, 4)), ("target", Waves(examples, 3)));
        return folder["data.safetensors"];
    }

    private static Value Linear(GraphBuilder g, OnnxGraph graph, Value x) =>
        g.Op("Gemm", [x, TestModels.Weight(graph, "weight", 4, 3), TestModels.Weight(graph, "bias", 3)]);

    [TestMethod]
    public void ARunWithoutAStepThatCounts_Fails_AndAnnouncesNoModel()
    {
        using var folder = new TemporaryFolder();
        Save(folder["log.onnx"], (g, graph, x) => g.Log(g.Neg(g.Abs(Linear(g, graph, x)))));
        (int code, string output) = Run("train", folder["log.onnx"], "--data", Data(folder), "--loss", "mse", "--batch-size", "4", "--out",
            folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "Log");
        StringAssert.Contains(output, "weight");
        Assert.DoesNotContain("trained model:", output);
    }

    // x [4, 1, 4] has the time in front, the batch behind it.
    [TestMethod]
    public void TheAxisOfTheBatch_IsAnOption()
    {
        using var folder = new TemporaryFolder();
        OnnxModel model = OnnxModel.Create("model", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(4, 1, 4));
        model.Graph.Outputs.Add(g.Named(g.Op("ReduceMean", [g.Op("MatMul", [x, TestModels.Weight(model.Graph, "weight", 4, 3)]),
            g.Ints(0)], ("keepdims", 0)), "y"));
        File.WriteAllBytes(folder["time.onnx"], GraphWriter.ToBytes(model));
        Write(folder["data.safetensors"], ("x", Waves(12, 4, 4)), ("target", Waves(12, 3)));
        string[] words = ["train", folder["time.onnx"], "--data", folder["data.safetensors"], "--loss", "mse", "--batch-size", "6",
            "--epochs", "2", "--out", folder["job"]];
        (int code, string output) = Run([.. words, "--batch-axis", "x=1"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(Run([.. words, "--batch-axis", "x"]).Output, "expected INPUT=AXIS");
        StringAssert.Contains(Run([.. words, "--batch-axis", "z=1"]).Output, "--batch-axis do not fit the model: 'z' has no axis 1");
        (code, output) = Run([.. words, "--keep-batch"]);
        Assert.AreNotEqual(0, code, output);
    }

    // Det has no gradient rule that fits here, and the integer output nothing to train: both can be evaluated.
    [TestMethod]
    public void AModelThatCannotBeTrained_IsEvaluated()
    {
        using var folder = new TemporaryFolder();
        Save(folder["fixed.onnx"], (g, graph, x) =>
        {
            graph.Outputs.Add(g.Named(g.Op("Mul", [x, g.Scalar(0, ElementType.Float)]), "other"));
            return g.Slice(g.Op("Round", [x]), [0], [3], [1]);
        });
        string data = Data(folder);
        Assert.AreNotEqual(0, Run("train", folder["fixed.onnx"], "--data", data, "--loss", "mse", "--output", "y", "--out", folder["job"])
            .ExitCode);
        (int code, string output) = Run("evaluate", folder["fixed.onnx"], "--data", data, "--loss", "mse", "--output", "y");
        Assert.AreEqual(0, code, output);
        float[] x = Waves(12, 4).ToArray<float>(), target = Waves(12, 3).ToArray<float>();
        double expected = Enumerable.Range(0, 36).Average(i => Math.Pow(Math.Round(x[(i / 3 * 4) + (i % 3)]) - target[i], 2));
        Assert.AreEqual(expected, Loss(output), 1e-6);
        StringAssert.Contains(Run("evaluate", folder["fixed.onnx"], "--data", data, "--checkpoint", "a.safetensors").Output,
            "--checkpoint is for the folder of a run");
    }

    private static double Loss(string output) => double.Parse(output.Split('\n').First(l => l.StartsWith("loss ", StringComparison.Ordinal))
        .Split(' ')[1], CultureInfo.InvariantCulture);

    // The model takes batches of 4 alone, so the run's size is the only one with which it can be evaluated.
    [TestMethod]
    public void ARun_IsEvaluatedAsItWasTrained()
    {
        using var folder = new TemporaryFolder();
        Save(folder["linear.onnx"], Linear);
        File.WriteAllText(folder["table.csv"], "a,b,c,d,kind\n" + string.Concat(Enumerable.Range(0, 12).Select(i =>
            string.Create(CultureInfo.InvariantCulture, $"{Math.Sin(i):F3},{i % 5},{Math.Cos(i):F3},{i % 2},{i % 3}\n"))));
        (int code, string output) = Run("train", folder["linear.onnx"], "--data", folder["table.csv"], "--label", "kind", "--batch-size",
            "4", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        (code, output) = Run("evaluate", folder["job"], "--data", folder["table.csv"]);
        Assert.AreEqual(0, code, output);
        Assert.IsTrue(double.IsFinite(Loss(output)));
        StringAssert.Contains(Run("evaluate", folder["job"], "--data", folder["table.csv"], "--loss", "mse").Output, "is a run");
        StringAssert.Contains(Run("evaluate", folder["job"], "--data", folder["table.csv"], "--batch-size", "0").Output, "--batch-size");
    }

    [TestMethod]
    public void AdaptersOfAQuantisedWeight_AreNotCalledMerged()
    {
        using var folder = new TemporaryFolder();
        Save(folder["quantised.onnx"], (g, graph, x) => g.Op("com.microsoft.MatMulNBits",
            [g.MatMul(x, TestModels.Weight(graph, "plain", 4, 16)), graph.AddInitializer("packed",
                TensorData.Create(ElementType.UInt8, [3, 1, 8], Enumerable.Range(1, 24).Select(i => (byte)(i * 7)).ToArray())),
                graph.AddInitializer("scales", TensorData.From<float>([0.1f, 0.2f, 0.3f], 3))],
            ("K", 16L), ("N", 3L), ("bits", 4L), ("block_size", 16L)));
        string[] words = ["train", folder["quantised.onnx"], "--data", Data(folder), "--loss", "mse", "--lora", "r=2", "--out",
            folder["job"]];
        (int code, string output) = Run(words);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "merged.onnx is not written: packed");
        Assert.IsFalse(File.Exists(Path.Combine(folder["job"], "merged.onnx")));
        Assert.IsTrue(File.Exists(Path.Combine(folder["job"], "model.onnx")));
        (code, output) = Run([.. words[..^3], "r=2,targets=plain", "--out", folder["plain"]]);
        Assert.AreEqual(0, code, output);
        Assert.IsTrue(File.Exists(Path.Combine(folder["plain"], "merged.onnx")));
    }

    // 3 batches an epoch, 10 steps: the run goes on over epochs, and the last row is there though --log-every is longer.
    [TestMethod]
    public void Steps_GoOnOverEpochs_AndTheRateIsThatOfTheStep()
    {
        using var folder = new TemporaryFolder();
        Save(folder["linear.onnx"], Linear);
        (int code, string output) = Run("train", folder["linear.onnx"], "--data", Data(folder), "--loss", "mse", "--batch-size", "4",
            "--steps", "10", "--lr", "0.5", "--optimizer", "sgd", "--schedule", "linear", "--log-every", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        double[] rates = [.. File.ReadAllLines(Path.Combine(folder["job"], "metrics.csv")).Skip(1)
            .Select(l => double.Parse(l.Split(',')[4], CultureInfo.InvariantCulture))];
        CollectionAssert.AreEqual(Enumerable.Range(0, 10).Select(i => Math.Round(0.5 * (1 - (i / 10.0)), 9)).ToArray(),
            rates.Select(r => Math.Round(r, 9)).ToArray());
        Run("train", folder["linear.onnx"], "--data", Data(folder), "--loss", "mse", "--steps", "3", "--log-every", "100", "--out",
            folder["short"]);
        Assert.HasCount(2, File.ReadAllLines(Path.Combine(folder["short"], "metrics.csv")));
    }

    [TestMethod]
    public void OneCycle_RisesOverTheWarmup()
    {
        using var folder = new TemporaryFolder();
        Save(folder["linear.onnx"], Linear);
        string[] words = ["train", folder["linear.onnx"], "--data", Data(folder), "--loss", "mse", "--batch-size", "4", "--steps", "20",
            "--lr", "1e-3", "--schedule", "one_cycle", "--log-every", "1", "--optimizer", "adamw", "--out", folder["job"],
            "--warmup-steps"];
        (int code, string output) = Run([.. words, "10"]);
        Assert.AreEqual(0, code, output);
        double[] rates = [.. File.ReadAllLines(Path.Combine(folder["job"], "metrics.csv")).Skip(1)
            .Select(l => double.Parse(l.Split(',')[4], CultureInfo.InvariantCulture))];
        // PyTorch's OneCycleLR has its peak at pct_start * total - 1.
        Assert.AreEqual(9, Array.IndexOf(rates, rates.Max()));
        Assert.AreEqual(1e-3, rates.Max(), 1e-9);
        (code, output) = Run([.. words, "20"]);
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "--schedule one_cycle with --warmup-steps 20");
    }

    // One step is too short for any bound: what is said names options.
    [TestMethod]
    public void ARunOfOneStep_IsToldOfInOptions()
    {
        using var folder = new TemporaryFolder();
        Save(folder["linear.onnx"], Linear);
        (int code, string output) = Run("train", folder["linear.onnx"], "--data", Data(folder), "--loss", "mse", "--steps", "1", "--out",
            folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "no bound will act. Make the run longer (--steps, --epochs)");
        Assert.DoesNotContain("Bound.", output);
        (code, output) = Run("train", folder["linear.onnx"], "--data", Data(folder), "--loss", "mse", "--steps", "1", "--kappa-init-method",
            "warm_start", "--kappa-init-param", "5", "--out", folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "--kappa-init-param");
    }

    [TestMethod]
    public void Inspect_WarnsOfTwins()
    {
        using var folder = new TemporaryFolder();
        Save(folder["twins.onnx"], (g, graph, x) => g.Add(g.MatMul(x, graph.AddInitializer("left", Waves(4, 4))),
            g.MatMul(g.Tanh(x), graph.AddInitializer("right", Waves(4, 4)))));
        StringAssert.Contains(Run("inspect", folder["twins.onnx"]).Output, "'left' and 'right' hold the same numbers");
    }

    [TestMethod]
    public void ImportWeights_TakesWhatIsLeftOverByName()
    {
        using var folder = new TemporaryFolder();
        string model = Fault("partial_state_dict.onnx"), weights = Fault("partial_state_dict.safetensors");
        string[] words = ["import-weights", model, "--from", weights, "--out", folder["new.onnx"]];
        (int code, string output) = Run(words);
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "'b'");
        Assert.AreEqual(0, Run([.. words, "--allow-missing"]).ExitCode);
        Assert.AreEqual(0, Run([.. words, "--allow-missing", "b"]).ExitCode);
        Assert.AreEqual(1, Run([.. words, "--allow-missing", "a"]).ExitCode);
        File.WriteAllText(folder["map.json"], "{ \"b\": null, \"ignore\": [] }");
        (code, output) = Run([.. words, "--map", folder["map.json"]]);
        Assert.AreEqual(0, code, output);
        File.WriteAllText(folder["map.json"], "{ \"b\": 3 }");
        StringAssert.Contains(Run([.. words, "--map", folder["map.json"]]).Output, "Expected a JSON object of names");
    }

    [TestMethod]
    public void AFrozenParameter_IsReadable_AndSaidToBeFrozen()
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions
        { Parameters = new() { Freeze = ["bias"] } }), new DriverOptions { Threads = 1 });
        Assert.HasCount(3, driver.GetParameter("bias").ToDoubles());
        foreach (Action action in new Action[] { () => driver.GetGradient("bias"), () => driver.UpdateParameter("bias", Waves(3)),
            () => driver.Optimizer.Unfreeze("bias") })
        {
            DriverException error = Assert.ThrowsExactly<DriverException>(action);
            StringAssert.Contains(error.Message, "'bias' is a tensor of the model that this job does not train");
            StringAssert.Contains(error.Message, "Freeze");
        }
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => driver.GetParameter("nothing")).Message, "No tensor 'nothing'");
    }

    [TestMethod]
    [DataRow("--steps 0 --log-every -1", "--steps is 0; expected at least 1; --log-every is -1; expected at least 0")]
    [DataRow("--accumulation 0", "--accumulation is 0")]
    [DataRow("--monitor accuracy", "Give the figure by --metric too")]
    [DataRow("--early-stopping 2", "Give --validation or --validation-split")]
    public void OptionsOutOfRange_AreCalledByTheirNames(string words, string expected)
    {
        using var folder = new TemporaryFolder();
        Save(folder["linear.onnx"], Linear);
        (int code, string output) = Run(["train", folder["linear.onnx"], "--data", Data(folder), "--loss", "mse", "--out", folder["job"],
            .. words.Split(' ')]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, expected);
    }

    [TestMethod]
    public void AFolderThatIsNoRun_IsSaidToBeNone()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Run("export", folder.FolderPath).Output, "is no run: it has no training.json");
        StringAssert.Contains(Run("evaluate", folder.FolderPath, "--data", Data(folder)).Output, "is no run");
        StringAssert.Contains(Run("export", folder["nothing"]).Output, "there is no such folder");
    }

    // A wrong gradient is one everywhere: GradcheckTests has those.
    [TestMethod]
    public void Gradcheck_HoldsWhatAModelDraws()
    {
        (int code, string output) = Run("gradcheck", Fault("random_normal.onnx"), "--loss", "mse");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "held at one draw");
        StringAssert.Contains(output, "float64 copy");
    }

    [TestMethod]
    public void Gradcheck_CallsAKinkAKink_AndSteepnessNoError()
    {
        using var folder = new TemporaryFolder();
        Save(folder["kink.onnx"], (g, graph, x) => g.MatMul(g.Op("Relu", [g.Op("Gemm", [x, TestModels.Constant(graph, "weight", 0, 4, 3),
            TestModels.Constant(graph, "bias", 0, 3)])]), TestModels.Weight(graph, "head", 3, 3)));
        (int code, string output) = Run("gradcheck", folder["kink.onnx"], "--loss", "mse");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "at a kink");
        Save(folder["steep.onnx"], (g, graph, x) => g.Op("Sin", [g.Op("Mul", [Linear(g, graph, x),
            g.Op("Identity", [graph.AddInitializer("rate", TensorData.Scalar(3000f))])])]));
        (code, output) = Run("gradcheck", folder["steep.onnx"], "--loss", "mse", "--parameters", "weight", "bias");
        Assert.AreEqual(0, code, output);
        Assert.DoesNotContain("kink", output.Split('\n').Last(l => l.Contains("passed", StringComparison.Ordinal)));
    }

    // Convolutions have no kernel in float64: products in their place, with every kind of geometry.
    [TestMethod]
    public void Gradcheck_ComparesConvolutionsInFloat64()
    {
        using var folder = new TemporaryFolder();
        Save(folder["cnn.onnx"], (g, graph, x) =>
        {
            Value image = g.Op("Reshape", [g.MatMul(x, TestModels.Weight(graph, "spread", 4, 98)), g.Ints(-1, 2, 7, 7)]);
            Value y = g.Op("Conv", [image, TestModels.Weight(graph, "first", 4, 1, 3, 2), TestModels.Weight(graph, "first.bias", 4)],
                ("group", 2L), ("strides", new long[] { 2, 1 }), ("dilations", new long[] { 1, 2 }), ("pads", new long[] { 1, 0, 2, 1 }));
            y = g.Tanh(g.Op("Conv", [y, TestModels.Weight(graph, "same", 4, 4, 3, 3)], ("auto_pad", "SAME_UPPER")));
            y = g.Op("AveragePool", [y], ("kernel_shape", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 0, 0 }));
            y = g.Op("ConvTranspose", [y, TestModels.Weight(graph, "back", 4, 2, 3, 3), TestModels.Weight(graph, "back.bias", 4)],
                ("group", 2L), ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 0, 0, 1 }),
                ("output_padding", new long[] { 1, 0 }));
            y = g.Op("InstanceNormalization", [y, TestModels.Weight(graph, "gain", 4), TestModels.Weight(graph, "shift", 4)]);
            y = g.Op("MaxPool", [y], ("kernel_shape", new long[] { 2, 2 }));
            return g.Op("Flatten", [g.Op("GlobalAveragePool", [g.Tanh(y)])]);
        });
        (int code, string output) = Run("gradcheck", folder["cnn.onnx"], "--loss", "mse");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "float64 copy");
        // What is compared is the model: the loss is that of float32.
        var options = new TrainingOptions { Loss = new OrtCpr.Graph.Losses.MseLoss() };
        TrainingPlan wide = TrainingGraphBuilder.Build(DoubleModel.Of(folder["cnn.onnx"]), options);
        OrtCpr.Graph.Passes.DoubleProducts.Run(wide.Training);
        double[] losses = [.. new[] { wide, TrainingGraphBuilder.Build(folder["cnn.onnx"], options) }.Select(plan =>
        {
            using var driver = new TrainingDriver(plan, new DriverOptions { Threads = 1 });
            using Batch batch = new Batch().Add("x", Waves(3, 4).ConvertTo(plan.Type)).Add("target", Waves(3, 4).ConvertTo(plan.Type));
            return driver.TrainStep(batch);
        })];
        Assert.AreEqual(losses[1], losses[0], 1e-5 * losses[1]);
    }
}
