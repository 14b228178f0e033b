using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

[TestClass]
public sealed class TrainerTests
{
    private static TrainingDriver Create() =>
        new(TrainingGraphBuilder.Build(TestModels.Linear(),
        new TrainingOptions { Optimizer = new() { Groups = [UpdateRule.AdamW(1e-2)] } }), new DriverOptions { Threads = 1 });

    private static IEnumerable<Batch> Batches(int count) => Enumerable.Range(1, count).Select(i => TestModels.Batch(3 + i, seed: i));

    private static BatchSource Source(int count) => BatchSource.From(Batches(count));

    private static async IAsyncEnumerable<Batch> AsyncBatches(int count)
    {
        foreach (Batch batch in Batches(count))
        {
            await Task.Yield();
            yield return batch;
        }
    }

    private sealed class Recorder(Func<StepReport, bool>? stop = null) : TrainerCallback
    {
        public List<StepReport> Steps { get; } = [];

        public List<EpochReport> Epochs { get; } = [];

        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
        {
            Steps.Add(report);
            control.StopRequested |= stop?.Invoke(report) ?? false;
        }

        public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control) => Epochs.Add(report);
    }

    [TestMethod]
    public void Fit_IsTheVerbsInALoop()
    {
        using TrainingDriver byHand = Create(), fitted = Create();
        for (int epoch = 0; epoch < 2; epoch++)
        {
            foreach (Batch batch in Batches(3))
            {
                using (batch)
                {
                    byHand.LazyResetGrad();
                    byHand.TrainStep(batch);
                    byHand.OptimizerStep();
                }
            }
        }
        FitResult result = new Trainer(fitted).Fit(Source(3), new FitOptions { Epochs = 2 });
        CollectionAssert.AreEqual(byHand.ToBuffer().ToDoubles(), fitted.ToBuffer().ToDoubles());
        Assert.AreEqual(6, result.Steps);
        Assert.HasCount(2, result.Epochs);
        Assert.IsLessThan(result.Epochs[0].Loss, result.Epochs[1].Loss);
    }

    [TestMethod]
    public async Task FitAsync_GivesTheSame()
    {
        using TrainingDriver first = Create(), second = Create();
        new Trainer(first).Fit(Source(4), new FitOptions { Epochs = 2 });
        await new Trainer(second).FitAsync(BatchSource.From(_ => AsyncBatches(4)), new FitOptions { Epochs = 2 });
        CollectionAssert.AreEqual(first.ToBuffer().ToDoubles(), second.ToBuffer().ToDoubles());
        double loss = new Trainer(first).Evaluate(Source(3)).Loss;
        Assert.AreEqual(loss, (await new Trainer(second).EvaluateAsync(BatchSource.From(AsyncBatches(3)))).Loss, 1e-12);
        List<double[]> outputs = [];
        await foreach (TensorData output in new Trainer(second).PredictAsync(AsyncBatches(2))) outputs.Add(output.ToDoubles());
        CollectionAssert.AreEqual(new Trainer(first).Predict(Batches(2)).Last().ToDoubles(), outputs[^1]);
    }

    [TestMethod]
    public void Accumulation_TakesTheMeanOfItsBatches_TheRestOfAnEpochIncluded()
    {
        using TrainingDriver byHand = Create(), fitted = Create();
        // The batches are of different sizes, and the trainer makes the step of one batch of them all.
        byHand.WeighBatches = true;
        foreach (Batch[] part in Batches(5).Chunk(2))
        {
            byHand.LazyResetGrad();
            foreach (Batch batch in part)
            {
                using (batch) byHand.TrainStep(batch);
            }
            byHand.OptimizerStep(1.0 / part.Length);
        }
        var recorder = new Recorder();
        Assert.AreEqual(3, new Trainer(fitted).Fit(Source(5), new FitOptions { GradientAccumulation = 2, Callbacks = [recorder] }).Steps);
        CollectionAssert.AreEqual(byHand.ToBuffer().ToDoubles(), fitted.ToBuffer().ToDoubles());
        CollectionAssert.AreEqual(new long[] { 1, 2, 3 }, recorder.Steps.Select(s => s.Step).ToArray());
    }

    [TestMethod]
    public void Callbacks_MaxSteps_AndCancellation_EndTheRun()
    {
        using TrainingDriver driver = Create();
        var trainer = new Trainer(driver);
        var recorder = new Recorder(s => s.Step == 2);
        Assert.AreEqual(2, trainer.Fit(Source(5), new FitOptions { Epochs = 9, Callbacks = [recorder] }).Steps);
        Assert.HasCount(1, recorder.Epochs);
        Assert.AreEqual(7, trainer.Fit(Source(5), new FitOptions { Epochs = 9, MaxSteps = 7 }).Steps);
        using var source = new CancellationTokenSource();
        double[]? last = null;
        var canceller = new Recorder(s =>
        {
            last = driver.ToBuffer().ToDoubles();
            source.Cancel();
            return false;
        });
        Assert.ThrowsExactly<OperationCanceledException>(() =>
            trainer.Fit(Source(5), new FitOptions { Callbacks = [canceller] }, source.Token));
        CollectionAssert.AreEqual(last, driver.ToBuffer().ToDoubles());
    }

    [TestMethod]
    public void Validation_IsReported_AndMovesAPlateauSchedule()
    {
        using TrainingDriver driver = Create();
        driver.SetSchedule(Schedule.Plateau(0.5, 0, threshold: 1e9, absoluteThreshold: true));
        var recorder = new Recorder();
        var seen = new List<StepReport>();
        new Trainer(driver).Fit(Source(2),
            new FitOptions
            {
                Epochs = 4,
                EvaluateEvery = 2,
                Validation = BatchSource.From(_ => Batches(2)),
                Callbacks = [recorder],
                Progress = new Reporter(seen.Add)
            });
        CollectionAssert.AreEqual(new[] { false, true, false, true }, recorder.Epochs.Select(e => e.ValidationLoss is not null).ToArray());
        Assert.AreEqual(0.5e-2, driver.Optimizer.GetLearningRate(), 1e-12);
        Assert.HasCount(8, seen);
    }

    internal sealed class Reporter(Action<StepReport> report) : IProgress<StepReport>
    {
        public void Report(StepReport value) => report(value);
    }

    [TestMethod]
    public void Prediction_NeedsNoLabels_AndKnowsItsOutputs()
    {
        using TrainingDriver driver = Create();
        using Batch batch = new Batch().Add("x", new float[8], 2, 4);
        using Prediction prediction = driver.Predict(batch);
        Assert.AreEqual(6L, prediction["logits"].GetTensorTypeAndShape().ElementCount);
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => driver.Predict(batch, "nothing")).Message,
            "no output 'nothing'; it has logits");
        Assert.ThrowsExactly<DriverException>(() => driver.EvalStep(batch));
        Assert.ThrowsExactly<DriverException>(() => prediction["other"]);
    }

    [TestMethod]
    public void SenselessOptions_AreRefused_AllAtOnce()
    {
        using TrainingDriver driver = Create();
        FitOptions options = new() { Epochs = 0, MaxSteps = 0, GradientAccumulation = 0, EvaluateEvery = 0 };
        string message = Assert.ThrowsExactly<OptionException>(() => new Trainer(driver).Fit(Source(1), options)).Message;
        foreach (string part in new[] { "Epochs is 0", "MaxSteps is 0", "GradientAccumulation is 0", "EvaluateEvery is 0" })
        {
            StringAssert.Contains(message, part);
        }
    }
}
