using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.OnnxTraining;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;
using OrtCpr.Tests.House;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.OnnxTraining;

[TestClass]
public sealed class TrainingInfoTests
{
    private const int Steps = 20;

    private static readonly DriverOptions OneThread = new() { Threads = 1 };

    [TestMethod]
    [DynamicData(nameof(TrainingInfoJobs.All), typeof(TrainingInfoJobs))]
    public void WrittenAndRead_AJobTrainsTheSameToTheLastBit(string model, string optimizer)
    {
        (TrainingPlan plan, Func<int, Batch> batches) = TrainingInfoJobs.Of(model, optimizer);
        using var folder = new TemporaryFolder();
        TrainingInfo.Write(plan, folder["begun.onnx"]);
        AssertRules(folder["begun.onnx"]);
        using var whole = new TrainingDriver(plan, OneThread);
        using var begun = new TrainingDriver(TrainingInfo.Read(folder["begun.onnx"]), OneThread);
        Train(whole, batches, 0, Steps);
        Train(begun, batches, 0, Steps);
        AssertSame(whole, begun);

        TrainingInfo.Write(whole, folder["half.onnx"]);
        AssertRules(folder["half.onnx"]);
        using TrainingDriver half = TrainingInfo.Open(folder["half.onnx"], OneThread);
        AssertSame(whole, half);
        Assert.AreEqual(Steps, half.Optimizer.Steps);
        Train(whole, batches, Steps, 3);
        Train(half, batches, Steps, 3);
        AssertSame(whole, half);

        using Batch batch = batches(0);
        Assert.AreEqual(whole.EvalStep(batch).Loss, half.EvalStep(batch).Loss);
        using Prediction expected = whole.Predict(batch), found = half.Predict(batch);
        foreach (string output in plan.ModelOutputs)
            CollectionAssert.AreEqual(Bytes(expected[output]), Bytes(found[output]));
        if (TrainingInfoJobs.Optimizers[optimizer].Groups[0].Constraint is not null)
            Assert.IsTrue(half.Optimizer.GetConstraints().Any(c => c.IsSet), "no bound was set within the run");
    }

    [TestMethod]
    [DataRow("mlp_dynamo", "adamcpr")]
    [DataRow("lenet", "adamw")]
    [DataRow("gpt2_dynamo", "adamcpr-epsilon")]
    [DataRow("batch_normalized", "sgd-momentum")]
    public void AnotherProgram_TrainsItOnStockOnnxRuntime(string model, string optimizer)
    {
        (TrainingPlan plan, Func<int, Batch> batches) = TrainingInfoJobs.Of(model, optimizer);
        using var folder = new TemporaryFolder();
        TrainingInfo.Write(plan, folder["job.onnx"]);
        using var driver = new TrainingDriver(plan, OneThread);
        using var other = new OtherProgram(ModelFile.Load(folder["job.onnx"]).Proto);
        for (int step = 0; step < Steps; step++)
        {
            using Batch batch = batches(step);
            double loss = driver.Step(batch);
            Assert.AreEqual(loss, other.Step(batch, plan.LossOutput), 1e-4 * (1 + Math.Abs(loss)), $"step {step}");
        }
        foreach (ParameterSpec p in plan.Trained)
        {
            double[] expected = driver.GetParameter(p.Name).ToDoubles();
            float[] found = other[p.Name].GetTensorDataAsSpan<float>().ToArray();
            for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-3, $"{p.Name}[{i}]");
        }
        foreach (ConstraintInfo c in driver.Optimizer.GetConstraints().Take(1))
        {
            Assert.AreEqual(c.Lambda, other["cpr.lambda"].GetTensorDataAsSpan<float>()[0], 1e-3);
            Assert.AreEqual(c.Kappa, other["cpr.kappa"].GetTensorDataAsSpan<float>()[0], 1e-3 * c.Kappa);
        }
    }

    [TestMethod]
    public void Open_TakesUpRatesSchedulesAndFrozenParameters()
    {
        (TrainingPlan plan, Func<int, Batch> batches) = TrainingInfoJobs.Of("mlp_dynamo", "adamcpr");
        using var folder = new TemporaryFolder();
        using var whole = new TrainingDriver(plan, OneThread);
        whole.Optimizer.SetLearningRate(5e-3);
        whole.SetSchedule(new CosineSchedule(30, 5));
        string frozen = plan.Trained[0].Name;
        whole.Optimizer.Freeze(frozen);
        Train(whole, batches, 0, 10);
        TrainingInfo.Write(whole, folder["job.onnx"]);
        ModelProto file = ModelFile.Load(folder["job.onnx"]).Proto;
        TensorProto rate = file.TrainingInfo[0].Algorithm.Initializer.Single(i => i.Name == "learning_rate");
        Assert.AreEqual((float)whole.Optimizer.GetLearningRate(), BitConverter.ToSingle(rate.RawData.Span));
        Assert.IsTrue(file.TrainingInfo[0].Algorithm.Input.Any(i => i.Name == "learning_rate"), "a program may give another rate");
        using TrainingDriver opened = TrainingInfo.Open(folder["job.onnx"], OneThread);
        CollectionAssert.AreEqual(new[] { frozen }, opened.Optimizer.Frozen.ToArray());
        Train(whole, batches, 10, 10);
        Train(opened, batches, 10, 10);
        AssertSame(whole, opened);
        Assert.AreEqual(whole.Optimizer.GetLearningRate(), opened.Optimizer.GetLearningRate());
        // Several batches a step: the graph that adds gradients up is made anew.
        foreach (TrainingDriver driver in new[] { whole, opened })
        {
            driver.LazyResetGrad();
            for (int i = 0; i < 3; i++)
            {
                using Batch batch = batches(i);
                driver.TrainStep(batch);
            }
            driver.OptimizerStep(1.0 / 3);
        }
        AssertSame(whole, opened);
        // What was read is written again, and exported without anything of training.
        TrainingInfo.Write(opened, folder["again.onnx"]);
        AssertRules(folder["again.onnx"]);
        opened.ExportModel(folder["model.onnx"]);
        ModelProto exported = ModelFile.Load(folder["model.onnx"]).Proto;
        Assert.IsEmpty(exported.TrainingInfo);
        Assert.IsFalse(exported.MetadataProps.Any(m => m.Key == TrainingInfoDescription.MetadataKey));
        Assert.IsFalse(exported.Functions.Any(f => f.Name.Contains("Adam", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void StockOnnxRuntime_OpensTheFile_AndRunsTheInferenceGraph()
    {
        (TrainingPlan plan, Func<int, Batch> batches) = TrainingInfoJobs.Of("gpt2_dynamo", "adamcpr");
        using var folder = new TemporaryFolder();
        TrainingInfo.Write(plan, folder["job.onnx"]);
        using var driver = new TrainingDriver(plan, OneThread);
        using Batch batch = batches(0);
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        using var session = new InferenceSession(folder["job.onnx"], options);
        using var run = new RunOptions();
        string[] inputs = [.. session.InputNames];
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(run, inputs, [.. inputs.Select(i => batch.Tensors[i])], [plan.ModelOutputs[0]]);
        using Prediction expected = driver.Predict(batch);
        float[] a = expected[plan.ModelOutputs[0]].GetTensorDataAsSpan<float>().ToArray(),
            b = results[0].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < a.Length; i++) Assert.AreEqual(a[i], b[i], 1e-4, $"element {i}");
    }

    [TestMethod]
    public void LargeTensorsOfStateToo_LieBesideTheModel()
    {
        (TrainingPlan plan, Func<int, Batch> batches) = TrainingInfoJobs.Of("lenet", "adamw");
        using var folder = new TemporaryFolder();
        using var driver = new TrainingDriver(plan, OneThread);
        Train(driver, batches, 0, 2);
        TrainingInfo.Write(driver, folder["inline.onnx"]);
        ModelFile.Save(ModelFile.Load(folder["inline.onnx"]).Proto, folder["job.onnx"], externalDataThreshold: 1);
        Assert.IsGreaterThan(2 * plan.Trained.Sum(p => p.ElementCount) * sizeof(float), new FileInfo(folder["job.onnx.data"]).Length);
        using TrainingDriver opened = TrainingInfo.Open(folder["job.onnx"], OneThread);
        AssertSame(driver, opened);
        Train(driver, batches, 2, 2);
        Train(opened, batches, 2, 2);
        AssertSame(driver, opened);
    }

    [TestMethod]
    public void ArtifactsOfTheRetiredPackage_AreWrittenToo()
    {
        using var folder = new TemporaryFolder();
        string artifacts = Path.Combine(AppContext.BaseDirectory, "Data", "ort-artifacts", "mlp_ce_adamw");
        using var data = new CaseData(Path.Combine(artifacts, "trajectory.safetensors"));
        Batch Slice(int step)
        {
            var batch = new Batch();
            foreach (string input in data.Names("batch/")) batch.Add(input, CaseData.Slice(data.Tensor($"batch/{input}"), step));
            return batch;
        }
        using TrainingDriver driver = TrainingDriver.FromArtifacts(artifacts, OneThread);
        Train(driver, Slice, 0, 2);
        TrainingInfo.Write(driver, folder["job.onnx"]);
        AssertRules(folder["job.onnx"]);
        using TrainingDriver opened = TrainingInfo.Open(folder["job.onnx"], OneThread);
        Train(driver, Slice, 2, 2);
        Train(opened, Slice, 2, 2);
        AssertSame(driver, opened);
    }

    [TestMethod]
    public void Initialization_ResetsStateAndDrawsWeights_WhereTheSourceHadRules()
    {
        (TrainingPlan plan, _) = TrainingInfoJobs.Of("gpt2_5m", "adamcpr");
        using var folder = new TemporaryFolder();
        TrainingInfo.Write(plan, folder["job.onnx"]);
        var file = ModelFile.Load(folder["job.onnx"]);
        TrainingInfoProto info = file.Proto.TrainingInfo[0];
        foreach (string key in new[] { "step", "cpr.lambda", $"{plan.Trained[0].Name}.exp_avg", plan.Trained[0].Name })
            Assert.IsTrue(info.InitializationBinding.Any(b => b.Key == key), key);
        // The same rules as before: the same weights from the same seed.
        IReadOnlyDictionary<string, TensorData> drawn = WeightInitialization.Draw(file, 1);
        IReadOnlyDictionary<string, TensorData> source = WeightInitialization.Draw(plan.Source, 1);
        CollectionAssert.IsSubsetOf(drawn.Keys.ToArray(), source.Keys.ToArray());
        Assert.IsGreaterThan(20, drawn.Count);
        foreach ((string name, TensorData value) in drawn)
            Assert.IsTrue(value.Bytes.Span.SequenceEqual(source[name].Bytes.Span), name);
    }

    [TestMethod]
    public void WhatHasNoPlace_IsRefused()
    {
        using var folder = new TemporaryFolder();
        TrainingPlan mixed = TrainingGraphBuilder.Build(TestModels.Linear(),
            new TrainingOptions { Precision = Precision.BFloat16 });
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => TrainingInfo.Write(mixed, folder["a.onnx"])).Message,
            "Precision is BFloat16");
        Assert.IsFalse(File.Exists(folder["a.onnx"]));
        File.WriteAllBytes(folder["plain.onnx"], TestModels.Linear());
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => TrainingInfo.Read(folder["plain.onnx"])).Message,
            "has no training_info");
        string drawn = Path.Combine(Repository.Root, "artifacts", "gpt2_5m.onnx");
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => TrainingInfo.Read(drawn)).Message,
            "has a training_info that OrtCpr did not write");
        StringAssert.Contains(Assert.ThrowsExactly<FileAccessException>(() => TrainingInfo.Read(folder["none.onnx"])).Message, "none.onnx");
    }

    [TestMethod]
    public void AChangedFile_IsRefused_WithWhatIsMissing()
    {
        using var folder = new TemporaryFolder();
        TrainingInfo.Write(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions()), folder["job.onnx"]);
        void Refuses(string expected, Action<ModelProto> change)
        {
            ModelProto model = ModelFile.Load(folder["job.onnx"]).Proto.Clone();
            change(model);
            ModelFile.Save(model, folder["changed.onnx"]);
            StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => TrainingInfo.Read(folder["changed.onnx"])).Message,
                expected);
        }
        Refuses("expected an initializer 'step'", m => Remove(m, "step"));
        Refuses("expected 'step' to be Int64[2]", m =>
            m.TrainingInfo[0].Algorithm.Initializer.Single(i => i.Name == "step").MergeFrom(new TensorProto { Dims = { 1 } }));
        Refuses("is damaged", m => m.MetadataProps.Single(p => p.Key == TrainingInfoDescription.MetadataKey).Value = "{");
        Refuses("of format version 99", m => m.MetadataProps.Single(p => p.Key == TrainingInfoDescription.MetadataKey).Value =
            "{\"FormatVersion\":99}");
        Refuses("does not describe the graphs", m =>
        {
            StringStringEntryProto entry = m.MetadataProps.Single(p => p.Key == TrainingInfoDescription.MetadataKey);
            entry.Value = entry.Value.Replace("\"InGraph\":\"weight_grad\"", "\"InGraph\":\"other\"", StringComparison.Ordinal);
        });
        Refuses("one iteration and one evaluation", m => m.TrainingInfo.RemoveAt(1));
    }

    private static void Remove(ModelProto model, string initializer)
    {
        GraphProto algorithm = model.TrainingInfo[0].Algorithm;
        TensorProto tensor = algorithm.Initializer.Single(i => i.Name == initializer);
        algorithm.Initializer.Remove(tensor);
        var input = new ValueInfoProto
        {
            Name = initializer,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = tensor.DataType } },
        };
        algorithm.Input.Add(input);
    }

    private static byte[] Bytes(OrtValue value) => value.GetTensorMutableRawData().ToArray();

    private static void Train(TrainingDriver driver, Func<int, Batch> batches, int from, int steps)
    {
        for (int step = from; step < from + steps; step++)
        {
            using Batch batch = batches(step);
            driver.Step(batch);
        }
    }

    private static void AssertSame(TrainingDriver expected, TrainingDriver found)
    {
        string[] keys = [.. expected.Plan.Slots.Where(s => s.IsSaved).Select(s => s.Key)];
        CollectionAssert.AreEqual(keys, found.Plan.Slots.Where(s => s.IsSaved).Select(s => s.Key).ToArray());
        foreach (string key in keys)
        {
            Assert.IsTrue(expected.Optimizer.Store.Read(key).Bytes.Span.SequenceEqual(found.Optimizer.Store.Read(key).Bytes.Span),
                $"'{key}' differs");
        }
    }

    private static void AssertRules(string path)
    {
        IReadOnlyList<string> problems = TrainingInfoRules.Problems(ModelFile.Load(path).Proto);
        Assert.IsEmpty(problems, string.Join('\n', problems.Take(20)));
    }
}
