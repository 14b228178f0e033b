using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.Tool.Verify;
using CheckpointState = OrtCpr.OrtTraining.CheckpointState;
using TrainingSession = OrtCpr.OrtTraining.TrainingSession;

namespace OrtCpr.Tests.OrtTraining;

[TestClass]
public sealed class TrainingSessionTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Data", "ort-artifacts");

    private static string FileOf(string name, string folder = "mlp_ce_adamw") => Path.Combine(Folder, folder, name);

    private static TrainingSession Open(CheckpointState state) =>
        new(state, FileOf("training_model.onnx"), FileOf("eval_model.onnx"), FileOf("optimizer_model.onnx"));

    private static OrtValue[] BatchOf(int step)
    {
        var data = new CaseData(FileOf("trajectory.safetensors"));
        TensorData x = CaseData.Slice(data.Tensor("batch/input"), step), y = CaseData.Slice(data.Tensor("batch/labels"), step);
        return [OrtValue.CreateTensorValueFromMemory(x.ToArray<float>(), [.. x.Dimensions]),
            OrtValue.CreateTensorValueFromMemory(y.ToArray<long>(), [.. y.Dimensions])];
    }

    private static void Step(TrainingSession session, int batch)
    {
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.TrainStep(BatchOf(batch));
        session.OptimizerStep();
        session.LazyResetGrad();
    }

    [TestMethod]
    public void LinearScheduler_AdvancesWhenItIsStepped_UpThenDown()
    {
        using CheckpointState state = CheckpointState.LoadCheckpoint(FileOf("checkpoint"));
        using TrainingSession session = Open(state);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(session.SchedulerStep).Message,
            "RegisterLinearLRScheduler first");
        Assert.ThrowsExactly<OptionException>(() => session.RegisterLinearLRScheduler(2, 0, 0.8f));
        Assert.ThrowsExactly<DriverException>(() => session.RegisterLinearLRScheduler(2, 6, -1));
        session.RegisterLinearLRScheduler(2, 6, 0.8f);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => session.RegisterLinearLRScheduler(2, 6, 1)).Message,
            "registered already");
        var rates = new List<float>();
        for (int i = 0; i < 7; i++)
        {
            rates.Add(session.GetLearningRate());
            Step(session, 0);
            session.SchedulerStep();
        }
        float[] expected = [0, 0.4f, 0.8f, 0.6f, 0.4f, 0.2f, 0];
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], rates[i], 1e-7f, $"step {i}");
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => session.SetLearningRate(1)).Message,
            "A scheduler sets the learning rate");
    }

    [TestMethod]
    [DataRow("mlp_ce_adamw/trajectory.safetensors", true)]
    [DataRow("mlp_ce_adamw/trajectory.safetensors", false)]
    [DataRow("mlp_cpr_in_graph/trajectory.safetensors", true)]
    [DataRow("legacy_1.15_directory/training_model.onnx", true)]
    public void RecordedRuns_AreDoneAgain(string file, bool kernels)
    {
        CaseResult result = CaseRunner.Run(Path.Combine(Folder, file), new DriverOptions { Kernels = kernels });
        Assert.IsTrue(result.Passed, result.Message);
    }

    [TestMethod]
    public void AllFormsOfAStep_GiveTheSame()
    {
        using CheckpointState state = CheckpointState.LoadCheckpoint(FileOf("checkpoint"));
        using TrainingSession session = Open(state);
        CollectionAssert.AreEqual(new[] { "input", "labels" }, session.InputNames(true));
        string[] names = ["onnx::loss::11", "output"];
        CollectionAssert.AreEqual(names, session.OutputNames(true));
        CollectionAssert.AreEqual(names, session.OutputNames(false));
        OrtValue[] batch = BatchOf(0);
        using IDisposableReadOnlyCollection<OrtValue> values = session.TrainStep(batch);
        float loss = values[0].GetTensorDataAsSpan<float>()[0];
        long[] shape = batch[0].GetTensorTypeAndShape().Shape;
        using var x = FixedBufferOnnxValue.CreateFromMemory<float>(OrtMemoryInfo.DefaultInstance,
            batch[0].GetTensorDataAsSpan<float>().ToArray(), Types.Float, shape, 4 * shape[0] * shape[1]);
        using var y = FixedBufferOnnxValue.CreateFromMemory<long>(OrtMemoryInfo.DefaultInstance,
            batch[1].GetTensorDataAsSpan<long>().ToArray(), Types.Int64, [shape[0]], 8 * shape[0]);
        using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> named = session.TrainStep([x, y]);
        CollectionAssert.AreEqual(names, named.Select(n => n.Name).ToArray());
        Assert.AreEqual(loss, named[0].AsTensor<float>().First());
        float[] buffer = new float[1], scores = new float[shape[0] * 5];
        using var first = FixedBufferOnnxValue.CreateFromMemory<float>(OrtMemoryInfo.DefaultInstance, buffer, Types.Float, [], 4);
        using var second = FixedBufferOnnxValue.CreateFromMemory<float>(OrtMemoryInfo.DefaultInstance, scores, Types.Float, [shape[0], 5],
            4 * scores.Length);
        using var options = new RunOptions();
        session.TrainStep(options, [x, y], [first, second]);
        Assert.AreEqual(loss, buffer[0]);
        CollectionAssert.AreEqual(values[1].GetTensorDataAsSpan<float>().ToArray(), scores);
        buffer[0] = 0;
        session.EvalStep([x, y], [first, second]);
        Assert.AreEqual(loss, buffer[0], 1e-6);
        // Three steps without a reset: three times the gradient.
        double[] three = session.Driver.GetGradient("0.bias").ToDoubles();
        session.LazyResetGrad();
        session.TrainStep(batch).Dispose();
        double[] one = session.Driver.GetGradient("0.bias").ToDoubles();
        for (int i = 0; i < one.Length; i++) Assert.AreEqual(3 * one[i], three[i], 1e-6);
    }

    [TestMethod]
    public void SavedAndLoaded_TheRunGoesOnBitForBit_AndKeepsWhatIsNotOurs()
    {
        using TemporaryFolder folder = new();
        using CheckpointState whole = CheckpointState.LoadCheckpoint(FileOf("checkpoint.step20"));
        using TrainingSession session = Open(whole);
        Assert.AreEqual(1e-3f, session.GetLearningRate());
        Step(session, 0);
        whole.AddProperty("more", 1.5f);
        CheckpointState.SaveCheckpoint(whole, folder["c"], includeOptimizerState: true);
        Step(session, 1);

        using CheckpointState part = CheckpointState.LoadCheckpoint(folder["c"]);
        Assert.AreEqual(3L, part.GetProperty("epoch"));
        Assert.AreEqual(1.5f, part.GetProperty("more"));
        Assert.ThrowsExactly<DriverException>(() => part.GetParameter("0.bias"));
        using TrainingSession resumed = Open(part);
        Step(resumed, 1);
        foreach (string name in new[] { "0.weight", "2.bias" })
        {
            CollectionAssert.AreEqual(whole.GetParameter(name).GetTensorDataAsSpan<float>().ToArray(),
                part.GetParameter(name).GetTensorDataAsSpan<float>().ToArray());
        }
        // The driver's own export and prediction, and a folder of ours, work from artifacts too.
        resumed.Driver.ExportModel(folder["model.onnx"]);
        using var exported = new InferenceSession(folder["model.onnx"]);
        CollectionAssert.AreEqual(new[] { "input" }, exported.InputNames.ToArray());
        using Batch one = new Batch().Add("input", new float[10], 1, 10);
        using Prediction prediction = resumed.Driver.Predict(one);
        ArtifactsFolder.Save(resumed.Driver, folder["ours"]);
        using TrainingDriver ours = ArtifactsFolder.Load(folder["ours"]);
        CollectionAssert.AreEqual(resumed.Driver.GetParameter("2.bias").ToDoubles(), ours.GetParameter("2.bias").ToDoubles());
        CheckpointState.SaveCheckpoint(part, folder["without"]);
        Assert.IsEmpty(OrtCheckpoint.Load(folder["without"]).Groups);
        Assert.AreEqual(21, OrtCheckpoint.Load(folder["c"]).Optimizer!.Step);
    }

    [TestMethod]
    public void NominalState_TakesItsValuesFromABuffer()
    {
        using CheckpointState full = CheckpointState.LoadCheckpoint(FileOf("checkpoint")),
            nominal = CheckpointState.LoadCheckpoint(FileOf("nominal_checkpoint"));
        using TrainingSession source = Open(full), target = Open(nominal);
        Assert.ThrowsExactly<DriverException>(() => target.TrainStep(BatchOf(0)));
        Assert.ThrowsExactly<DriverException>(() => target.ToBuffer(true));
        using OrtValue buffer = source.ToBuffer(onlyTrainable: false);
        // In the order of the training model's inputs, not of the checkpoint.
        CollectionAssert.AreEqual(full.GetParameter("0.weight").GetTensorDataAsSpan<float>().ToArray(),
            buffer.GetTensorDataAsSpan<float>()[..160].ToArray());
        target.FromBuffer(buffer, onlyTrainable: false);
        using IDisposableReadOnlyCollection<OrtValue> a = source.TrainStep(BatchOf(0)), b = target.TrainStep(BatchOf(0));
        Assert.AreEqual(a[0].GetTensorDataAsSpan<float>()[0], b[0].GetTensorDataAsSpan<float>()[0]);
    }

    [TestMethod]
    public void Swapped_TheJobGoesOnWithAdamCpr_FromItsMoments()
    {
        using TemporaryFolder folder = new();
        int result = Types.Run("artifacts", "swap-optimizer", Path.Combine(Folder, "mlp_ce_adamw"), "--checkpoint",
            FileOf("checkpoint.step20"), "--optimizer", "adamcpr", "--kappa-init-method", "warm_start", "--kappa-init-param", "2", "--out",
            folder["out"]);
        Assert.AreEqual(0, result);
        using TrainingDriver driver = TrainingDriver.FromArtifacts(folder["out"]);
        OrtCheckpoint checkpoint = OrtCheckpoint.Load(FileOf("checkpoint.step20"));
        CollectionAssert.AreEqual(checkpoint.Optimizer!.States[0].Momentums[0].Data!.ToDoubles(),
            driver.Optimizer.Get("0.bias.exp_avg").ToDoubles());
        CollectionAssert.AreEqual(new[] { "0.weight", "2.weight" },
            driver.Optimizer.Plan.Constrained.Order(StringComparer.Ordinal).ToArray());
        Assert.AreEqual(20, driver.Optimizer.Get("step").ToInt64s()[0]);
        var data = new CaseData(FileOf("trajectory.safetensors"));
        for (int i = 0; i < 3; i++)
        {
            using var batch = new Batch();
            foreach (string input in data.Names("batch/")) batch.Add(input, CaseData.Slice(data.Tensor($"batch/{input}"), i));
            driver.TrainStep(batch);
            driver.OptimizerStep();
            driver.LazyResetGrad();
        }
        Assert.IsTrue(driver.Optimizer.GetConstraints().All(c => c.IsSet));
    }

    [TestMethod]
    public void FilesOfTwoJobs_AreRefused()
    {
        LoweringException error =
            Assert.ThrowsExactly<LoweringException>(() =>
            TrainingDriver.FromArtifactFiles(FileOf("training_model.onnx"), null, FileOf("optimizer_model.onnx"),
            FileOf("checkpoint", "structure_only_convtranspose_resize")));
        StringAssert.Contains(error.Message, "0.weight");
        StringAssert.Contains(error.Message, "ct_W");
    }
}
